// Room for labels in an image: beside their frames, on no other label, over next to nothing of any
// face. The same rule as media/placement.py has for marked files. Rectangles are [left, top, right, bottom].

export function overlap(one, other) {
  const width = Math.min(one[2], other[2]) - Math.max(one[0], other[0]);
  const height = Math.min(one[3], other[3]) - Math.max(one[1], other[1]);
  return Math.max(width, 0) * Math.max(height, 0);
}

export class Room {
  #size;
  #faces;
  #mayCover;
  #labels = [];

  // `most` is the part of a face that all labels together may cover.
  constructor(size, faces, most) {
    this.#size = size;
    this.#faces = faces;
    this.#mayCover = faces.map(([left, top, right, bottom]) => (right - left) * (bottom - top) * most);
  }

  // Takes a place for a label of a frame and returns it; null where there is no room.
  beside([width, height], frame, gap) {
    let best = null;
    for (const [x, y] of corners(width, height, frame, gap)) {
      const left = Math.max(Math.min(x, this.#size[0] - width), 0);
      const top = Math.max(Math.min(y, this.#size[1] - height), 0);
      const spot = [left, top, left + width, top + height];
      if (spot[2] > this.#size[0] || spot[3] > this.#size[1]) return null;
      if (this.#labels.some((label) => overlap(spot, label))) continue;
      const over = this.#faces.map((face) => overlap(spot, face));
      if (over.some((pixels, i) => pixels > this.#mayCover[i])) continue;
      const hidden = over.reduce((sum, pixels) => sum + pixels, 0);
      if (!best || hidden < best.hidden) best = { spot, over, hidden };
    }
    if (!best) return null;
    best.over.forEach((pixels, i) => { this.#mayCover[i] -= pixels; });
    this.#labels.push(best.spot);
    return best.spot;
  }
}

function* corners(width, height, [left, top, right, bottom], gap) {
  const along = [left, right - width, (left + right - width) / 2];
  const besideX = [right + gap, left - gap - width];
  const overOrUnder = [top - gap - height, bottom + gap];
  for (const y of overOrUnder) for (const x of along) yield [x, y];
  for (const y of [top, bottom - height]) for (const x of besideX) yield [x, y];
  for (const y of overOrUnder) for (const x of besideX) yield [x, y];
  for (const y of [bottom - gap - height, top + gap]) for (const x of [left + gap, right - gap - width]) yield [x, y];
}

const LITTLE = 0.06;
const MOST = 0.18;
export const MOST_LABELS = 8; // of more faces the labels are numbers

// Chooses a text and a place for each face. `texts` are from the longest to the shortest, `measure`
// gives the size of one; the answer has {text, spot}, or null where even the shortest has no room.
export function placeLabels(size, frames, texts, measure, gap) {
  const isCrowd = frames.length > MOST_LABELS;
  const attempt = (most, pick) => {
    const room = new Room(size, frames, most);
    return frames.map((frame, i) => {
      for (const text of pick(texts[i])) {
        const spot = room.beside(measure(text), frame, gap);
        if (spot) return { text, spot };
      }
      return null;
    });
  };
  const numbers = (list) => list.slice(-1);
  const tries = isCrowd ? [[LITTLE, numbers]] : [[LITTLE, (list) => list.slice(0, -1)], [LITTLE, numbers]];
  for (const [most, pick] of tries) {
    const placed = attempt(most, pick);
    if (!placed.includes(null)) return placed;
  }
  return attempt(MOST, numbers);
}
