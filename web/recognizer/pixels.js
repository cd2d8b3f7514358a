// Pillow's arithmetic on 8-bit images, to the byte: grey, reduce, bilinear resize, affine sampling.
// A canvas resizes otherwise in every browser, which moves boxes and changes answers.
//
// An image is {data, width, height, channels}: rows of RGBA (its alpha means nothing) or of grey values.

const PRECISION_BITS = 32 - 8 - 2; // of a filter's coefficients
const HALF = 1 << (PRECISION_BITS - 1);

export function blank(width, height, channels) {
  return { data: new Uint8ClampedArray(width * height * channels), width, height, channels };
}

// Python's round(): halves go to the even neighbour.
export function roundEven(value) {
  const low = Math.floor(value);
  if (value - low !== 0.5) return Math.round(value);
  return low % 2 === 0 ? low : low + 1;
}

// The grey values of a part of an RGBA image (ITU-R BT.601); outside the image its border is repeated.
export function greyWindow(image, left, top, width, height) {
  const out = blank(width, height, 1);
  const { data } = image;
  for (let y = 0; y < height; y += 1) {
    const row = Math.min(Math.max(top + y, 0), image.height - 1) * image.width;
    for (let x = 0; x < width; x += 1) {
      const i = (row + Math.min(Math.max(left + x, 0), image.width - 1)) * 4;
      out.data[y * width + x] = (data[i] * 19595 + data[i + 1] * 38470 + data[i + 2] * 7471 + 0x8000) >> 16;
    }
  }
  return out;
}

// Means of blocks of whole pixels; the blocks at the right and the bottom may be smaller. As Image.reduce.
export function reduce(image, factorX, factorY, box = [0, 0, image.width, image.height]) {
  const [left, top, right, bottom] = box;
  const out = blank(Math.ceil((right - left) / factorX), Math.ceil((bottom - top) / factorY), image.channels);
  const sums = new Uint32Array(out.width * 3);
  for (let y = 0; y < out.height; y += 1) {
    const y0 = top + y * factorY;
    const y1 = Math.min(y0 + factorY, bottom);
    if (image.channels === 1) sumGrey(image, sums, [left, right, y0, y1], factorX);
    else sumColors(image, sums, [left, right, y0, y1], factorX);
    divide(out, sums, y, (x) => Math.min(factorX, right - left - x * factorX) * (y1 - y0));
  }
  return out;
}

function sumGrey(image, sums, [left, right, y0, y1], factor) {
  sums.fill(0);
  for (let y = y0; y < y1; y += 1) {
    let from = y * image.width + left;
    for (let x = left, i = 0; x < right; i += 1) {
      const end = Math.min(x + factor, right);
      let sum = 0;
      for (; x < end; x += 1, from += 1) sum += image.data[from];
      sums[i] += sum;
    }
  }
}

function sumColors(image, sums, [left, right, y0, y1], factor) {
  const { data } = image;
  sums.fill(0);
  for (let y = y0; y < y1; y += 1) {
    let from = (y * image.width + left) * 4;
    for (let x = left, i = 0; x < right; i += 3) {
      const end = Math.min(x + factor, right);
      let [red, green, blue] = [0, 0, 0];
      for (; x < end; x += 1, from += 4) {
        red += data[from];
        green += data[from + 1];
        blue += data[from + 2];
      }
      sums[i] += red;
      sums[i + 1] += green;
      sums[i + 2] += blue;
    }
  }
}

// Pillow multiplies by a reciprocal in 32 bits, which was divided in single precision.
function divide(out, sums, y, countOf) {
  const { data, width, channels } = out;
  let [count, reciprocal, half] = [0, 0, 0];
  for (let x = 0; x < width; x += 1) {
    if (x === 0 || x === width - 1) { // only the last block differs
      count = countOf(x);
      reciprocal = Math.trunc(Math.fround(2 ** 32 / Math.fround(256 * count)));
      half = count >>> 1;
    }
    const to = (y * width + x) * channels;
    if (channels === 1) {
      data[to] = Math.imul(sums[x] + half, reciprocal) >>> 24;
    } else {
      for (let band = 0; band < 3; band += 1) {
        data[to + band] = Math.imul(sums[x * 3 + band] + half, reciprocal) >>> 24;
      }
      data[to + 3] = 255;
    }
  }
}

// Scale a part of an RGBA image; whole pixels are averaged first, as far as they go. As
// Image.resize(size, BILINEAR, box, reducing_gap).
export function resize(image, [width, height], box = [0, 0, image.width, image.height], gap = 1) {
  const whole = box[0] === 0 && box[1] === 0 && box[2] === image.width && box[3] === image.height;
  if (whole && width === image.width && height === image.height) return image;
  const scale = [(box[2] - box[0]) / width, (box[3] - box[1]) / height];
  const [factorX, factorY] = scale.map((one) => Math.trunc(one / gap) || 1);
  if (factorX === 1 && factorY === 1) return filter(image, width, height, box);
  const safe = [ // and the pixels beside it that the filter reaches
    Math.max(0, Math.trunc(box[0] - 0.5 * scale[0])), Math.max(0, Math.trunc(box[1] - 0.5 * scale[1])),
    Math.min(image.width, Math.ceil(box[2] + 0.5 * scale[0])), Math.min(image.height, Math.ceil(box[3] + 0.5 * scale[1])),
  ];
  const reduced = reduce(image, factorX, factorY, safe);
  return filter(reduced, width, height, [
    (box[0] - safe[0]) / factorX, (box[1] - safe[1]) / factorY,
    (box[2] - safe[0]) / factorX, (box[3] - safe[1]) / factorY,
  ]);
}

function filter(image, width, height, box) {
  const [left, top, right, bottom] = box.map(Math.fround);
  const passes = [];
  if (width !== image.width || left !== 0 || right !== width) {
    passes.push((one) => across(one, coefficients(image.width, left, right, width)));
  }
  if (height !== image.height || top !== 0 || bottom !== height) {
    passes.push((one) => down(one, coefficients(image.height, top, bottom, height)));
  }
  const lost = image.height - height; // as Pillow 13 has it: rows go first where they shrink far more
  if (lost > 0 && lost > 2 * (image.width - width)) passes.reverse();
  return passes.reduce((out, pass) => pass(out), image);
}

// For each of `size` pixels: the first that it is made of, and the weights from there on.
function coefficients(whole, from, to, size) {
  const scale = Math.fround(to - from) / size;
  const support = Math.max(scale, 1);
  const most = Math.ceil(support) * 2 + 1;
  const starts = new Int32Array(size);
  const counts = new Int32Array(size);
  const weights = new Int32Array(size * most);
  for (let i = 0; i < size; i += 1) {
    const center = from + (i + 0.5) * scale;
    const start = Math.max(Math.trunc(center - support + 0.5), 0);
    const count = Math.min(Math.trunc(center + support + 0.5), whole) - start;
    const own = Array.from({ length: count }, (_, k) => Math.max(1 - Math.abs((k + start - center + 0.5) * (1 / support)), 0));
    const sum = own.reduce((total, one) => total + one, 0);
    starts[i] = start;
    counts[i] = count;
    own.forEach((one, k) => {
      weights[i * most + k] = Math.trunc(0.5 + (sum === 0 ? one : one * (1 / sum)) * 2 ** PRECISION_BITS);
    });
  }
  return { size, starts, counts, weights, most };
}

function across(image, { size, starts, counts, weights, most }) {
  const out = blank(size, image.height, 4);
  for (let x = 0; x < size; x += 1) {
    const own = weights.subarray(x * most, x * most + counts[x]);
    for (let y = 0; y < image.height; y += 1) blend(image, (y * image.width + starts[x]) * 4, 4, own, out, (y * size + x) * 4, 1);
  }
  return out;
}

function down(image, { size, starts, counts, weights, most }) {
  const out = blank(image.width, size, 4);
  for (let y = 0; y < size; y += 1) {
    const own = weights.subarray(y * most, y * most + counts[y]);
    blend(image, starts[y] * image.width * 4, image.width * 4, own, out, y * image.width * 4, image.width);
  }
  return out;
}

// Blend `count` pixels side by side, each of as many as there are weights, `step` values apart.
function blend({ data }, from, step, weights, out, to, count) {
  const taps = weights.length;
  const into = out.data;
  for (let n = 0; n < count * 4; n += 4) {
    let red = HALF;
    let green = HALF;
    let blue = HALF;
    for (let k = 0, i = from + n; k < taps; k += 1, i += step) {
      const weight = weights[k];
      red = (red + Math.imul(data[i], weight)) | 0;
      green = (green + Math.imul(data[i + 1], weight)) | 0;
      blue = (blue + Math.imul(data[i + 2], weight)) | 0;
    }
    into[to + n] = red >> PRECISION_BITS;
    into[to + n + 1] = green >> PRECISION_BITS;
    into[to + n + 2] = blue >> PRECISION_BITS;
    into[to + n + 3] = 255;
  }
}

// Sample a grey image by an affine map [a, b, c, d, e, f] from the crop's pixels, averaging where it
// shrinks; `finest` is the fewest pixels per crop pixel that whole-number reduction leaves.
export function sample(image, matrix, size, finest) {
  const step = Math.hypot(matrix[0], matrix[3]);
  const reduction = Math.max(1, Math.trunc(step / finest + 1e-9));
  const source = reduction > 1 ? reduce(image, reduction, reduction) : image;
  const [a, b, c, d, e, f] = reduction > 1 ? matrix.map((value) => value / reduction) : matrix;
  const fine = Math.max(1, Math.ceil(step / reduction - 1e-9));
  const sampled = transform(source, [a / fine, b / fine, c, d / fine, e / fine, f], size * fine);
  return fine === 1 ? sampled : reduce(sampled, fine, fine);
}

// As Image.transform(AFFINE, BICUBIC): black where the map leaves the image.
function transform(image, [a, b, c, d, e, f], size) {
  const { data, width, height } = image;
  const out = blank(size, size, 1);
  const columns = [0, 0, 0, 0];
  const lines = [0, 0, 0, 0];
  for (let y = 0; y < size; y += 1) {
    for (let x = 0; x < size; x += 1) {
      const u = a * (x + 0.5) + b * (y + 0.5) + c;
      const v = d * (x + 0.5) + e * (y + 0.5) + f;
      if (u < 0 || u >= width || v < 0 || v >= height) continue;
      const left = Math.floor(u - 0.5);
      const top = Math.floor(v - 0.5);
      for (let i = 0; i < 4; i += 1) {
        columns[i] = Math.min(Math.max(left - 1 + i, 0), width - 1);
        const row = top - 1 + i;
        lines[i] = Math.min(Math.max(row, 0), height - 1) * width;
      }
      const part = u - 0.5 - left;
      const value = cubic(
        alongRow(data, lines[0], columns, part), alongRow(data, lines[1], columns, part),
        alongRow(data, lines[2], columns, part), alongRow(data, lines[3], columns, part), v - 0.5 - top,
      );
      out.data[y * size + x] = value <= 0 ? 0 : value >= 255 ? 255 : Math.trunc(value);
    }
  }
  return out;
}

const alongRow = (data, row, columns, part) => (
  cubic(data[row + columns[0]], data[row + columns[1]], data[row + columns[2]], data[row + columns[3]], part)
);

function cubic(v1, v2, v3, v4, part) {
  return v2 + part * (-v1 + v3 + part * (2 * (v1 - v2) + v3 - v4 + part * (-v1 + v2 - v3 + v4)));
}
