// The face detector, as inference/detectors/centerface.py: coarsely, then in tiles; or in tiles near known faces.
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
    const size = [image.width, image.height];
    const longest = Math.max(...size);
    const large = Math.min(largeSide(longest), longest);
    const coarse = Math.min(Math.max(facts.small_side, Math.trunc(large / 2)), large);
    const faint = await search(image, wholeTile(size, coarse / longest), facts.faint);
    const isLonger = (row, side) => f32(lengthOf(row) * f32(large / longest)) > side;
    const isOwn = (row) => coarse === large || isLonger(row, facts.large_face);
    const found = faint.filter((row) => isOwn(row) && row[4] >= f32(facts.min_score));
    const mayFill = coarse > facts.small_side && faint.some((row) => isLonger(row, facts.tile_face));
    const tiles = mayFill ? [wholeTile(size, facts.small_side / longest)] : [];
    for (const tile of [...tiles, ...closer(faint, size, coarse, large)]) {
      found.push(...await search(image, tile, facts.min_score));
    }
    return detections(found, image);
  }

  // Searches only around boxes; null boxes search all.
  async function detectNear(image, boxes) {
    const size = [image.width, image.height];
    const most = Math.min(1, largeSide(Math.max(...size)) / Math.max(...size));
    const groups = new Map();
    for (const box of boxes) {
      let factor = most;
      while (Math.max(box[2] - box[0], box[3] - box[1]) * factor > facts.tile_face) factor /= 2;
      groups.set(factor, [...(groups.get(factor) || []), box]);
    }
    const tiles = [...groups].flatMap(([factor, group]) => {
      const off = f32(facts.off_grid / factor);
      const grown = group.map((box) => box.map((side, i) => f32(f32(side) + (i < 2 ? -off : off))));
      return tilesAround(grown, size, factor).map((tile) => ({ ...tile, factor }));
    });
    if (!tiles.length) return [];
    if (areaOf(tiles) > most ** 2 * size[0] * size[1]) return detect(image);
    const found = [];
    for (const tile of tiles) {
      const isOwn = (row) => tile.factor === most || f32(lengthOf(row) * f32(most)) > facts.half_face;
      found.push(...(await search(image, tile, facts.min_score)).filter(isOwn));
    }
    return detections(found, image);
  }

  // The candidates of a tile, in pixels of the image.
  async function search(image, tile, least) {
    const grids = await run(toBatch([cut(image, tile, facts.gap)], ...tile.size));
    const start = [tile.x, tile.y];
    return decode(grids, least)
      .filter((row) => liesIn(row, tile) && row.every(Number.isFinite))
      .map((row) => row.map((value, i) => (i === 4 ? value : f32(value + start[xOrY(i)]) * f32(tile.scale[xOrY(i)]))));
  }

  // What is to be looked at closer, of an image that was searched at a coarse side.
  function closer(rows, size, coarse, large) {
    const factor = large / Math.max(...size);
    const twice = Math.min(2 * factor, 1);
    const isTiny = (row) => twice > factor && f32(f32(row[2] - row[0]) * f32(factor)) < facts.tiny_face;
    const isNear = (row) => (
      coarse < large && !isTiny(row) && f32(lengthOf(row) * f32(factor)) <= facts.large_face
    );
    const tiles = [
      ...tilesAround(rows.filter(isNear), size, factor), ...tilesAround(rows.filter(isTiny), size, twice),
    ];
    const everything = wholeTile(size, factor);
    return areaOf(tiles) <= areaOf([everything]) ? tiles : [everything];
  }

  function wholeTile(size, factor) {
    const sized = size.map((side) => Math.max(1, roundEven(side * factor)));
    const scale = size.map((side, axis) => side / sized[axis]);
    return { x: 0, y: 0, size: sized.map(toGrid), sized, scale };
  }

  // Tiles that hold all boxes; joined where one costs no more than two.
  function tilesAround(boxes, size, factor) {
    const everything = wholeTile(size, factor);
    const parts = new Map();
    for (const box of boxes) {
      const [starts, ends] = [[], []];
      for (const axis of [0, 1]) {
        const [from, to] = [box[axis], box[axis + 2]].map((value) => f32(f32(value) / f32(everything.scale[axis])));
        const own = f32(to - from);
        const needed = Math.max(f32(own * f32(facts.tile_margin)), f32(own + facts.tile_around));
        const side = Math.ceil(needed / facts.multiple) * facts.multiple;
        const middle = f32(f32(to + from) / 2);
        const place = roundEven(f32(middle - side / 2) / facts.multiple) * facts.multiple;
        const limit = everything.size[axis];
        starts.push(Math.min(Math.max(place, 0), Math.max(limit - side, 0)));
        ends.push(Math.min(starts[axis] + side, limit));
      }
      parts.set([...starts, ...ends].join(), [...starts, ...ends]);
    }
    if (parts.size > facts.most_tiles) return [everything];
    const byPlace = (one, other) => one.map((side, i) => side - other[i]).find((difference) => difference) || 0;
    return join([...parts.values()].sort(byPlace)).map(([x, y, right, bottom]) => (
      { ...everything, x, y, size: [right - x, bottom - y] }
    ));
  }

  // As many parts or fewer that hold them all: two become one where that is cheaper.
  function join(parts) {
    const joined = [];
    for (let one of parts) {
      for (;;) {
        const unions = joined.map((other) => one.map((side, i) => (i < 2 ? Math.min : Math.max)(side, other[i])));
        const costs = unions.map((union, i) => area(union) - area(joined[i]));
        const least = Math.min(...costs);
        if (!(least <= area(one) + facts.tile_start)) break;
        const best = costs.indexOf(least);
        joined.splice(best, 1);
        one = unions[best];
      }
      joined.push(one);
    }
    return joined;
  }

  function detections(found, image) {
    const rows = suppress(found).slice(0, limits.faces);
    return rows
      .filter((row) => row[2] > 1 && row[3] > 1 && row[0] < image.width - 1 && row[1] < image.height - 1)
      .map(detection)
      .sort((one, other) => one.box[0] - other.box[0] || one.box[1] - other.box[1]);
  }

  return { detect, detectNear };
}

const xOrY = (i) => (i < 4 ? i % 2 : (i - 5) % 2);

const lengthOf = (row) => Math.max(f32(row[2] - row[0]), f32(row[3] - row[1]));

const areaOf = (tiles) => tiles.reduce((sum, { size }) => sum + size[0] * size[1], 0);

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
  // The candidates in pixels of the network's input.
  function decode([heat, size, offset, marks], minScore) {
    const [, , height, width] = heat.dims;
    const plane = height * width;
    const at = (grid, band, i) => grid.data[band * plane + i];
    const least = f32(minScore);
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
