// The faces of one camera's frames: whole frames are searched now and then, and where the faces were in between.
// As media/analysis.py and server/cameras.py.

import { center, createTracker, shared } from "./tracking.js";

// Finds the faces of the frames of one camera, in order; `now` gives seconds.
function createSession(detector, facts) {
  const tracker = createTracker(facts);
  let size = "";
  let planned = -Infinity;
  let searched = -Infinity;
  let isLost = false;

  const isFullDue = (frame, time) => {
    const own = `${frame.width}x${frame.height}`;
    const isDue = own !== size || time - planned >= facts.full_search_s - 1e-6;
    if (isDue) [size, planned] = [own, time];
    return isDue;
  };

  const searchAll = (frame, time) => {
    [searched, isLost] = [time, false];
    return detector.detect(frame);
  };

  const searchRegions = async (frame, time) => {
    const isInside = (box) => center(box).every((at, axis) => 0 <= at && at < [frame.width, frame.height][axis]);
    const expected = tracker.expect(time);
    const present = expected.present.filter(isInside);
    const found = await detector.detectNear(frame, [...present, ...expected.hidden.filter(isInside)]);
    isLost ||= present.some((box) => found.every((one) => shared(one.box, box) < facts.same_face));
    return isLost && time - searched >= facts.rest_s ? searchAll(frame, time) : found;
  };

  return async (frame, time) => {
    const found = await (isFullDue(frame, time) ? searchAll : searchRegions)(frame, time);
    tracker.update(found, time);
    return found;
  };
}

// Sessions by their names; one is forgotten some seconds after its last frame.
export function createSessions(detector, facts, now) {
  const sessions = new Map();
  return (key, frame) => {
    const time = now();
    for (const [name, { used }] of sessions) if (time - used > facts.kept_s) sessions.delete(name);
    const session = sessions.get(key) ?? { find: createSession(detector, facts) };
    session.used = time;
    sessions.set(key, session);
    return session.find(frame, time);
  };
}
