// A video file, read frame by frame in the browser: only single frames go to the recognizer.

import { toJpeg } from "./dom.js";
import { drawFrame } from "./camera.js";

const STEP_S = 0.2;
const MOST_FRAMES = 600; // longer videos are read in longer steps
const FRAME_SIDE = 960;
const SEEK_MS = 15_000;

export const VIDEO_WORDS =
  "This browser cannot play this video. The command line reads more formats: facial-expressions video FILE";

// Yields {image, time_s, step_s, duration_s} from begin to end; throws what to tell where it cannot be read.
export async function* framesOf(url) {
  const video = document.createElement("video");
  Object.assign(video, { muted: true, preload: "auto", src: url });
  try {
    await reached(video, "loadeddata");
    if (!Number.isFinite(video.duration)) await seek(video, Number.MAX_SAFE_INTEGER); // recorded by a browser
    const duration_s = video.duration;
    const step_s = Math.max(STEP_S, duration_s / MOST_FRAMES);
    const canvas = document.createElement("canvas");
    for (let i = 0; i * step_s < duration_s; i += 1) {
      await seek(video, i * step_s);
      if (!video.videoWidth) throw new Error(VIDEO_WORDS);
      drawFrame(video, canvas, FRAME_SIDE);
      yield { image: await toJpeg(canvas, 0.9), time_s: i * step_s, step_s, duration_s };
    }
  } finally {
    video.removeAttribute("src");
    video.load();
  }
}

async function seek(video, time_s) {
  const done = reached(video, "seeked");
  video.currentTime = time_s;
  await done;
}

function reached(video, event) {
  return new Promise((resolve, reject) => {
    const fail = () => reject(new Error(VIDEO_WORDS));
    const timer = setTimeout(fail, SEEK_MS);
    video.addEventListener(event, () => { clearTimeout(timer); resolve(); }, { once: true });
    video.addEventListener("error", () => { clearTimeout(timer); fail(); }, { once: true });
  });
}

// The row of the frame that is on the screen at a time; undefined where none was read.
export function rowAt(rows, time_s, step_s) {
  const last = rows.findLast((row) => row.time_s <= time_s + 0.01);
  return last && time_s - last.time_s <= step_s * 1.5 ? last : undefined;
}
