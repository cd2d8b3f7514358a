// The page: photos and camera to POST /v1/recognize, answers to boxes, bars, timeline and files.
// One photo is in flight at a time, and two camera frames, so that the next one is taken and packed while the
// server works; frames that come meanwhile are never queued.

import { paintHeat } from "/heat.js";

const MAX_BYTES = 9.5e6; // larger photos are made smaller here before they are sent
const MAX_SIDE = 4096;
const FRAME_SIDE = 640;
const FRAME_MS = 66; // at most 15 frames a second
const LANES = 2; // camera frames in flight
const MINUTE_MS = 60_000;
const MAX_ROWS = 36_000; // an hour of camera rows
const STALL_MS = 3000; // no image from the camera
const STALE_MS = 2000; // the same image from the camera
const ANSWER_MS = 60_000; // longer than any deadline of the server
const DEFAULT_LABELS = ["angry", "disgust", "fear", "happy", "neutral", "sad", "surprise"];

const WORDS = {
  too_many_bytes: "The file is too large for this server.",
  too_many_pixels: "The image has too many pixels for this server.",
  unsupported_format: "This format is not read. Save it as JPEG or PNG.",
  damaged_image: "The image is empty, damaged or cut short.",
  overloaded: "The server has too much to do. Try again in a moment.",
  not_ready: "The server is still starting. Try again in a moment.",
  deadline_passed: "The answer took too long. Try a smaller image.",
  too_slow: "The image did not arrive in time.",
  unreachable: "The server does not answer. Is it still running?",
};

const CAMERA_WORDS = {
  none: "This browser gives no camera here. Open the page on https or on localhost.",
  NotAllowedError: "The browser did not allow the camera. Allow it in the address bar, then try again.",
  NotFoundError: "There is no camera on this device.",
  NotReadableError: "The camera is used by another program. Close that program, then try again.",
  ended: "The camera was unplugged or switched off.",
  stalled: "The camera gives no images any more.",
  stale: "The camera gives the same image over and over. Is it covered, or stuck?",
};

const at = (id) => document.getElementById(id);
const percent = (value) => `${Math.round(value * 100)}%`;

const state = {
  labels: DEFAULT_LABELS,
  photos: [], // {name, url, row, error}
  shown: -1,
  working: false,
  camera: null, // {stream, began, rows, ...} while it runs
  recording: [], // camera rows, kept after the camera stops
  heat: false, // whether heat maps are asked for and shown
};

// ---- asking the server

async function recognize(blob) {
  for (let attempt = 0; ; attempt += 1) {
    let response;
    try {
      const options = { method: "POST", body: blob, signal: AbortSignal.timeout(ANSWER_MS) };
      response = await fetch(state.heat ? "/v1/recognize?explain=true" : "/v1/recognize", options);
      if (response.ok) return { row: await response.json() };
    } catch (error) {
      return { error: error.name === "TimeoutError" ? "deadline_passed" : "unreachable" };
    }
    const silent = { message: `The server failed and did not say why (${response.status}).` };
    const problem = await response.json().catch(() => silent);
    const again = Number(response.headers.get("retry-after"));
    if (response.status !== 503 || !again || attempt === 3) {
      return { error: problem.code, message: problem.message };
    }
    await pause(again * 1000);
  }
}

const inWords = (answer) => WORDS[answer.error] ?? (answer.message || "Something went wrong.");
const pause = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

// ---- photos

function addFiles(files) {
  const images = [...files].filter((file) => file.type.startsWith("image/") || !file.type);
  const others = files.length - images.length;
  say(others ? `${others} of these files ${others === 1 ? "is no image" : "are no images"}.` : "");
  if (!images.length) return;
  stopCamera();
  const first = state.photos.length;
  for (const file of images) {
    state.photos.push({ name: file.name || "pasted image", url: URL.createObjectURL(file), file, original: file });
  }
  show(first);
  workThroughPhotos();
}

async function workThroughPhotos() {
  if (state.working) return;
  state.working = true;
  for (;;) {
    const photo = state.photos.find((one) => one.file);
    if (!photo) break;
    const answer = await recognize(await smallEnough(photo.file));
    photo.file = null;
    photo.row = answer.row && { ...answer.row, source: photo.name };
    photo.error = answer.row ? "" : inWords(answer);
    if (state.photos.includes(photo)) show(state.shown);
  }
  state.working = false;
}

async function smallEnough(file) {
  if (file.size <= MAX_BYTES) return file;
  try {
    const bitmap = await createImageBitmap(file);
    const factor = Math.min(1, MAX_SIDE / Math.max(bitmap.width, bitmap.height));
    const canvas = document.createElement("canvas");
    canvas.width = Math.round(bitmap.width * factor);
    canvas.height = Math.round(bitmap.height * factor);
    canvas.getContext("2d").drawImage(bitmap, 0, 0, canvas.width, canvas.height);
    return await toJpeg(canvas, 0.92);
  } catch {
    return file; // no image that the browser knows: the server says what is wrong
  }
}

const toJpeg = (canvas, quality) =>
  new Promise((resolve) => { canvas.toBlob(resolve, "image/jpeg", quality); });

function show(index) {
  state.shown = index;
  const photo = state.photos[index];
  at("empty").hidden = Boolean(photo);
  at("view").hidden = !photo;
  at("video").hidden = true;
  at("photo").hidden = !photo;
  at("timeline").hidden = true;
  at("speed").textContent = "";
  drawStrip();
  offerDownloads();
  if (!photo) {
    draw(null);
    at("status").textContent = "No image yet.";
    return;
  }
  if (at("photo").src !== photo.url) at("photo").src = photo.url;
  at("photo").alt = photo.name;
  at("caption").textContent = photo.name;
  draw(photo.row ?? null);
  if (state.heat && photo.row?.faces.some((face) => !face.explanation) && !photo.file) {
    photo.file = photo.original;
    workThroughPhotos();
  }
  if (photo.error) at("status").textContent = `${photo.name}: ${photo.error}`;
  else at("status").textContent = photo.row ? summary(photo.row) : "Looking for faces …";
}

function drawStrip() {
  at("strip").hidden = state.photos.length < 2 || Boolean(state.camera);
  at("strip").replaceChildren(...state.photos.map((photo, index) => {
    const button = make("button", "");
    const image = make("img", "");
    image.src = photo.url;
    image.alt = "";
    image.addEventListener("error", () => image.remove());
    const mark = photo.error ? "!" : photo.row ? String(photo.row.faces.length) : "…";
    const outcome = photo.error || (photo.row ? summary(photo.row) : "waiting");
    button.type = "button";
    button.setAttribute("aria-label", `${photo.name}: ${outcome}`);
    if (index === state.shown) button.setAttribute("aria-current", "true");
    button.append(image, make("span", photo.error ? "mark bad" : "mark", mark));
    button.addEventListener("click", () => show(index));
    const item = make("li", "");
    item.append(button);
    return item;
  }));
}

// ---- drawing an answer

function make(tag, className, text = "") {
  const element = document.createElement(tag);
  element.className = className;
  element.textContent = text;
  return element;
}

function hueOf(label) {
  const hue = getComputedStyle(document.documentElement).getPropertyValue(`--${label}`).trim();
  return hue || "#76839a";
}

const cssHue = (label) => `var(--${CSS.escape(label)}, var(--neutral))`;

function draw(row) {
  const faces = row?.faces ?? [];
  reuse(at("boxes"), faces, makeBox, (box, face, i) => fillBox(box, face, i, row));
  untangle(faces);
  reuse(at("cards"), faces, makeCard, fillCard);
  drawHeat(row);
}

function drawHeat(row) {
  const explained = state.heat ? (row?.faces ?? []).filter((face) => face.explanation) : [];
  at("heatmap").hidden = explained.length === 0;
  if (explained.length) paintHeat(at("heatmap"), row, explained.map((face) => face.explanation));
}

function toggleHeat() {
  state.heat = !state.heat;
  at("heat").setAttribute("aria-pressed", String(state.heat));
  if (!state.camera) show(state.shown);
}

// Live answers come ten times a second: elements are kept, so that focus is too.
function reuse(parent, items, create, fill) {
  while (parent.children.length > items.length) parent.lastElementChild.remove();
  items.forEach((item, i) => {
    if (i >= parent.children.length) parent.append(create(i));
    fill(parent.children[i], item, i);
  });
}

function makeBox(i) {
  const box = make("button", "box");
  box.type = "button";
  box.append(make("span", "tag"));
  const mark = (on) => () => {
    box.classList.toggle("current", on);
    at("cards").children[i]?.classList.toggle("current", on);
  };
  box.addEventListener("focus", mark(true));
  box.addEventListener("blur", mark(false));
  box.addEventListener("click", () => {
    at("cards").children[i]?.scrollIntoView({ block: "nearest" });
  });
  return box;
}

function fillBox(box, face, i, row) {
  const [left, top, right, bottom] = face.box;
  box.style.left = `${(left / row.width) * 100}%`;
  box.style.top = `${(top / row.height) * 100}%`;
  box.style.width = `${((right - left) / row.width) * 100}%`;
  box.style.height = `${((bottom - top) / row.height) * 100}%`;
  box.style.setProperty("--hue", cssHue(face.expression));
  box.classList.toggle("uncertain", face.uncertain);
  box.setAttribute("aria-label", `Face ${i + 1}: ${nameOf(face)}, ${percent(face.confidence)}`);
  const tag = box.firstElementChild;
  tag.textContent = `${nameOf(face)} ${percent(face.confidence)}`;
  tag.classList.toggle("below", top / row.height < 0.12);
  tag.classList.toggle("from-right", (left + right) / 2 / row.width > 0.6);
}

// No tag covers another or is cut by the image's edge: it goes below its box, gets shorter (the
// number is that of the card beside the image), or in a crowd is left out.
function untangle(faces) {
  const frame = at("boxes").getBoundingClientRect();
  if (!frame.width) return;
  const placed = [];
  const isFree = (one) => one.left >= frame.left && one.right <= frame.right
    && one.top >= frame.top && one.bottom <= frame.bottom
    && placed.every((other) => one.right < other.left || one.left > other.right
      || one.bottom < other.top || one.top > other.bottom);
  [...at("boxes").children].forEach((box, i) => {
    const tag = box.firstElementChild;
    const texts = [tag.textContent, faces[i].expression + (faces[i].uncertain ? "?" : ""), `${i + 1}`];
    const sides = [tag.classList.contains("below"), true];
    tag.hidden = false;
    tag.hidden = !texts.some((text) => sides.some((isBelow) => {
      tag.textContent = text;
      tag.classList.toggle("below", isBelow);
      return isFree(tag.getBoundingClientRect());
    }));
    if (!tag.hidden) placed.push(tag.getBoundingClientRect());
  });
}

function redrawPhoto() {
  if (!state.camera) draw(state.photos[state.shown]?.row ?? null);
}

const nameOf = (face) => (face.uncertain ? `uncertain, ${face.expression}?` : face.expression);

// Why an answer is uncertain, in words.
const WHY = {
  small: "small: too few pixels to tell",
  blurred: "blurred: could be anything",
  dark: "dark: hard to see",
  turned: "turned away: part of the face is hidden",
  tilted: "tilted: try turning the photo upright",
  unsure: "unsure: no expression is likely enough",
};

function makeCard(i) {
  const card = make("li", "card");
  const head = make("div", "card-head");
  head.append(
    make("span", "number", `${i + 1}`), make("span", "name"),
    make("span", "doubt", "uncertain"), make("span", "sure"),
  );
  card.append(head, make("p", "why"), make("ul", "bars"));
  return card;
}

function fillCard(card, face) {
  const [, name, doubt, sure] = card.firstElementChild.children;
  name.textContent = face.expression + (face.uncertain ? "?" : "");
  doubt.hidden = !face.uncertain;
  const why = card.children[1];
  why.hidden = !face.uncertain;
  why.textContent = face.reasons.map((reason) => WHY[reason] ?? reason).join("; ");
  sure.textContent = percent(face.confidence);
  reuse(card.lastElementChild, Object.entries(face.probabilities), makeBar, (bar, [label, value]) => {
    const [word, track, number] = bar.children;
    bar.classList.toggle("top-one", label === face.expression);
    bar.style.setProperty("--hue", cssHue(label));
    word.textContent = label;
    track.firstElementChild.style.width = `${value * 100}%`;
    number.textContent = percent(value);
  });
}

function makeBar() {
  const bar = make("li", "bar");
  const track = make("span", "track");
  track.append(make("div", "fill"));
  bar.append(make("span", "word"), track, make("span", "value"));
  return bar;
}

function summary(row) {
  const faces = row.faces;
  if (!faces.length) return "No face was found.";
  const list = faces.slice(0, 5).map((face) => `${nameOf(face)} ${percent(face.confidence)}`).join("; ");
  const more = faces.length > 5 ? `; and ${faces.length - 5} more` : "";
  return `${faces.length === 1 ? "1 face" : `${faces.length} faces`}: ${list}${more}.`;
}

function say(text) {
  if (at("alert").textContent !== text) at("alert").textContent = text; // read aloud once
}

// ---- camera

function askForCamera() {
  if (state.camera) {
    stopCamera();
    return;
  }
  say("");
  at("where").textContent = ["localhost", "127.0.0.1", "[::1]"].includes(location.hostname)
    ? "The images stay on this machine, and nothing is stored."
    : `The images go to ${location.host} only, and nothing is stored.`;
  at("notice").returnValue = "";
  at("notice").showModal();
}

async function startCamera() {
  let stream;
  try {
    if (!navigator.mediaDevices?.getUserMedia) throw new DOMException("", "none");
    const video = { width: { ideal: 1280 }, height: { ideal: 720 }, facingMode: "user" };
    stream = await navigator.mediaDevices.getUserMedia({ video, audio: false });
  } catch (error) {
    say(CAMERA_WORDS[error.name] ?? `The camera cannot be used (${error.name}).`);
    return;
  }
  const began = performance.now();
  const camera = { stream, began, times: [], history: [], spoken: 0, lastTime: -1, changed: began, taken: 0, shown: 0 };
  state.camera = camera;
  state.recording = [];
  stream.getVideoTracks()[0].addEventListener("ended", () => { if (state.camera === camera) stopCamera("ended"); });
  at("video").srcObject = stream;
  for (const [id, hidden] of [["empty", true], ["view", false], ["photo", true], ["video", false],
    ["timeline", false], ["strip", true]]) at(id).hidden = hidden;
  at("camera").textContent = "Stop camera";
  at("camera").setAttribute("aria-pressed", "true");
  at("caption").textContent = "Camera";
  at("rows").replaceChildren(...state.labels.map((label) => make("li", "", label)));
  draw(null);
  drawHistory(camera);
  await at("video").play().catch(() => {});
  for (let lane = 0; lane < LANES; lane += 1) watchFrames(camera);
}

function stopCamera(reason) {
  const camera = state.camera;
  if (!camera) return;
  state.camera = null;
  for (const track of camera.stream.getTracks()) track.stop();
  at("video").srcObject = null;
  at("camera").textContent = "Start camera";
  at("camera").setAttribute("aria-pressed", "false");
  show(state.photos.length ? Math.max(state.shown, 0) : -1);
  say(reason ? CAMERA_WORDS[reason] : "");
  offerDownloads();
}

async function watchFrames(camera) {
  const canvas = document.createElement("canvas");
  const context = canvas.getContext("2d", { alpha: false, willReadFrequently: true });
  const video = at("video");
  while (state.camera === camera) {
    const start = performance.now();
    if (video.currentTime !== camera.lastTime) camera.changed = start;
    else if (start - camera.changed > STALL_MS && !document.hidden) return stopCamera("stalled");
    const isEarly = video.currentTime === camera.lastTime || start - camera.taken < FRAME_MS;
    if (document.hidden || !video.videoWidth || isEarly) {
      await pause(FRAME_MS / 4);
      continue;
    }
    Object.assign(camera, { lastTime: video.currentTime, taken: start });
    const factor = Math.min(1, FRAME_SIDE / Math.max(video.videoWidth, video.videoHeight));
    const size = [Math.round(video.videoWidth * factor), Math.round(video.videoHeight * factor)];
    if (canvas.width !== size[0] || canvas.height !== size[1]) [canvas.width, canvas.height] = size;
    context.drawImage(video, 0, 0, canvas.width, canvas.height);
    const image = await toJpeg(canvas, 0.85);
    await noteChange(camera, image, start);
    const answer = await recognize(image);
    if (state.camera !== camera) return undefined;
    if (!answer.row) {
      say(inWords(answer));
      await pause(1000);
      continue;
    }
    if (start < camera.shown) continue; // the frame after it was answered first
    camera.shown = start;
    takeFrame(camera, answer.row, start);
  }
  return undefined;
}

async function noteChange(camera, image, now) {
  const bytes = new Uint8Array(await image.arrayBuffer());
  const before = camera.bytes;
  const isSame = before?.length === bytes.length && bytes.every((value, i) => value === before[i]);
  if (!isSame) Object.assign(camera, { bytes, fresh: now });
}

function takeFrame(camera, row, captured) {
  const now = performance.now();
  say(captured - camera.fresh > STALE_MS ? CAMERA_WORDS.stale : "");
  draw(row);
  const timed = { ...row, source: "camera", time_s: Math.round(captured - camera.began) / 1000 };
  state.recording.push(timed);
  if (state.recording.length > MAX_ROWS) state.recording.shift();
  if (state.recording.length === 1) offerDownloads();
  camera.history.push({ time: captured, face: largest(row.faces) });
  while (camera.history[0].time < now - MINUTE_MS) camera.history.shift();
  camera.times = [...camera.times.filter((time) => time > now - 2000), now];
  at("speed").textContent = `${(camera.times.length / 2).toFixed(1)} frames/s · ${Math.round(now - captured)} ms`;
  if (now - camera.spoken > 3000) { // not every frame: a screen reader reads this aloud
    camera.spoken = now;
    at("status").textContent = summary(row);
  }
}

function largest(faces) {
  const area = ({ box: [left, top, right, bottom] }) => (right - left) * (bottom - top);
  return faces.reduce((best, face) => (!best || area(face) > area(best) ? face : best), null);
}

function drawHistory(camera) {
  if (state.camera !== camera) return;
  const canvas = at("history");
  const rowHeight = 22;
  const width = canvas.clientWidth;
  const height = rowHeight * state.labels.length;
  const scale = window.devicePixelRatio || 1;
  canvas.width = Math.round(width * scale);
  canvas.height = Math.round(height * scale);
  canvas.style.height = `${height}px`;
  const context = canvas.getContext("2d");
  context.scale(scale, scale);
  const now = performance.now();
  const x = (time) => width - ((now - time) / MINUTE_MS) * width;
  camera.history.forEach(({ time, face }, i) => {
    const next = camera.history[i + 1]?.time ?? time + FRAME_MS * 2;
    if (!face) return;
    const until = Math.min(next, time + 1000);
    state.labels.forEach((label, row) => {
      context.globalAlpha = face.probabilities[label] ?? 0;
      context.fillStyle = hueOf(label);
      context.fillRect(x(time), row * rowHeight + 1, x(until) - x(time) + 0.5, rowHeight - 2);
    });
  });
  const latest = camera.history.at(-1)?.face;
  canvas.setAttribute("aria-label", `Probabilities of the last minute; now ${latest ? nameOf(latest) : "no face"}`);
  setTimeout(() => requestAnimationFrame(() => drawHistory(camera)), 200);
}

// ---- files to take away

function results() {
  if (state.camera || (state.recording.length && !state.photos.length)) return state.recording;
  return state.photos.filter((photo) => photo.row || photo.error).map((photo) => photo.row
    ?? { schema: 1, source: photo.name, status: "rejected", error: photo.error });
}

function offerDownloads() {
  at("save").hidden = results().length === 0;
  at("clear").hidden = Boolean(state.camera) || (!state.photos.length && !state.recording.length);
}

function saveAs(name, type, text) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

// The columns of `predict --format csv`, with the time of a camera's frame before them.
function toCsv(rows) {
  const { labels } = state;
  const lines = [["time_s", "source", "status", "width", "height", "face", "left", "top", "right", "bottom",
    "detection_score", "expression", "confidence", "uncertain", ...labels, "reasons", "error"]];
  for (const row of rows) {
    const start = [row.time_s ?? "", row.source, row.status, row.width ?? 0, row.height ?? 0];
    const faces = row.faces?.length ? row.faces : [null];
    faces.forEach((face, i) => {
      const middle = face
        ? [i + 1, ...face.box.map((value) => value.toFixed(2)), face.detection_score.toFixed(6), face.expression,
          face.confidence.toFixed(6), face.uncertain, ...labels.map((label) => face.probabilities[label].toFixed(6)),
          face.reasons.join(" ")]
        : new Array(10 + labels.length).fill("");
      lines.push([...start, ...middle, row.error ?? ""]);
    });
  }
  return lines.map((line) => `${line.map(csvField).join(",")}\r\n`).join("");
}

function csvField(value) {
  let text = String(value);
  const isFormula = /^[=+@\t\r]/.test(text) || (text.startsWith("-") && Number.isNaN(Number(text)));
  if (isFormula) text = `'${text}`; // or a spreadsheet would run it
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function clearAll() {
  for (const photo of state.photos) URL.revokeObjectURL(photo.url);
  state.photos = [];
  state.recording = [];
  say("");
  show(-1);
}

// ---- the page's events

at("pick").addEventListener("click", () => at("files").click());
at("files").addEventListener("change", (event) => {
  addFiles(event.target.files);
  event.target.value = "";
});
at("camera").addEventListener("click", askForCamera);
at("heat").addEventListener("click", toggleHeat);
at("notice").addEventListener("close", () => { if (at("notice").returnValue === "start") startCamera(); });
at("json").addEventListener("click", () => saveAs("expressions.json", "application/json", JSON.stringify(results(), null, 1)));
at("csv").addEventListener("click", () => saveAs("expressions.csv", "text/csv", toCsv(results())));
at("clear").addEventListener("click", clearAll);
document.addEventListener("paste", (event) => {
  if (event.clipboardData?.files.length) addFiles(event.clipboardData.files);
});
document.addEventListener("dragover", (event) => {
  event.preventDefault();
  document.body.classList.add("dragging");
});
document.addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) document.body.classList.remove("dragging");
});
document.addEventListener("drop", (event) => {
  event.preventDefault();
  document.body.classList.remove("dragging");
  if (event.dataTransfer?.files.length) addFiles(event.dataTransfer.files);
});
window.addEventListener("pagehide", () => stopCamera());
at("photo").addEventListener("error", () => { at("photo").hidden = true; });
at("photo").addEventListener("load", redrawPhoto);
window.addEventListener("resize", redrawPhoto);

try {
  const { models } = await (await fetch("/v1/models")).json();
  state.labels = models[0].labels;
  at("heat").hidden = !models[0].explains;
  at("model").textContent = `Model ${models[0].name}`;
} catch {
  say(WORDS.unreachable);
}
document.documentElement.dataset.ready = "true";
