// The camera: frames to the recognizer, answers to the page. At most two frames are in flight, so that the
// next one is taken and packed while one is worked on; frames that come meanwhile are never queued.

import { pause, toJpeg } from "./dom.js";

const FRAME_SIDE = 640;
const FRAME_MS = 40; // at most 25 frames a second
const LANES = 2; // frames in flight
const STALL_MS = 3000; // no image from the camera
const STALE_MS = 2000; // the same image from the camera

export const CAMERA_WORDS = {
  none: "This browser offers no camera here. Open the page on https or on localhost.",
  NotAllowedError: "The browser did not allow the camera. Allow it in the address bar, then try again.",
  NotFoundError: "There is no camera on this device.",
  NotReadableError: "The camera is used by another program. Close that program, then try again.",
  ended: "The camera was unplugged or switched off.",
  stalled: "The camera sends no images any more.",
  stale: "The camera sends the same image over and over. Is it covered, or stuck?",
};

export async function openCamera() {
  if (!navigator.mediaDevices?.getUserMedia) throw new DOMException("", "none");
  const video = { width: { ideal: 1280 }, height: { ideal: 720 }, facingMode: "user" };
  return navigator.mediaDevices.getUserMedia({ video, audio: false });
}

// Reads a video element that plays `stream` until `stop` is called or the camera ends.
// `answered` gets {row, image, canvas, time_s, took_ms, isStale}; `failed` words; `ended` a key of CAMERA_WORDS.
export function watchCamera(video, stream, recognize, { answered, failed, ended }) {
  const began = performance.now();
  const state = { isOn: true, lastTime: -1, changed: began, taken: 0, shown: 0 };
  const stop = () => {
    state.isOn = false;
    for (const track of stream.getTracks()) track.stop();
  };
  const end = (reason) => {
    if (!state.isOn) return;
    stop();
    ended(reason);
  };
  stream.getVideoTracks()[0].addEventListener("ended", () => end("ended"));

  const lane = async () => {
    const canvas = document.createElement("canvas");
    while (state.isOn) {
      const start = performance.now();
      if (video.currentTime !== state.lastTime) state.changed = start;
      else if (start - state.changed > STALL_MS && !document.hidden) {
        end("stalled");
        return;
      }
      const isEarly = video.currentTime === state.lastTime || start - state.taken < FRAME_MS;
      if (document.hidden || !video.videoWidth || isEarly) {
        await pause(FRAME_MS / 4);
        continue;
      }
      Object.assign(state, { lastTime: video.currentTime, taken: start });
      drawFrame(video, canvas, FRAME_SIDE);
      const image = await toJpeg(canvas, 0.85);
      await noteChange(state, image, start);
      const answer = await recognize(image);
      if (!state.isOn) return;
      if (!answer.row) {
        failed(answer.error);
        await pause(1000);
        continue;
      }
      if (start < state.shown) continue; // the frame after it was answered first
      state.shown = start;
      answered({
        row: answer.row, image, canvas, time_s: (start - began) / 1000,
        took_ms: performance.now() - start, isStale: start - state.fresh > STALE_MS,
      });
    }
  };
  for (let i = 0; i < LANES; i += 1) lane();
  return stop;
}

// Draws what a video shows, shrunk to a longest side; the canvas is reused.
export function drawFrame(video, canvas, side) {
  const factor = Math.min(1, side / Math.max(video.videoWidth, video.videoHeight));
  const size = [Math.round(video.videoWidth * factor), Math.round(video.videoHeight * factor)];
  if (canvas.width !== size[0] || canvas.height !== size[1]) [canvas.width, canvas.height] = size;
  const context = canvas.getContext("2d", { alpha: false, willReadFrequently: true });
  context.drawImage(video, 0, 0, canvas.width, canvas.height);
}

async function noteChange(state, image, now) {
  const bytes = new Uint8Array(await image.arrayBuffer());
  const before = state.bytes;
  const isSame = before?.length === bytes.length && bytes.every((value, i) => value === before[i]);
  if (!isSame) Object.assign(state, { bytes, fresh: now });
}
