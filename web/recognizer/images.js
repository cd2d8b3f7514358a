// Encoded images to upright RGBA over white, as images.py: its limits, and nothing that is cut short.

import { readHeader } from "./headers.js";

const STRIP_PIXELS = 2 ** 22;

export class RecognizerError extends Error {
  constructor(code, message) {
    super(message);
    this.code = code;
  }
}

// `limits` are the most pixels in all and on a side.
export async function decode(blob, limits) {
  const { kind, size, turn } = readHeader(new Uint8Array(await blob.arrayBuffer()));
  if (size) check(size, limits);
  const bitmap = await bitmapOf(blob, kind, turn);
  try {
    check([bitmap.width, bitmap.height], limits);
    return pixelsOf(bitmap, turn);
  } finally {
    bitmap.close();
  }
}

function check(size, { side, pixels }) {
  if (Math.min(...size) < 1) throw new RecognizerError("damaged_image");
  if (Math.max(...size) > side || size[0] * size[1] > pixels) throw new RecognizerError("too_many_pixels");
}

async function bitmapOf(blob, kind, turn) {
  const imageOrientation = turn === 1 ? "from-image" : "none";
  try {
    return await createImageBitmap(blob, { colorSpaceConversion: "none", premultiplyAlpha: "none", imageOrientation });
  } catch {
    throw new RecognizerError(kind || !blob.size ? "damaged_image" : "unsupported_format");
  }
}

// A large image goes through a canvas in strips, so that there are not two more copies of it.
function pixelsOf(bitmap, turn) {
  const [across, down] = [bitmap.width, bitmap.height];
  const [width, height] = turn > 4 ? [down, across] : [across, down];
  const rows = Math.min(height, Math.ceil(STRIP_PIXELS / width));
  const context = new OffscreenCanvas(width, rows).getContext("2d", { alpha: false, willReadFrequently: true });
  if (!context) throw new RecognizerError("out_of_memory");
  const data = new Uint8ClampedArray(width * height * 4);
  context.fillStyle = "#fff";
  context.imageSmoothingEnabled = false;
  for (let top = 0; top < height; top += rows) {
    context.resetTransform();
    context.fillRect(0, 0, width, rows);
    context.translate(0, -top);
    context.transform(...turned(turn, across, down));
    context.drawImage(bitmap, 0, 0);
    const strip = context.getImageData(0, 0, width, Math.min(rows, height - top));
    data.set(strip.data, top * width * 4);
  }
  return { data, width, height, channels: 4 };
}

// The map from stored to upright pixels of an EXIF orientation.
function turned(turn, width, height) {
  return {
    2: [-1, 0, 0, 1, width, 0], 3: [-1, 0, 0, -1, width, height], 4: [1, 0, 0, -1, 0, height],
    5: [0, 1, 1, 0, 0, 0], 6: [0, 1, -1, 0, height, 0], 7: [0, -1, -1, 0, height, width], 8: [0, -1, 1, 0, 0, width],
  }[turn] ?? [1, 0, 0, 1, 0, 0];
}
