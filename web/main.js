// The page without a server: loads the recognizer into this browser, with progress and another try.

import { start } from "./app.js";
import { at, setText } from "./dom.js";
import { offlineWords, startKeeping } from "./offline/keep.js";
import { localRecognizer } from "./recognizer/local.js";

const base = new URL("./", document.baseURI).href;
const STALL_MS = 30_000; // without a byte
const STALLED = "Nothing has arrived for 30 seconds. Check the connection, then try again.";
const keeping = startKeeping();
let succeed;
const whenLoaded = new Promise((resolve) => { succeed = resolve; });
let current; // the recognizer of the last try
let stall; // the timer of a download that stands still
let loading = load(); // the last try: {recognizer}, or {error} in words

at("load-again").addEventListener("click", () => { loading = load(); });
whenLoaded.then(async () => setText(at("offline"), await offlineWords()));
start({
  where: "The images stay in this browser, and nothing is stored.",

  async describe() {
    return (await whenLoaded).describe();
  },

  async recognize(image, options) {
    const { recognizer, error } = await loading;
    return recognizer ? recognizer.recognize(image, options) : { error };
  },
});

async function load() {
  showLoading("Loading the networks …");
  stall = setTimeout(showLoading, STALL_MS, STALLED, { hasFailed: true });
  await keeping;
  current?.stop();
  const recognizer = localRecognizer({ base, onProgress });
  current = recognizer;
  try {
    await recognizer.describe();
    at("load").hidden = true;
    succeed(recognizer);
    return { recognizer };
  } catch (error) {
    if (recognizer === current) showLoading(error.message, { hasFailed: true });
    return { error: error.message };
  } finally {
    if (recognizer === current) clearTimeout(stall);
  }
}

// The words change ten times in all, as they are read aloud.
function onProgress({ loaded: bytes, total }) {
  const tenths = Math.floor((10 * bytes) / total);
  showLoading(tenths < 10 ? `Loading the networks: ${tenths * 10}% of ${(total / 1e6).toFixed(1)} MB` : "Starting the networks …");
  at("load-bar").value = bytes / total;
  clearTimeout(stall);
  if (tenths < 10) stall = setTimeout(showLoading, STALL_MS, STALLED, { hasFailed: true });
}

function showLoading(words, { hasFailed = false } = {}) {
  at("load").hidden = false;
  at("load").classList.toggle("failed", hasFailed);
  at("load-again").hidden = !hasFailed;
  setText(at("load-words"), words);
}
