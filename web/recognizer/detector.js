// The face detector, as inference/detectors/centerface.py: two working sizes, merged; or tiles near known faces.
// A candidate is a Float32Array of 15: left, top, right, bottom, score, five times x and y.

import { blank, resize, roundEven } from "./pixels.js";

const f32 = Math.fround;

// `run` takes {data, dims} of equal images, float32 (N, 3, H, W), and resolves to the four grids.
export function createDetector(facts, limits, run) {
  const toGrid = (length) => Math.ceil(length / facts.multiple) * facts.multiple;
  const { decode, suppress, detection } = candidates(facts);

  const largeSide = (longest) => {
    const [lowest, highest] = facts.large_sides;
    return Math.min(Math.max(Math.trunc(longest / 2), lowest), highest);
  };

  async function detect(image) {
    const longest = Math.max(image.width, image.height);
    const sides = [largeSide(longest), facts.small_side].map((side) => Math.min(side, longest));
    const found = [];
    for (const side of new Set(sides)) {
      const sized = shrink(image, side / longest, facts.gap);
      const grids = await run(toBatch([sized], toGrid(sized.width), toGrid(sized.height)));
      const scale = [f32(image.width / sized.width), f32(image.height / sized.height)];
      for (const row of decode(grids, 0)) found.push(row.map((value, i) => (i === 4 ? value : value * scale[xOrY(i)])));
    }
    return detections(found, image);
  }

  // Searches only around boxes; null boxes search all.
  async function detectNear(image, boxes) {
    if (!boxes.length) return [];
    const found = [];
    const tiles = tilesAround(boxes, image);
    if (!tiles.length) return detect(image);
    const [width, height] = tiles[0].size;
    const grids = await run(toBatch(tiles.map((tile) => cut(image, tile, facts.gap)), width, height));
    tiles.forEach((tile, n) => {
      const start = [tile.x, tile.y];
      for (const row of decode(grids, n)) {
        if (!liesIn(row, tile)) continue;
        found.push(row.map((value, i) => (i === 4 ? value : f32(value + start[xOrY(i)]) * f32(tile.scale[xOrY(i)]))));
      }
    });
    return detections(found, image);
  }

  function tilesAround(boxes, image) {
    const whole = [image.width, image.height];
    const most = Math.min(1, largeSide(Math.max(...whole)) / Math.max(...whole));
    const factors = boxes.map((box) => {
      let factor = most;
      while (Math.max(box[2] - box[0], box[3] - box[1]) * factor > facts.tile_face) factor /= 2;
      return factor;
    });
    const size = [0, 1].map((axis) => (
      toGrid(Math.max(...boxes.map((box, i) => (box[axis + 2] - box[axis]) * factors[i])) * facts.tile_margin)
    ));
    if (boxes.length * size[0] * size[1] > most ** 2 * whole[0] * whole[1]) return [];
    return boxes.map((box, i) => {
      const sized = whole.map((side) => Math.max(1, roundEven(side * factors[i])));
      const [x, y] = sized.map((side, axis) => {
        const middle = (box[axis] + box[axis + 2]) / 2;
        const place = roundEven((middle * factors[i] - size[axis] / 2) / facts.multiple) * facts.multiple;
        return Math.min(Math.max(place, 0), Math.max(toGrid(side) - size[axis], 0));
      });
      return { x, y, size, sized, scale: [whole[0] / sized[0], whole[1] / sized[1]] };
    });
  }

  function detections(found, image) {
    const rows = suppress(found.filter((row) => row.every(Number.isFinite))).slice(0, limits.faces);
    return rows
      .filter((row) => row[2] > 1 && row[3] > 1 && row[0] < image.width - 1 && row[1] < image.height - 1)
      .map(detection)
      .sort((one, other) => one.box[0] - other.box[0] || one.box[1] - other.box[1]);
  }

  return { detect, detectNear };
}

const xOrY = (i) => (i < 4 ? i % 2 : (i - 5) % 2);

export function shrink(image, factor, gap) {
  if (factor >= 1) return image;
  const size = [image.width, image.height].map((side) => Math.max(1, roundEven(side * factor)));
  return resize(image, size, undefined, gap);
}

// A tile's pixels; black where it leaves the image.
export function cut(image, { x, y, size, sized, scale }, gap) {
  const [width, height] = [Math.min(size[0], sized[0] - x), Math.min(size[1], sized[1] - y)];
  const [left, top] = [x * scale[0], y * scale[1]];
  const [right, bottom] = [left + width * scale[0], top + height * scale[1]];
  const [x0, y0] = [Math.trunc(left), Math.trunc(top)];
  const part = copy(image, x0, y0, Math.min(Math.ceil(right), image.width), Math.min(Math.ceil(bottom), image.height));
  const box = [left - x0, top - y0, Math.min(right - x0, part.width), Math.min(bottom - y0, part.height)];
  return resize(part, [width, height], box, gap);
}

function copy(image, left, top, right, bottom) {
  const out = blank(right - left, bottom - top, 4);
  for (let y = top; y < bottom; y += 1) {
    const from = (y * image.width + left) * 4;
    out.data.set(image.data.subarray(from, from + out.width * 4), (y - top) * out.width * 4);
  }
  return out;
}

// Planes of red, green and blue, float32, padded with black at the right and the bottom.
function toBatch(images, width, height) {
  const plane = width * height;
  const data = new Float32Array(images.length * 3 * plane);
  images.forEach((image, n) => {
    for (let y = 0; y < image.height; y += 1) {
      let from = y * image.width * 4;
      let to = n * 3 * plane + y * width;
      for (let x = 0; x < image.width; x += 1, from += 4, to += 1) {
        data[to] = image.data[from];
        data[to + plane] = image.data[from + 1];
        data[to + 2 * plane] = image.data[from + 2];
      }
    }
  });
  return { data, dims: [images.length, 3, height, width] };
}

function liesIn(row, { x, y, size, sized }) {
  return [x, y].every((start, axis) => (
    (row[axis] >= 0 || start === 0) && (row[axis + 2] <= size[axis] || start + size[axis] >= sized[axis])
  ));
}

function candidates(facts) {
  // The candidates of image `n`, in pixels of the network's input.
  function decode([heat, size, offset, marks], n) {
    const [, , height, width] = heat.dims;
    const plane = height * width;
    const at = (grid, band, i) => grid.data[(n * grid.dims[1] + band) * plane + i];
    const least = f32(facts.min_score);
    const rows = [];
    for (let i = 0; i < plane; i += 1) {
      const score = at(heat, 0, i);
      if (!(score > least)) continue;
      const high = f32(f32(Math.exp(at(size, 0, i))) * facts.step);
      const wide = f32(f32(Math.exp(at(size, 1, i))) * facts.step);
      const top = (Math.floor(i / width) + at(offset, 0, i) + 0.5) * facts.step - f32(high / 2);
      const left = ((i % width) + at(offset, 1, i) + 0.5) * facts.step - f32(wide / 2);
      const row = Float32Array.of(left, top, left + wide, top + high, score, ...new Array(10));
      for (let k = 0; k < 5; k += 1) { // y before x
        row[5 + 2 * k] = f32(at(marks, 2 * k + 1, i) * wide) + left;
        row[6 + 2 * k] = f32(at(marks, 2 * k, i) * high) + top;
      }
      rows.push(row);
    }
    return rows;
  }

  // Keep the best scored of candidates that overlap, or that lie mostly inside one another.
  function suppress(rows) {
    let left = [...rows].sort((one, other) => other[4] - one[4]);
    const kept = [];
    while (left.length) {
      const [best, ...rest] = left;
      kept.push(best);
      const own = area(best);
      left = rest.filter((row) => {
        const [wide, high] = [0, 1].map((axis) => (
          Math.max(f32(Math.min(best[axis + 2], row[axis + 2]) - Math.max(best[axis], row[axis])), 0)
        ));
        const [both, other] = [f32(wide * high), area(row)];
        const overlap = f32(both / f32(f32(own + other) - both));
        return overlap < f32(facts.max_overlap) && f32(both / Math.min(own, other)) < f32(facts.max_contained);
      });
    }
    return kept;
  }

  function detection(row) {
    const landmarks = [0, 1, 2, 3, 4].map((k) => [row[5 + 2 * k], row[6 + 2 * k]]);
    return { box: [...row.subarray(0, 4)], score: Math.min(row[4], 1), landmarks };
  }

  return { decode, suppress, detection };
}

const area = (row) => f32(f32(row[2] - row[0]) * f32(row[3] - row[1]));
