// The page without a server: loads the recognizer into this browser, with progress and another try.

import { start } from "./app.js";
import { at, setText } from "./dom.js";
import { offlineWords, startKeeping } from "./offline/keep.js";
import { localRecognizer } from "./recognizer/local.js";

const base = new URL("./", document.baseURI).href;
const megabytes = (bytes) => (bytes / 1e6).toFixed(1);
const keeping = startKeeping();
let succeed;
const whenLoaded = new Promise((resolve) => { succeed = resolve; });
let loading = load(); // the last try: {recognizer}, or {error} in words

at("load-again").addEventListener("click", () => { loading = load(); });
whenLoaded.then(async () => setText(at("offline"), await offlineWords(await keeping)));
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
  await keeping;
  try {
    const recognizer = localRecognizer({ base, onProgress });
    await recognizer.describe();
    at("load").hidden = true;
    succeed(recognizer);
    return { recognizer };
  } catch (error) {
    showLoading(error.message, { hasFailed: true });
    return { error: error.message };
  }
}

function onProgress({ loaded: bytes, total }) {
  at("load-bar").value = bytes / total;
  setText(at("load-words"), `Loading the networks: ${megabytes(bytes)} of ${megabytes(total)} MB`);
}

function showLoading(words, { hasFailed = false } = {}) {
  at("load").hidden = false;
  at("load").classList.toggle("failed", hasFailed);
  at("load-again").hidden = !hasFailed;
  at("load-bar").removeAttribute("value");
  setText(at("load-words"), words);
}
