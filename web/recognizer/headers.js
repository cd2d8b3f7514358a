// What the first bytes of an encoded image say, before a decoder is let near it.

const text = (bytes, at, length) => String.fromCharCode(...bytes.subarray(at, at + length));
const little = (bytes, at, n) => bytes.subarray(at, at + n).reduce((sum, byte, i) => sum + byte * 256 ** i, 0);
const big = (bytes, at, n) => bytes.subarray(at, at + n).reduce((sum, byte) => sum * 256 + byte, 0);

// {kind, size, turn}: kind is empty where no browser reads it; size is [width, height] of the stored pixels,
// null where the header does not say; turn is an EXIF orientation that browsers may pass over.
export function readHeader(bytes) {
  if (big(bytes, 0, 3) === 0xffd8ff) return { kind: "JPEG", size: jpegSize(bytes), turn: 1 };
  if (text(bytes, 1, 3) === "PNG") return { kind: "PNG", size: [big(bytes, 16, 4), big(bytes, 20, 4)], turn: 1 };
  if (/^GIF8[79]a/.test(text(bytes, 0, 6))) return { kind: "GIF", size: [little(bytes, 6, 2), little(bytes, 8, 2)], turn: 1 };
  if (text(bytes, 0, 2) === "BM") return { kind: "BMP", size: bmpSize(bytes), turn: 1 };
  if (text(bytes, 0, 4) === "RIFF" && text(bytes, 8, 4) === "WEBP") {
    return { kind: "WebP", size: webpSize(bytes), turn: webpTurn(bytes) };
  }
  if (/^avi[fs]/.test(text(bytes, 8, 4)) && text(bytes, 4, 4) === "ftyp") return { kind: "AVIF", size: null, turn: 1 };
  return { kind: "", size: null, turn: 1 };
}

// From the frame header, the first of the segments 0xC0 to 0xCF that is no table.
function jpegSize(bytes) {
  for (let at = 2; at + 9 < bytes.length && bytes[at] === 0xff; ) {
    const kind = bytes[at + 1];
    if (kind >= 0xc0 && kind <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(kind)) return [big(bytes, at + 7, 2), big(bytes, at + 5, 2)];
    at += kind === 0xff ? 1 : 2 + big(bytes, at + 2, 2);
  }
  return null;
}

function bmpSize(bytes) {
  const isOld = little(bytes, 14, 4) === 12;
  const height = little(bytes, 22, 4); // above 2 ** 31 it is negative: its rows go down
  return isOld ? [little(bytes, 18, 2), little(bytes, 20, 2)] : [little(bytes, 18, 4), Math.min(height, 2 ** 32 - height)];
}

function webpSize(bytes) {
  const kind = text(bytes, 12, 4);
  if (kind === "VP8X") return [1 + little(bytes, 24, 3), 1 + little(bytes, 27, 3)];
  if (kind === "VP8L") return [1 + (little(bytes, 21, 4) & 0x3fff), 1 + ((little(bytes, 21, 4) >>> 14) & 0x3fff)];
  return kind === "VP8 " ? [little(bytes, 26, 2) & 0x3fff, little(bytes, 28, 2) & 0x3fff] : null;
}

function webpTurn(bytes) {
  for (let at = 12; at + 8 < bytes.length; ) {
    const length = little(bytes, at + 4, 4);
    if (text(bytes, at, 4) === "EXIF") return exifTurn(bytes.subarray(at + 8, at + 8 + length));
    at += 8 + length + (length % 2);
  }
  return 1;
}

// The orientation, 1 to 8, of a block of EXIF; 1 where it says none.
function exifTurn(block) {
  const exif = text(block, 0, 4) === "Exif" ? block.subarray(6) : block;
  const number = text(exif, 0, 2) === "MM" ? big : little;
  const first = number(exif, 4, 4);
  const count = number(exif, first, 2);
  for (let i = 0; i < count && first + 2 + 12 * i + 12 <= exif.length; i += 1) {
    const at = first + 2 + 12 * i;
    const value = number(exif, at + 8, 2);
    if (number(exif, at, 2) === 0x0112) return value >= 1 && value <= 8 ? value : 1;
  }
  return 1;
}
