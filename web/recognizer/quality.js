// How well a face can be seen, and what speaks against an answer about it: as quality.py.

// `crop` is the grey crop; what the landmarks do not tell is null.
export function measureQuality({ box, landmarks }, crop, facts) {
  return {
    width_px: box[2] - box[0],
    sharpness: sharpness(crop, facts.far),
    light: percentile(crop.data, facts.light_percentile),
    ...pose(landmarks),
  };
}

export function reasonsOf(quality, facts) {
  const applies = {
    small: quality.width_px < facts.smallest_width_px,
    blurred: quality.sharpness < facts.least_sharpness,
    dark: quality.light < facts.least_light,
    turned: Math.abs(quality.yaw ?? 0) > facts.most_yaw || (quality.pitch ?? 0) > facts.most_pitch,
    tilted: Math.abs(quality.roll_degrees ?? 0) > facts.most_roll_degrees,
  };
  return facts.reasons.filter((reason) => applies[reason]);
}

// The root of the mean squared difference of neighbours by that of pixels far apart.
function sharpness({ data, width, height }, far) {
  const meanSquare = (step) => {
    let [down, across] = [0, 0];
    for (let y = 0; y < height; y += 1) {
      for (let x = 0; x < width; x += 1) {
        const i = y * width + x;
        if (y + step < height) down += (data[i + step * width] - data[i]) ** 2;
        if (x + step < width) across += (data[i + step] - data[i]) ** 2;
      }
    }
    return down / ((height - step) * width) + across / (height * (width - step));
  };
  const apart = meanSquare(far);
  return apart > 0 ? Math.sqrt(meanSquare(1) / apart) : 0;
}

function percentile(values, percent) {
  const sorted = values.slice().sort();
  const place = (percent / 100) * (sorted.length - 1);
  const below = Math.floor(place);
  return sorted[below] + (sorted[Math.min(below + 1, sorted.length - 1)] - sorted[below]) * (place - below);
}

// In the frame of the eyes the middle between them is 0 and the left eye 0.5.
function pose([right, left, ...others]) {
  const eyes = [left[0] - right[0], left[1] - right[1]];
  const square = eyes[0] ** 2 + eyes[1] ** 2;
  if (!square) return { yaw: null, pitch: null, roll_degrees: null };
  const [nose, ...mouth] = others.slice(0, 3).map(([x, y]) => {
    const [fromX, fromY] = [x - (right[0] + left[0]) / 2, y - (right[1] + left[1]) / 2];
    return [(fromX * eyes[0] + fromY * eyes[1]) / square, (fromY * eyes[0] - fromX * eyes[1]) / square];
  });
  const depth = mouth.reduce((sum, [, y]) => sum + y, 0) / 2;
  return { yaw: nose[0], pitch: depth > 0 ? nose[1] / depth : null, roll_degrees: Math.atan2(eyes[1], eyes[0]) * (180 / Math.PI) };
}
