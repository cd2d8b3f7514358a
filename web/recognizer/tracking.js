// Faces of a camera's frames: where each should be, and which is which. As media/tracking.py.
// A detection is {box, score, landmarks}.

export function createTracker(facts) {
  let tracks = [];
  let last = -Infinity; // seconds
  let intervals = [];

  const longestGap = (time) => {
    const lately = intervals.length ? intervals : [time - last];
    const usual = Math.max(facts.interval_s, ...lately);
    return Math.max(facts.longest_gap_s, usual) + usual / 2;
  };

  // Takes what was found in a frame.
  function update(detections, time) {
    const oldest = time - longestGap(time);
    tracks = tracks.filter((track) => track.time >= oldest);
    if (Number.isFinite(last)) intervals = [...intervals, time - last].slice(-facts.n_intervals);
    const costs = tracks.map((track) => detections.map((found) => cost(track, found, time)));
    const pairs = assign(costs, facts.limit);
    const isTaken = new Set(pairs.map(([, column]) => column));
    for (const [row, column] of pairs) see(tracks[row], detections[column], time);
    for (const [column, detection] of detections.entries()) {
      if (!isTaken.has(column)) tracks.push({ detection, time, speed: [0, 0], sightings: 1 });
    }
    last = time;
  }

  // Where the faces of the last update should be now, and those that were seen before it and may come back.
  function expect(time) {
    const expected = { present: [], hidden: [] };
    for (const track of tracks) {
      if (time - track.time > longestGap(time)) continue;
      expected[track.time < last ? "hidden" : "present"].push(foresee(track, time));
    }
    return expected;
  }

  function foresee(track, time) {
    const moving = facts.speed_decay_s * (1 - Math.exp(-(time - track.time) / facts.speed_decay_s));
    const [x, y] = track.speed.map((speed) => speed * moving);
    const [left, top, right, bottom] = track.detection.box;
    return [left + x, top + y, right + x, bottom + y];
  }

  function see(track, detection, time) {
    const passed = time - track.time;
    if (passed > 0) {
      const [now, before] = [center(detection.box), center(track.detection.box)];
      const weight = Math.max(1 - Math.exp(-passed / facts.speed_memory_s), 1 / track.sightings);
      track.speed = track.speed.map((speed, i) => speed + weight * ((now[i] - before[i]) / passed - speed));
    }
    Object.assign(track, { detection, time, sightings: track.sightings + 1 });
  }

  // What it costs to continue a track with a detection; infinite where it cannot be.
  function cost(track, { box: other }, time) {
    const box = foresee(track, time);
    const [side, otherSide] = [Math.sqrt(area(box)), Math.sqrt(area(other))];
    const [from, to] = [center(box), center(other)];
    const distance = Math.hypot(from[0] - to[0], from[1] - to[1]) / ((side + otherSide) / 2);
    const reach = Math.min(facts.reach + facts.reach_per_second * (time - track.time), facts.longest_reach);
    const ratio = Math.abs(Math.log(side / otherSide));
    if (distance > reach || ratio > Math.log(facts.largest_ratio)) return Infinity;
    return distance + 1 - shared(box, other) + ratio;
  }

  return { update, expect };
}

export const center = (box) => [(box[0] + box[2]) / 2, (box[1] + box[3]) / 2];

const area = (box) => (box[2] - box[0]) * (box[3] - box[1]);

// The intersection over the union of two boxes, 0 to 1.
export function shared(one, other) {
  const [wide, high] = [0, 1].map((axis) => (
    Math.max(Math.min(one[axis + 2], other[axis + 2]) - Math.max(one[axis], other[axis]), 0)
  ));
  return (wide * high) / (area(one) + area(other) - wide * high);
}

// Pairs [row, column] at the least total of cost - limit, by shortest augmenting paths.
export function assign(costs, limit) {
  if (!costs.length) return [];
  // Each row has a further column of its own, at no gain: it stands for no pair.
  const gains = costs.map((row) => [...row.map((one) => Math.min(one - limit, 0)), ...costs.map(() => 0)]);
  const columns = gains[0].length;
  const rowPrice = gains.map(() => 0);
  const columnPrice = new Array(columns + 1).fill(0);
  const owner = new Array(columns + 1).fill(-1); // row of each column; the last column is a start only
  for (let row = 0; row < gains.length; row += 1) {
    owner[columns] = row;
    augment(gains, owner, rowPrice, columnPrice);
  }
  return owner.slice(0, columns)
    .flatMap((row, column) => (row >= 0 && gains[row][column] < 0 ? [[row, column]] : []))
    .sort(([one], [other]) => one - other);
}

// Gives the row in the last place a column, moving others where that is cheaper.
function augment(costs, owner, rowPrice, columnPrice) {
  const columns = owner.length - 1;
  const distance = new Array(columns).fill(Infinity);
  const cameFrom = new Array(columns).fill(columns);
  const visited = new Array(columns + 1).fill(false);
  let column = columns;
  while (owner[column] >= 0) {
    visited[column] = true;
    const row = owner[column];
    let nearest = -1;
    for (let other = 0; other < columns; other += 1) {
      if (visited[other]) continue;
      const slack = costs[row][other] - rowPrice[row] - columnPrice[other];
      if (slack < distance[other]) [distance[other], cameFrom[other]] = [slack, column];
      if (nearest < 0 || distance[other] < distance[nearest]) nearest = other;
    }
    const step = distance[nearest];
    for (let other = 0; other <= columns; other += 1) {
      if (visited[other]) {
        rowPrice[owner[other]] += step;
        columnPrice[other] -= step;
      } else if (other < columns) {
        distance[other] -= step;
      }
    }
    column = nearest;
  }
  while (column !== columns) {
    owner[column] = owner[cameFrom[column]];
    column = cameFrom[column];
  }
  owner[columns] = -1;
}
