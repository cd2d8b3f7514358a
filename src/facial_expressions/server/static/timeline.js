// Probabilities over time: a row for each expression, the stronger the colour the more probable.

import { nameOf } from "./faces.js";
import { paintOf } from "./dom.js";

const ROW_PX = 22;
const HOLD_S = 1; // an answer is shown no longer than this

// `points` are {time_s, face}, in order; face is null where there was none. `cursor_s` may be null.
export function drawTimeline(canvas, labels, points, { from_s, to_s, cursor_s = null }) {
  const width = canvas.clientWidth;
  const height = ROW_PX * labels.length;
  const scale = window.devicePixelRatio || 1;
  canvas.width = Math.round(width * scale);
  canvas.height = Math.round(height * scale);
  canvas.style.height = `${height}px`;
  const context = canvas.getContext("2d");
  context.scale(scale, scale);
  const x = (time_s) => ((time_s - from_s) / Math.max(to_s - from_s, 1e-3)) * width;
  const paints = labels.map(paintOf);
  points.forEach(({ time_s, face }, i) => {
    if (!face) return;
    const until_s = Math.min(points[i + 1]?.time_s ?? time_s + 0.2, time_s + HOLD_S);
    labels.forEach((label, row) => {
      context.globalAlpha = face.probabilities[label] ?? 0;
      context.fillStyle = paints[row];
      context.fillRect(x(time_s), row * ROW_PX + 1, x(until_s) - x(time_s) + 0.5, ROW_PX - 2);
    });
  });
  if (cursor_s !== null) {
    context.globalAlpha = 1;
    context.fillStyle = getComputedStyle(canvas).color;
    context.fillRect(x(cursor_s) - 1, 0, 2, height);
  }
  const latest = points.at(-1)?.face;
  canvas.setAttribute("aria-label",
    `Probabilities from ${from_s.toFixed(1)} to ${to_s.toFixed(1)} s; at the end ${latest ? nameOf(latest) : "no face"}`);
}
