// Faces beside and on an image: numbered boxes on it, a card for each beside it, and words for all.

import { hueOf, make, percent, reuse } from "./dom.js";
import { MOST_LABELS, placeLabels } from "./placement.js";

const CROWD = 6; // of more faces the cards are folded

// Why an answer is uncertain, in words.
const WHY = {
  small: "small: too few pixels to tell",
  blurred: "blurred: could be anything",
  dark: "dark: hard to see",
  turned: "turned away: part of the face is hidden",
  tilted: "tilted: try turning the photo upright",
  unsure: "unsure: no expression is likely enough",
};

const NO_FACE = { image: "No face found. Try a larger, sharper, front-facing photo." };

export const nameOf = (face) => face.expression + (face.uncertain ? "?" : "");

// From the fullest to the shortest; the number is that of the card.
export const labelTexts = (face, i) => [
  `${i + 1} ${nameOf(face)} ${percent(face.confidence)}`, `${i + 1} ${nameOf(face)}`, `${i + 1}`,
];

// How many faces show what: [["happy", 12], ["sad", 2], ["uncertain", 1]].
export function tally(faces) {
  const counts = new Map();
  for (const face of faces) {
    const name = face.uncertain ? "uncertain" : face.expression;
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return [...counts].sort((one, other) =>
    (one[0] === "uncertain") - (other[0] === "uncertain") || other[1] - one[1]);
}

// `kind` is image, video or camera.
export function summary({ faces }, kind) {
  if (!faces.length) return NO_FACE[kind] ?? "No face in this frame.";
  if (faces.length === 1) return `1 face: ${nameOf(faces[0])} ${percent(faces[0].confidence)}`;
  return `${faces.length} faces: ${tally(faces).map(([name, n]) => `${n} ${name}`).join(", ")}`;
}

export function largest(faces) {
  const area = ({ box: [left, top, right, bottom] }) => (right - left) * (bottom - top);
  return faces.reduce((best, face) => (!best || area(face) > area(best) ? face : best), null);
}

// ---- on the image

export function drawBoxes(parent, row, isMirrored) {
  const faces = row?.faces ?? [];
  reuse(parent, faces, makeBox, (box, face, i) => fillBox(box, face, i, row, isMirrored));
  const [width, height] = [parent.clientWidth, parent.clientHeight];
  if (!width || !height || !faces.length) return;
  const frames = faces.map((face) => {
    const [left, top, right, bottom] = placed(face, row, isMirrored);
    return [left * width, top * height, right * width, bottom * height];
  });
  const tags = [...parent.children].map((box) => box.firstElementChild);
  parent.classList.toggle("crowd", faces.length > MOST_LABELS);
  const measure = (text) => {
    tags[0].hidden = false;
    tags[0].textContent = text;
    return [tags[0].offsetWidth + 1, tags[0].offsetHeight];
  };
  let labels = [null];
  for (const gap of [4, 1]) { // rather smaller numbers than none
    if (!labels.includes(null)) break;
    parent.classList.toggle("tiny", gap === 1);
    labels = placeLabels([width, height], frames, faces.map(labelTexts), measure, gap);
  }
  labels.forEach((label, i) => {
    tags[i].hidden = !label;
    if (!label) return;
    tags[i].textContent = label.text;
    const border = tags[i].parentElement.clientLeft;
    tags[i].style.left = `${label.spot[0] - frames[i][0] - border}px`;
    tags[i].style.top = `${label.spot[1] - frames[i][1] - border}px`;
  });
}

// A box in parts of the image's sides, as it is shown.
function placed(face, row, isMirrored) {
  const [left, top, right, bottom] = face.box.map((value, i) => value / (i % 2 ? row.height : row.width));
  return isMirrored ? [1 - right, top, 1 - left, bottom] : [left, top, right, bottom];
}

function makeBox() {
  const box = make("button", "box");
  box.type = "button";
  box.append(make("span", "tag"));
  return box;
}

function fillBox(box, face, i, row, isMirrored) {
  const [left, top, right, bottom] = placed(face, row, isMirrored);
  box.style.left = `${left * 100}%`;
  box.style.top = `${top * 100}%`;
  box.style.width = `${(right - left) * 100}%`;
  box.style.height = `${(bottom - top) * 100}%`;
  box.style.setProperty("--hue", hueOf(face.expression));
  box.classList.toggle("uncertain", face.uncertain);
  const doubt = face.uncertain ? "uncertain, " : "";
  box.setAttribute("aria-label", `Face ${i + 1}: ${doubt}${nameOf(face)}, ${percent(face.confidence)}`);
}

// ---- beside the image

// `source` is a bitmap, video or canvas that shows what the row is about; null shows no thumbnails.
export function drawCards(parent, row, source) {
  const faces = row?.faces ?? [];
  const isCrowd = faces.length > CROWD;
  if (parent.classList.contains("crowd") !== isCrowd) parent.replaceChildren();
  parent.classList.toggle("crowd", isCrowd);
  reuse(parent, faces, (i) => makeCard(i, !isCrowd), (card, face) => {
    fillCard(card, face);
    drawThumbnail(card.querySelector("canvas"), face, row, source);
  });
}

export function drawTally(parent, row) {
  const faces = row?.faces ?? [];
  parent.hidden = faces.length <= CROWD;
  reuse(parent, parent.hidden ? [] : tally(faces), () => make("li", ""), (part, [name, n]) => {
    part.style.setProperty("--hue", hueOf(name));
    part.style.flexGrow = n;
    part.classList.toggle("uncertain", name === "uncertain");
    part.title = `${n} ${name}`;
  });
}

function makeCard(i, isOpen) {
  const card = make("li", "card");
  const fold = make("details", "");
  fold.open = isOpen;
  const head = make("summary", "card-head");
  const thumbnail = make("canvas", "thumbnail");
  Object.assign(thumbnail, { width: 96, height: 96 });
  thumbnail.setAttribute("aria-hidden", "true");
  head.append(
    thumbnail, make("span", "number", `${i + 1}`), make("span", "name"),
    make("span", "doubt", "uncertain"), make("span", "sure"),
  );
  fold.append(head, make("p", "why"), make("ul", "bars"));
  card.append(fold);
  return card;
}

function fillCard(card, face) {
  const [head, why, bars] = card.firstElementChild.children;
  const [, , name, doubt, sure] = head.children;
  card.style.setProperty("--hue", hueOf(face.expression));
  name.textContent = nameOf(face);
  doubt.hidden = !face.uncertain;
  why.hidden = !face.uncertain;
  why.textContent = face.reasons.map((reason) => WHY[reason] ?? reason).join("; ");
  sure.textContent = percent(face.confidence);
  reuse(bars, Object.entries(face.probabilities), makeBar, (bar, [label, value]) => {
    const [word, track, number] = bar.children;
    bar.classList.toggle("top-one", label === face.expression);
    bar.style.setProperty("--hue", hueOf(label));
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

function drawThumbnail(canvas, face, row, source) {
  const context = canvas.getContext("2d");
  context.clearRect(0, 0, canvas.width, canvas.height);
  const width = source?.videoWidth ?? source?.width;
  if (!width) return;
  const scale = width / row.width; // a large photo was sent smaller
  const [left, top, right, bottom] = face.box.map((value) => value * scale);
  const side = Math.max(right - left, bottom - top) * 1.2;
  const [x, y] = [(left + right - side) / 2, (top + bottom - side) / 2];
  context.drawImage(source, x, y, side, side, 0, 0, canvas.width, canvas.height);
}

// Hover and focus on a box mark its card, and the other way round; a click on a box opens the card.
export function linkBoxesAndCards(boxes, cards) {
  const mark = (index) => {
    for (const list of [boxes, cards]) {
      [...list.children].forEach((one, i) => one.classList.toggle("current", i === index));
    }
  };
  for (const parent of [boxes, cards]) {
    const indexOf = (event) => [...parent.children].indexOf(event.target.closest(".box, .card"));
    for (const kind of ["mouseover", "focusin"]) parent.addEventListener(kind, (event) => mark(indexOf(event)));
    for (const kind of ["mouseout", "focusout"]) parent.addEventListener(kind, () => mark(-1));
  }
  boxes.addEventListener("click", (event) => {
    const card = cards.children[[...boxes.children].indexOf(event.target.closest(".box"))];
    if (!card) return;
    card.firstElementChild.open = true;
    card.scrollIntoView({ block: "nearest" });
    mark([...cards.children].indexOf(card));
  });
}
