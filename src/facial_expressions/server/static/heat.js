// Heat maps over an image: warm where a face supports its answer.

const HEAT_SIDE = 48;

// From a little to most, as in the images that `predict --explain --draw` saves.
function warmColors() {
  const style = getComputedStyle(document.documentElement);
  return [0, 1, 2, 3].map((i) => style.getPropertyValue(`--heat-${i}`).match(/\d+/g).map(Number));
}

export function paintHeat(canvas, row, explanations) {
  canvas.width = row.width;
  canvas.height = row.height;
  const context = canvas.getContext("2d");
  for (const { heat, corners } of explanations) {
    const [[x0, y0], [x1, y1], , [x3, y3]] = corners;
    context.setTransform(x1 - x0, y1 - y0, x3 - x0, y3 - y0, x0, y0);
    context.drawImage(heatTile(heat), 0, 0, 1, 1);
  }
  const named = explanations.map((one, i) => `face ${i + 1}, ${one.expression}: ${warmPlace(one.heat)}`);
  canvas.setAttribute("aria-label", `Heat map of what supports each answer; most of it in ${named.join("; ")}`);
}

// A small image of one face's grid: warm colours, bilinear, soft at its edge.
function heatTile(heat) {
  const tile = document.createElement("canvas");
  tile.width = HEAT_SIDE;
  tile.height = HEAT_SIDE;
  const colors = warmColors();
  const pixels = new ImageData(HEAT_SIDE, HEAT_SIDE);
  const hottest = Math.max(...heat.flat());
  for (let y = 0; y < HEAT_SIDE && hottest > 0; y += 1) {
    for (let x = 0; x < HEAT_SIDE; x += 1) {
      const [u, v] = [(x + 0.5) / HEAT_SIDE, (y + 0.5) / HEAT_SIDE];
      const warm = Math.max(0, sample(heat, u, v) / hottest);
      const inside = Math.min(1, Math.min(u, 1 - u, v, 1 - v) / 0.1);
      const band = Math.min(warm, 0.9999) * (colors.length - 1);
      const [from, to] = [colors[Math.floor(band)], colors[Math.floor(band) + 1]];
      const part = band - Math.floor(band);
      const color = from.map((value, i) => value + (to[i] - value) * part);
      pixels.data.set([...color, 255 * 0.72 * warm * inside], (y * HEAT_SIDE + x) * 4);
    }
  }
  tile.getContext("2d").putImageData(pixels, 0, 0);
  return tile;
}

function sample(grid, u, v) {
  const [rows, columns] = [grid.length, grid[0].length];
  const x = Math.min(Math.max(u * columns - 0.5, 0), columns - 1);
  const y = Math.min(Math.max(v * rows - 0.5, 0), rows - 1);
  const [x0, y0] = [Math.floor(x), Math.floor(y)];
  const [x1, y1] = [Math.min(x0 + 1, columns - 1), Math.min(y0 + 1, rows - 1)];
  const upper = grid[y0][x0] + (grid[y0][x1] - grid[y0][x0]) * (x - x0);
  const lower = grid[y1][x0] + (grid[y1][x1] - grid[y1][x0]) * (x - x0);
  return upper + (lower - upper) * (y - y0);
}

// Where the hottest place lies, for those who do not see the colours.
function warmPlace(heat) {
  const flat = heat.flat();
  const index = flat.indexOf(Math.max(...flat));
  const [row, column] = [Math.floor(index / heat[0].length), index % heat[0].length];
  const third = (value, size, words) => words[Math.min(2, Math.floor((value / size) * 3))];
  const down = third(row, heat.length, ["upper", "middle", "lower"]);
  return `the ${down} ${third(column, heat[0].length, ["left", "middle", "right"])} of the face`.replace("middle middle", "middle");
}
