// The page: images, videos and the camera to a recognizer, its answers to boxes, cards, a timeline and files.
// One image is in flight at a time; what a recognizer is, recognizer.js says.

import { CAMERA_WORDS, openCamera, watchCamera } from "./camera.js";
import { at, make, percent, setText } from "./dom.js";
import { markedImage, saveAs, toCsv, toJson } from "./downloads.js";
import { offerExamples } from "./examples.js";
import { drawBoxes, drawCards, drawTally, largest, linkBoxesAndCards, summary } from "./faces.js";
import { paintHeat } from "./heat.js";
import { drawTimeline } from "./timeline.js";
import { framesOf, rowAt } from "./video.js";

const MINUTE_S = 60;
const MAX_ROWS = 36_000; // an hour of camera rows
const SPEAK_MS = 3000; // a screen reader is not told every frame
const DEFAULT_LABELS = ["angry", "disgust", "fear", "happy", "neutral", "sad", "surprise"];
const UNSHOWN = "This browser cannot show this image. Its faces are listed all the same.";

let recognizer;
const state = {
  labels: DEFAULT_LABELS,
  items: [], // {kind: image, video or camera, name, url, file, row, rows, error, ...}; file until it is read
  shown: -1,
  working: false,
  live: null, // the camera's item while it runs
  explains: false, // whether the model has heat maps
  heat: false, // whether they are asked for and shown
  pixels: null, // {item, bitmap} of the photo on the screen
  spoken: 0,
};

const current = () => state.live ?? state.items[state.shown];

// ---- images and videos

function addFiles(files) {
  const kinds = [...files].map((file) => [file, file.type.startsWith("video/") ? "video" : "image"]);
  const readable = kinds.filter(([file, kind]) => kind === "video" || file.type.startsWith("image/") || !file.type);
  const others = kinds.filter((one) => !readable.includes(one)).map(([file]) => file.name);
  const many = `${others.length} files are not images or videos.`;
  say(others.length > 1 ? many : others.map((name) => `${name} is not an image or video.`).join(""));
  if (!readable.length) return;
  stopCamera();
  const first = state.items.length;
  for (const [file, kind] of readable) {
    state.items.push({
      kind, file, original: file, name: file.name || "pasted image", url: URL.createObjectURL(file), rows: [],
    });
  }
  show(first);
  workThrough();
}

async function workThrough() {
  if (state.working) return;
  state.working = true;
  for (;;) {
    const item = state.items.find((one) => one.file);
    if (!item) break;
    if (item.kind === "video") await readVideo(item);
    else await readImage(item);
    item.file = null;
    if (state.items.includes(item)) show(state.shown);
  }
  state.working = false;
}

async function readImage(item) {
  const answer = await recognizer.recognize(item.file, { explain: state.heat });
  item.row = answer.row && { ...answer.row, source: item.name };
  item.error = answer.error;
}

async function readVideo(item) {
  const began = { rows: [], error: "", progress: 0 };
  Object.assign(item, began);
  try {
    for await (const frame of framesOf(item.url)) {
      const answer = await recognizer.recognize(frame.image);
      if (!state.items.includes(item)) return;
      if (!answer.row) throw new Error(answer.error);
      item.rows.push({ ...answer.row, source: item.name, time_s: Math.round(frame.time_s * 1000) / 1000 });
      Object.assign(item, { step_s: frame.step_s, duration_s: frame.duration_s });
      item.progress = Math.min(1, (frame.time_s + frame.step_s) / frame.duration_s);
      if (current() === item && at("video").paused) at("video").currentTime = frame.time_s;
      if (current() === item) showProgress(item);
    }
  } catch (error) {
    item.error = error.message;
  }
  item.progress = 1;
}

// ---- what is on the screen

function show(index) {
  state.shown = index;
  const item = current();
  const isVideo = item?.kind === "video";
  const hasRows = Boolean(item?.rows.length);
  const reason = item?.error && !hasRows ? item.error : "";
  at("empty").hidden = Boolean(item);
  at("view").hidden = !item;
  at("problem").hidden = !reason;
  at("reason").textContent = reason ? `${item.name}: ${reason}` : "";
  at("retry").hidden = !item?.original;
  at("frame").hidden = Boolean(reason);
  at("frame").classList.toggle("mirrored", Boolean(item?.isMirrored));
  at("cards").classList.toggle("mirrored", Boolean(item?.isMirrored));
  at("photo").hidden = !item || isVideo || item === state.live;
  at("video").hidden = !item || at("photo").hidden === false;
  at("video").controls = isVideo;
  at("timeline").hidden = !hasRows && item !== state.live;
  at("speed").textContent = "";
  at("caption").textContent = item?.name ?? "";
  setVideo(isVideo ? item.url : "");
  if (item && !at("photo").hidden) {
    if (at("photo").src !== item.url) at("photo").src = item.url;
    at("photo").alt = item.name;
  }
  drawStrip();
  offerDownloads();
  showProgress(item);
  redraw();
  if (state.heat && item?.kind === "image" && item.row?.faces.some((face) => !face.explanation) && !item.file) {
    item.file = item.original;
    workThrough();
  }
}

function setVideo(url) {
  const video = at("video");
  if ((video.getAttribute("src") ?? "") === url) return;
  if (url) video.src = url;
  else video.removeAttribute("src");
  if (!video.srcObject) video.load();
  video.muted = !url;
}

function rowOf(item) {
  return (item?.kind === "video" ? rowAt(item.rows, at("video").currentTime, item.step_s) : item?.row) ?? null;
}

// What shows the item's pixels; null while nothing does, or where the browser cannot.
function sourceOf(item) {
  if (!item || item === state.live) return item?.canvas ?? null;
  if (item.kind === "video") return at("video").videoWidth ? at("video") : null;
  return state.pixels?.item === item ? state.pixels.bitmap : null;
}

// Drawn from the element, a photo would be decoded once more, on the page's own thread.
async function takePixels() {
  const item = current();
  redraw();
  const bitmap = await createImageBitmap(item?.original ?? item?.image).catch(() => null);
  if (current() !== item) return;
  state.pixels?.bitmap?.close();
  state.pixels = { item, bitmap };
  redraw();
}

function redraw() {
  const item = current();
  const row = rowOf(item);
  const source = sourceOf(item);
  draw(row, source);
  at("marked").hidden = !row || !source;
  drawTimes();
  if (!item) status("No image yet.");
  else if (item.error) status(`${item.name}: ${item.error}`);
  else if (row) status(summary(row, item.kind));
  else status(item.file || item === state.live ? "Looking for faces …" : "");
}

function draw(row, source) {
  const isMirrored = Boolean(current()?.isMirrored);
  drawBoxes(at("boxes"), row, isMirrored);
  drawTally(at("tally"), row);
  drawCards(at("cards"), row, source);
  const explained = state.heat ? (row?.faces ?? []).filter((face) => face.explanation) : [];
  at("heatmap").hidden = at("heat-legend").hidden = explained.length === 0;
  if (explained.length) paintHeat(at("heatmap"), row, explained.map((face) => face.explanation));
}

function drawTimes() {
  const item = current();
  if (!item || at("timeline").hidden) return;
  const isLive = item === state.live;
  const last_s = item.rows.at(-1)?.time_s ?? 0;
  const to_s = item.kind === "video" ? item.duration_s : last_s;
  const from_s = isLive ? to_s - MINUTE_S : 0;
  const rows = isLive ? item.rows.slice(-15 * MINUTE_S).filter((row) => row.time_s >= from_s) : item.rows;
  const points = rows.map((row) => ({ time_s: row.time_s, face: largest(row.faces) }));
  const cursor_s = item.kind === "video" ? at("video").currentTime : null;
  drawTimeline(at("history"), state.labels, points, { from_s, to_s, cursor_s });
  at("timeline-title").textContent = isLive ? "Last minute" : "Timeline";
  const marks = isLive ? ["60 s ago", "30 s", "now"] : [0, 0.5, 1].map((part) => `${(to_s * part).toFixed(1)} s`);
  [...at("axis").children].forEach((mark, i) => { mark.textContent = marks[i]; });
}

function showProgress(item) {
  const isReading = item?.kind === "video" && item.file;
  at("progress").hidden = !isReading;
  if (!isReading) return;
  at("progress").value = item.progress ?? 0;
  at("speed").textContent = `${percent(item.progress ?? 0)} read`;
  at("timeline").hidden = !item.rows.length;
  offerDownloads();
  redraw();
}

function drawStrip() {
  at("strip").hidden = state.items.length < 2 || Boolean(state.live);
  at("strip").replaceChildren(...state.items.map((item, index) => {
    const button = make("button", "");
    const image = make(item.kind === "video" ? "video" : "img", "");
    image.src = item.url;
    image.alt = "";
    image.muted = true;
    image.addEventListener("error", () => image.remove());
    const outcome = item.error || (item.row ? summary(item.row, item.kind) : item.file ? "waiting" : `${item.rows.length} frames`);
    const mark = item.error ? "!" : item.file ? "…" : item.kind === "image" ? String(item.row.faces.length) : "▶";
    button.type = "button";
    button.setAttribute("aria-label", `${item.name}: ${outcome}`);
    if (index === state.shown) button.setAttribute("aria-current", "true");
    button.append(image, make("span", item.error ? "mark bad" : "mark", mark));
    button.addEventListener("click", () => show(index));
    const entry = make("li", "");
    entry.append(button);
    return entry;
  }));
}

// What is seen changes with the cards; what is read aloud does not change with every frame.
function status(text) {
  setText(at("status"), text);
  const now = performance.now();
  if (current() && current().kind !== "image" && now - state.spoken < SPEAK_MS) return;
  state.spoken = now;
  setText(at("spoken"), text);
}

const say = (text) => setText(at("alert"), text);

function toggleHeat() {
  state.heat = !state.heat;
  at("heat").setAttribute("aria-pressed", String(state.heat));
  if (!state.live) show(state.shown);
}

// ---- camera

function askForCamera() {
  if (state.live) {
    stopCamera();
    return;
  }
  say("");
  at("where").textContent = recognizer.where;
  at("notice").returnValue = "";
  at("notice").showModal();
}

async function startCamera() {
  let stream;
  try {
    stream = await openCamera();
  } catch (error) {
    say(CAMERA_WORDS[error.name] ?? `The camera cannot be used (${error.name}).`);
    return;
  }
  const isMirrored = stream.getVideoTracks()[0].getSettings().facingMode !== "environment";
  state.live = { kind: "camera", name: "Camera", rows: [], row: null, isMirrored, times: [] };
  setVideo("");
  at("video").srcObject = stream;
  at("camera").textContent = "Stop camera";
  at("camera").setAttribute("aria-pressed", "true");
  show(state.shown);
  await at("video").play().catch(() => {});
  const session = crypto.randomUUID();
  const recognize = (image) => recognizer.recognize(image, { explain: state.heat, session });
  state.live.stop = watchCamera(at("video"), stream, recognize, { answered: takeFrame, failed: say, ended: stopCamera });
}

function stopCamera(reason) {
  const item = state.live;
  if (!item) return;
  state.live = null;
  item.stop?.();
  at("video").srcObject = null;
  at("camera").textContent = "Start camera";
  at("camera").setAttribute("aria-pressed", "false");
  if (item.rows.length) { // its last frame stays, with that frame's boxes and cards
    item.url = URL.createObjectURL(item.image);
    state.items.push(item);
    state.shown = state.items.length - 1;
  }
  show(state.shown);
  say(reason ? CAMERA_WORDS[reason] : "");
}

function takeFrame({ row, image, canvas, time_s, took_ms, isStale }) {
  const item = state.live;
  const timed = { ...row, source: "camera", time_s: Math.round(time_s * 1000) / 1000 };
  item.rows.push(timed);
  if (item.rows.length > MAX_ROWS) item.rows.shift();
  Object.assign(item, { row: timed, image, canvas });
  if (item.rows.length === 1) offerDownloads();
  const now = performance.now();
  item.times = [...item.times.filter((time) => time > now - 2000), now];
  say(isStale ? CAMERA_WORDS.stale : "");
  at("speed").textContent = `${(item.times.length / 2).toFixed(1)} frames/s · ${Math.round(took_ms)} ms`;
  redraw();
}

// ---- files to take away

function results() {
  const items = state.live ? [...state.items, state.live] : state.items;
  return items.flatMap((item) => {
    if (item.kind !== "image") return item.rows;
    if (item.row) return [item.row];
    return item.error ? [{ schema: 1, source: item.name, status: "rejected", error: item.error }] : [];
  });
}

function offerDownloads() {
  at("save").hidden = results().length === 0;
  at("clear").hidden = Boolean(state.live) || !state.items.length;
  at("heat").hidden = !state.explains || !current();
}

async function saveMarked() {
  const item = current();
  const row = rowOf(item);
  const image = await markedImage(sourceOf(item), row, at("heatmap").hidden ? null : at("heatmap"));
  saveAs(`${item.name.replace(/\.\w+$/, "")}-marked.png`, image);
}

function clearAll() {
  for (const item of state.items) URL.revokeObjectURL(item.url);
  state.items = [];
  say("");
  show(-1);
}

// ---- the page's events

function listen() {
  linkBoxesAndCards(at("boxes"), at("cards"));
  at("pick").addEventListener("click", () => at("files").click());
  at("files").addEventListener("change", (event) => {
    addFiles(event.target.files);
    event.target.value = "";
  });
  at("camera").addEventListener("click", askForCamera);
  at("heat").addEventListener("click", toggleHeat);
  at("notice").addEventListener("close", () => { if (at("notice").returnValue === "start") startCamera(); });
  at("json").addEventListener("click", () => saveAs("expressions.json", toJson(results())));
  at("csv").addEventListener("click", () => saveAs("expressions.csv", toCsv(results(), state.labels)));
  at("marked").addEventListener("click", saveMarked);
  at("clear").addEventListener("click", clearAll);
  at("retry").addEventListener("click", () => {
    const item = current();
    Object.assign(item, { error: "", file: item.original });
    show(state.shown);
    workThrough();
  });
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
  at("photo").addEventListener("error", () => {
    const item = current();
    if (item && !item.error) at("caption").textContent = `${item.name}. ${UNSHOWN}`;
    at("photo").hidden = true;
  });
  at("photo").addEventListener("load", takePixels);
  window.addEventListener("resize", redraw);
  at("video").addEventListener("seeked", redraw);
  at("video").addEventListener("loadeddata", () => { // boxes lie on it only where it keeps its shape
    at("video").style.setProperty("--aspect", at("video").videoWidth / at("video").videoHeight);
    redraw();
  });
  at("video").addEventListener("play", follow);
  at("history").addEventListener("click", (event) => {
    const item = current();
    if (item?.kind === "video") at("video").currentTime = (event.offsetX / event.target.clientWidth) * item.duration_s;
  });
}

// While a video plays, boxes, cards and the timeline go with it.
function follow() {
  if (current()?.kind !== "video" || at("video").paused) return;
  redraw();
  requestAnimationFrame(follow);
}

// `using` is what recognizes images, see recognizer.js.
export async function start(using) {
  recognizer = using;
  listen();
  offerExamples(at("examples"), (file) => addFiles([file])).catch(() => {});
  try {
    const model = await recognizer.describe();
    state.labels = model.labels;
    state.explains = model.explains;
    offerDownloads();
    at("model").textContent = `Model ${model.name}`;
  } catch (error) {
    say(error.message);
  }
  at("rows").replaceChildren(...state.labels.map((label) => make("li", "", label)));
  document.documentElement.dataset.ready = "true";
}
