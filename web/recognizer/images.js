// Encoded images to upright RGBA over white, as images.py: its limits, and nothing that is cut short.

export class RecognizerError extends Error {
  constructor(code, message) {
    super(message);
    this.code = code;
  }
}

export async function decode(blob, limits) {
  if (!blob.size) throw new RecognizerError("damaged_image");
  const bitmap = await bitmapOf(blob);
  try {
    const { width, height } = bitmap;
    if (Math.max(width, height) > limits.side || width * height > limits.pixels) throw new RecognizerError("too_many_pixels");
    const context = new OffscreenCanvas(width, height).getContext("2d", { alpha: false, willReadFrequently: true });
    if (!context) throw new RecognizerError("out_of_memory");
    context.fillStyle = "#fff";
    context.fillRect(0, 0, width, height);
    context.drawImage(bitmap, 0, 0);
    const { data } = context.getImageData(0, 0, width, height);
    return { data, width, height, channels: 4 };
  } finally {
    bitmap.close();
  }
}

async function bitmapOf(blob) {
  try {
    return await createImageBitmap(blob, { colorSpaceConversion: "none", imageOrientation: "from-image" });
  } catch {
    throw new RecognizerError("unsupported_format");
  }
}
