// Faces to grey crops framed like FER-2013's images, as preprocessing.py.

import { greyWindow, roundEven, sample } from "./pixels.js";

// The affine map [a, b, c, d, e, f] from a face's crop, whose side is `size`, to the image; rounded to a grid, so that
// the last bits of the detector's numbers, which differ from Python's, change no crop.
function cropMatrix({ box, landmarks }, { framing, grid }, size) {
  const exact = cropSide(box, framing);
  const cell = 2 ** Math.floor(Math.log2(exact)) / grid;
  const [side, x, y] = [exact, (box[0] + box[2]) / 2, (box[1] + box[3]) / 2].map((one) => roundEven(one / cell) * cell);
  const angle = roundEven(turn(landmarks, framing) * grid) / grid;
  const [cos, sin] = [(Math.cos(angle) * side) / size, (Math.sin(angle) * side) / size];
  const [u, v] = [framing.center_x * size, framing.center_y * size];
  return [cos, -sin, x - cos * u + sin * v, sin, cos, y - sin * u - cos * v];
}

const cropSide = (box, framing) => Math.sqrt(
  ((box[2] - box[0]) / framing.box_width_fraction) * ((box[3] - box[1]) / framing.box_height_fraction),
);

// The eye line's tilt beyond what a crop keeps, in radians.
function turn([[rightX, rightY], [leftX, leftY]], framing) {
  const roll = Math.atan2(leftY - rightY, leftX - rightX);
  const limit = framing.max_roll_degrees * (Math.PI / 180);
  return roll - Math.min(Math.max(roll, -limit), limit);
}

// The grey crop of a face; null where it reaches too far outside the image to be one.
export function cropFace(image, face, facts, size) {
  if (cropSide(face.box, facts.framing) > facts.largest_overhang * Math.max(image.width, image.height)) return null;
  const [a, b, c, d, e, f] = cropMatrix(face, facts, size);
  const corners = [[0, 0], [0, size], [size, 0], [size, size]];
  const xs = corners.map(([u, v]) => a * u + b * v + c);
  const ys = corners.map(([u, v]) => d * u + e * v + f);
  const [left, top] = [Math.floor(Math.min(...xs)) - 2, Math.floor(Math.min(...ys)) - 2];
  const [right, bottom] = [Math.ceil(Math.max(...xs)) + 2, Math.ceil(Math.max(...ys)) + 2];
  const window = greyWindow(image, left, top, right - left, bottom - top);
  return sample(window, [a, b, c - left, d, e, f - top], size, facts.finest);
}

// Where the corners of a face's crop lie in the image: top left, top right, bottom right, bottom left.
export function cropCorners(face, facts) {
  const [a, b, c, d, e, f] = cropMatrix(face, facts, 1);
  return [[0, 0], [1, 0], [1, 1], [0, 1]].map(([u, v]) => [a * u + b * v + c, d * u + e * v + f]);
}

// The classifier's input, float32 (N, S, S, C), of grey crops.
export function toBatch(crops, { size, channels, mean, std }) {
  const scale = Math.fround(1 / (255 * std));
  const shift = Math.fround(mean / std);
  const data = new Float32Array(crops.length * size * size * channels);
  let to = 0;
  for (const crop of crops) {
    for (const value of crop.data) {
      data.fill(Math.fround(value * scale) - shift, to, to + channels);
      to += channels;
    }
  }
  return { data, dims: [crops.length, size, size, channels] };
}
