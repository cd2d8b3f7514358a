// The worker: downloads the networks, then answers one image after another. The page's thread does none of it.

import { createEngine } from "./engine.js";
import { RecognizerError } from "./images.js";

// Resolves to the engine, whose files lie at `base`; `now` gives seconds.
export async function open(base, now = () => performance.now() / 1000) {
  if (!hasSimd()) throw new RecognizerError("no_simd");
  const facts = await (await got(new URL("model.json", base))).json().catch(() => { throw cutOff(); });
  const total = Object.values(facts.files).reduce((sum, file) => sum + file.bytes, 0);
  const loaded = {};
  const noteOf = (name) => (bytes) => {
    loaded[name] = bytes;
    postMessage({ progress: { loaded: Object.values(loaded).reduce((sum, one) => sum + one, 0), total } });
  };
  const [ort, ...files] = await Promise.all([
    import(new URL(facts.runtime, base).href).catch(() => { throw cutOff(); }),
    ...["wasm", "detector", "classifier"].map((name) => download(new URL(facts.files[name].path, base), noteOf(name))),
  ]);
  const [wasm, detector, classifier] = files;
  Object.assign(ort.env.wasm, { numThreads: 1, wasmBinary: wasm });
  const networks = {
    detector: await openNetwork(ort, detector, facts.detector.input),
    classifier: await openNetwork(ort, classifier, facts.classifier.input),
  };
  postMessage({ model: facts.model });
  return createEngine(facts, networks, now);
}

async function openNetwork(ort, bytes, input) {
  const session = await ort.InferenceSession.create(bytes, { executionProviders: ["wasm"], logSeverityLevel: 3 });
  return async ({ data, dims }, outputs) => {
    const feeds = { [input]: new ort.Tensor("float32", data, dims) };
    const results = await session.run(feeds, outputs);
    return outputs.map((name) => results[name]);
  };
}

async function got(url) {
  const response = await fetch(url).catch(() => null);
  if (!response?.ok) throw cutOff();
  return response;
}

// The files are packed with gzip; `note` is told how many bytes of them have come.
async function download(url, note) {
  let size = 0;
  const count = new TransformStream({
    transform(part, controller) {
      size += part.length;
      note(size);
      controller.enqueue(part);
    },
  });
  const unpacked = (await got(url)).body.pipeThrough(count).pipeThrough(new DecompressionStream("gzip"));
  try {
    return new Uint8Array(await new Response(unpacked).arrayBuffer());
  } catch {
    throw cutOff();
  }
}

const cutOff = () => new RecognizerError("download_failed");

// A function of the type () -> v128: whether the browser's WebAssembly has SIMD.
function hasSimd() {
  return typeof WebAssembly === "object" && WebAssembly.validate(Uint8Array.of(
    0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0, 253, 15, 253, 98, 11,
  ));
}

// ONNX Runtime wraps what the browser says of memory that it refuses.
const isMemory = (error) => error instanceof RangeError || /RangeError|bad_alloc|OOM/.test(error.message);
const codeOf = (error) => error.code ?? (isMemory(error) ? "out_of_memory" : "failed");

export function start(base) {
  const engine = open(base);
  engine.catch((error) => postMessage({ fatal: codeOf(error), detail: String(error.message) }));
  let queue = engine; // one image at a time, in the order in which they come
  addEventListener("message", ({ data: { id, blob, options } }) => {
    queue = queue.then(async () => {
      try {
        postMessage({ id, row: await (await engine).recognize(blob, options) });
      } catch (error) {
        postMessage({ id, code: codeOf(error), detail: String(error.message) });
      }
    });
  });
}
