/* Runs ``@vladmandic/face-api`` in Node: times what it is told, one line of JSON each.
 *
 * Started by ``benchmarks/peer_web.py`` with the folder of its packages; nothing of this repository
 * is loaded here. Networks are called as the package's own ``demo/node-wasm.js`` does it, on pixels.
 */
"use strict";

const fs = require("fs");
const path = require("path");
const readline = require("readline");
const { createRequire } = require("module");

console.log = console.error; // only answers may be on the pipe

const modules = path.join(process.argv[2], "node_modules");
const load = createRequire(path.join(modules, "here.js"));
const tf = load("@tensorflow/tfjs");
const wasm = load("@tensorflow/tfjs-backend-wasm");
const faceapi = load("@vladmandic/face-api/dist/face-api.node-wasm.js");

const detectors = {
  ssd_mobilenetv1: () => new faceapi.SsdMobilenetv1Options(),
  tiny_face_detector: () => new faceapi.TinyFaceDetectorOptions(),
};

const tasks = {
  async versions() {
    return {
      "@vladmandic/face-api": faceapi.version,
      "@tensorflow/tfjs": tf.version_core,
      node: process.version,
      backend: faceapi.tf.getBackend(),
      simd: await tf.env().getAsync("WASM_HAS_SIMD_SUPPORT"),
      threads: wasm.getThreadsCount(),
    };
  },

  /* Expressions of grey crops that are cut out already. */
  async crop({ path: file, size, repeats }) {
    const crop = repeatGrey(fs.readFileSync(file));
    const classify = () =>
      withTensor(crop, [size, size, 3], (image) => faceapi.nets.faceExpressionNet.predictExpressions(image));
    return { seconds: await seconds(classify, repeats), answer: best(await classify()) };
  },

  /* Faces and their expressions in images of one size: RGB, one after the other in a file. */
  async images({ path: file, width, height, detector, repeats }) {
    const content = fs.readFileSync(file);
    const bytes = width * height * 3;
    const options = detectors[detector]();
    let faces = [];
    const all = async () => {
      faces = [];
      for (let at = 0; at < content.length; at += bytes) {
        const pixels = content.subarray(at, at + bytes);
        faces.push(await withTensor(pixels, [height, width, 3], (image) =>
          faceapi.detectAllFaces(image, options).withFaceExpressions()));
      }
    };
    return {
      seconds: await seconds(all, repeats),
      faces: faces.map((found) => found.map((face) => best(face.expressions))),
      tensors: tf.memory().numTensors,
    };
  },
};

function repeatGrey(grey) {
  return Uint8Array.from({ length: 3 * grey.length }, (_, index) => grey[Math.floor(index / 3)]);
}

function best(expressions) {
  return expressions.asSortedArray()[0].expression;
}

async function withTensor(pixels, shape, use) {
  const tensor = tf.tensor3d(pixels, shape, "int32");
  try {
    return await use(tensor);
  } finally {
    tensor.dispose();
  }
}

async function seconds(call, repeats) {
  const times = [];
  for (let i = 0; i < repeats; i += 1) {
    const start = performance.now();
    await call();
    times.push((performance.now() - start) / 1000);
  }
  return times;
}

async function main() {
  wasm.setWasmPaths(path.join(modules, "@tensorflow", "tfjs-backend-wasm", "dist") + path.sep);
  await tf.setBackend("wasm");
  await tf.ready();
  const models = path.join(modules, "@vladmandic", "face-api", "model");
  for (const net of ["ssdMobilenetv1", "tinyFaceDetector", "faceExpressionNet"]) {
    await faceapi.nets[net].loadFromDisk(models);
  }
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const { task, ...fields } = JSON.parse(line);
    process.stdout.write(`${JSON.stringify(await tasks[task](fields))}\n`);
  }
}

main();
