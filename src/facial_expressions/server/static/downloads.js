// Results as files: JSON, CSV, and the marked image.

import { paintOf } from "./dom.js";
import { labelTexts } from "./faces.js";
import { MOST_LABELS, placeLabels } from "./placement.js";

export function saveAs(name, blob) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

export const toJson = (rows) => new Blob([JSON.stringify(rows, null, 1)], { type: "application/json" });

// The columns of `predict --format csv`, with the time in a video or of the camera before them.
export function toCsv(rows, labels) {
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
  return new Blob(lines.map((line) => `${line.map(csvField).join(",")}\r\n`), { type: "text/csv" });
}

// What would steer a terminal, as `predict --format csv` escapes it.
const STEERING = /[\0-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u206f\ufeff\ufff9-\ufffb]|\udb40[\udc00-\udc7f]/g;
const escaped = (found) => found.split("").map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`).join("");

function csvField(value) {
  let text = String(value);
  const first = text.replace(/^[\s\p{Cc}\p{Cf}]+/u, "").normalize("NFKC");
  const isFormula = /^[=+@\u2212-]/.test(first) || /^[\t\n\r]/.test(text);
  if (isFormula && !/^-(\d+(\.\d+)?)?$/.test(text)) text = `'${text}`; // or a spreadsheet would run it
  text = text.replace(STEERING, escaped);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

// The image with frames and labels, as a PNG. A crowd has numbers, and a legend under the image.
// `heat` is the canvas of the heat map, or null.
export function markedImage(source, row, heat) {
  const unit = Math.max(12, Math.min(row.width, row.height) * 0.025);
  const font = `600 ${unit}px system-ui, sans-serif`;
  const canvas = document.createElement("canvas");
  const context = canvas.getContext("2d");
  const legend = row.faces.length > MOST_LABELS ? row.faces.map((face, i) => [face, labelTexts(face, i)[0]]) : [];
  const columns = Math.max(1, Math.min(legend.length, Math.floor(row.width / (unit * 11))));
  const lines = Math.ceil(legend.length / columns);
  canvas.width = row.width;
  canvas.height = row.height + Math.ceil(lines * unit * 1.5 + (lines ? unit : 0));
  context.fillStyle = "#121418";
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.drawImage(source, 0, 0, row.width, row.height);
  if (heat) context.drawImage(heat, 0, 0);
  Object.assign(context, { font, textBaseline: "middle", lineJoin: "round" });
  row.faces.forEach((face) => drawFrame(context, face, unit * 0.16));
  const measure = (text) => [context.measureText(text).width + unit * 1.4, unit * 1.6];
  const frames = row.faces.map((face) => face.box);
  const labels = placeLabels([row.width, row.height], frames, row.faces.map(labelTexts), measure, unit * 0.3);
  labels.forEach((label, i) => {
    if (!label) return;
    const [left, top, right, bottom] = label.spot;
    context.fillStyle = "rgb(18 20 24 / 82%)";
    context.fillRect(left, top, right - left, bottom - top);
    drawText(context, label.text, row.faces[i], left, (top + bottom) / 2, unit);
  });
  legend.forEach(([face, text], i) => {
    const [column, line] = [Math.floor(i / lines), i % lines];
    drawText(context, text, face, (column * row.width) / columns, row.height + unit * (1.25 + line * 1.5), unit);
  });
  return new Promise((resolve) => { canvas.toBlob(resolve, "image/png"); });
}

function drawFrame(context, face, line) {
  const [left, top, right, bottom] = face.box;
  for (const [color, width] of [["rgb(18 20 24 / 80%)", line * 2], [paintOf(face.expression), line]]) {
    context.strokeStyle = color;
    context.lineWidth = width;
    context.strokeRect(left, top, right - left, bottom - top);
  }
}

function drawText(context, text, face, left, middle, unit) {
  context.fillStyle = paintOf(face.expression);
  context.fillRect(left + unit * 0.3, middle - unit * 0.5, unit * 0.28, unit);
  context.fillStyle = "#ffffff";
  context.fillText(text, left + unit * 0.9, middle);
}
