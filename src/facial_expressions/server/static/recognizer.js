// The recognizer of a server. Whatever recognizes images for the page has what this one has.

import { toJpeg } from "./dom.js";

const MAX_BYTES = 9.5e6; // larger photos are made smaller here before they are sent
const MAX_SIDE = 4096;
const ANSWER_MS = 60_000; // longer than any deadline of the server

const WORDS = {
  too_many_bytes: "The file is too large for this server.",
  too_many_pixels: "The image has too many pixels for this server.",
  unsupported_format: "This format is not supported. Save it as JPEG or PNG.",
  damaged_image: "The image is empty, damaged or truncated.",
  overloaded: "The server is busy. Try again in a moment.",
  not_ready: "The server is still starting. Try again in a moment.",
  deadline_passed: "The answer took too long. Try a smaller image.",
  too_slow: "The image did not arrive in time.",
  unreachable: "The server does not answer. Is it still running?",
};

export function remoteRecognizer() {
  const isHere = ["localhost", "127.0.0.1", "[::1]"].includes(location.hostname);
  return {
    // Where the images go, to be read before the camera starts.
    where: isHere
      ? "The images stay on this machine, and nothing is stored."
      : `The images go to ${location.host} only, and nothing is stored.`,

    // What answers: {name, labels, explains}. Throws what to tell when nothing does.
    async describe() {
      try {
        const { models } = await (await fetch("v1/models")).json();
        return models[0];
      } catch {
        throw new Error(WORDS.unreachable);
      }
    },

    // The faces of an encoded image: {row}, or {error} in words. `explain` asks for heat maps.
    // Frames of one camera share a `session`: most are searched only where its faces were.
    async recognize(blob, { explain = false, session = "" } = {}) {
      const body = await smallEnough(blob);
      for (let attempt = 0; ; attempt += 1) {
        let response;
        try {
          const headers = session ? { "X-Camera-Session": session } : {};
          const options = { method: "POST", body, headers, signal: AbortSignal.timeout(ANSWER_MS) };
          response = await fetch(explain ? "v1/recognize?explain=true" : "v1/recognize", options);
          if (response.ok) return { row: await response.json() };
        } catch (error) {
          return { error: error.name === "TimeoutError" ? WORDS.deadline_passed : WORDS.unreachable };
        }
        const silent = { message: `The server failed and did not say why (${response.status}).` };
        const problem = await response.json().catch(() => silent);
        const again = Number(response.headers.get("retry-after"));
        if (response.status !== 503 || !again || attempt === 3) {
          return { error: WORDS[problem.code] ?? (problem.message || "Something went wrong.") };
        }
        await new Promise((resolve) => { setTimeout(resolve, again * 1000); });
      }
    },
  };
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
    return file; // not an image that the browser knows: the server says what is wrong
  }
}
