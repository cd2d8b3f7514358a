// A recognizer without a server: it has the functions of the one in recognizer.js, and works in a worker.

const WORDS = {
  no_simd: "This browser is too old: its WebAssembly lacks SIMD. Use a current one.",
  download_failed: "The download was cut off. Check the connection, then try again.",
  out_of_memory: "The browser has too little memory for this. Close other tabs, or try a smaller image.",
  too_many_pixels: "The image has too many pixels.",
  unsupported_format: "This browser cannot read this file as an image. Save it as JPEG or PNG.",
  damaged_image: "The image is empty, damaged or truncated.",
  failed: "The recognizer failed. Load the page again.",
};

// `base` is where the built files lie; `onProgress` is told {loaded, total} in bytes while they are downloaded.
export function localRecognizer({ base, onProgress = () => {} }) {
  const worker = startWorker(new URL("worker.js", import.meta.url).href, new URL(base, document.baseURI).href);
  const waiting = new Map();
  let count = 0;
  let failure; // {error, code} once the worker cannot go on
  let fail;
  const model = new Promise((resolve, reject) => {
    fail = (code) => {
      worker.terminate();
      failure = { error: WORDS[code], code };
      reject(Object.assign(new Error(WORDS[code]), { code }));
      for (const answer of waiting.values()) answer(failure);
      waiting.clear();
    };
    worker.addEventListener("message", ({ data }) => {
      if (data.progress) onProgress(data.progress);
      else if (data.model) resolve(data.model);
      else if (data.fatal) fail(data.fatal);
      else answerWith(data);
    });
  });
  model.catch(() => {});
  worker.addEventListener("error", () => fail("failed"));

  function answerWith({ id, row, code }) {
    waiting.get(id)?.(row ? { row } : { error: WORDS[code], code });
    waiting.delete(id);
  }

  return {
    // {name, labels, explains, ...} once all is downloaded; throws an error with a code, in words.
    describe: () => model,

    // Ends it, also while it downloads.
    stop: () => fail("failed"),

    // The faces of an encoded image: {row}, or {error, code}.
    async recognize(blob, { explain = false, session = "" } = {}) {
      await model.catch(() => {});
      if (failure) return failure;
      return new Promise((resolve) => {
        count += 1;
        waiting.set(count, resolve);
        worker.postMessage({ id: count, blob, options: { explain, session } });
      });
    },
  };
}

// The page's content policy binds a worker that starts from a blob, and none that is loaded from an address.
function startWorker(module, base) {
  const [from, to] = [module, base].map((address) => JSON.stringify(address));
  const source = `import(${from}).then(({ start }) => start(${to}), () => postMessage({ fatal: "download_failed" }));`;
  const url = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
  const worker = new Worker(url, { type: "module" });
  worker.addEventListener("message", () => URL.revokeObjectURL(url), { once: true });
  return worker;
}
