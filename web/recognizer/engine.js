// Images to rows: decoding, detector, crops, classifier and quality, as inference/recognizer.py.

import { cropCorners, cropFace, toBatch } from "./crops.js";
import { createDetector } from "./detector.js";
import { decode, RecognizerError } from "./images.js";
import { sample } from "./pixels.js";
import { measureQuality, reasonsOf } from "./quality.js";
import { asRow } from "./rows.js";
import { createSessions } from "./sessions.js";

const f32 = Math.fround;

// `facts` are those of model.json; `networks` has `detector` and `classifier`, each a function from
// {data, dims} and names of outputs to [{data, dims}]; `now` gives seconds.
export function createEngine(facts, networks, now) {
  const { classifier, detector: detecting, model } = facts;
  const detector = createDetector(detecting, facts.limits, (batch) => networks.detector(batch, detecting.outputs));
  const inSession = createSessions(detector, facts.tracking, now);

  // The row of an encoded image. Frames of one camera share a `session`.
  async function recognize(blob, { explain = false, session = "" } = {}) {
    const image = await decode(blob, facts.limits);
    const found = await (session ? inSession(session, image) : detector.detect(image));
    const faces = found.length ? await classify(image, found, explain) : [];
    return asRow(facts.row, {
      schema: facts.schema, source: "image", status: "ok", width: image.width, height: image.height,
      truncated: faces.length >= facts.limits.faces, faces,
    });
  }

  // The faces of detections in an image; with `explain` each has its heat map.
  async function classify(image, found, explain = false) {
    const { size } = classifier.preprocessing;
    const crops = found.map((one) => cropFace(image, one, detecting, size));
    if (crops.includes(null)) throw new RecognizerError("damaged_image");
    const outputs = explain ? [classifier.output, classifier.maps] : [classifier.output];
    const [probabilities, maps] = await networks.classifier(toBatch(crops, classifier.preprocessing), outputs);
    return found.map((one, n) => {
      const face = faceOf(one, crops[n], [...part(probabilities, n)], image);
      return maps ? { ...face, explanation: explanationOf(one, face, part(maps, n), maps.dims) } : face;
    });
  }

  function faceOf(found, crop, values, { width, height }) {
    const best = values.indexOf(Math.max(...values));
    const ratio = crop.width / facts.quality.crop_side;
    const seen = ratio === 1 ? crop : sample(crop, [ratio, 0, 0, 0, ratio, 0], facts.quality.crop_side, detecting.finest);
    const quality = measureQuality(found, seen, facts.quality);
    const isUnsure = values[best] < model.uncertain_below;
    const limiting = reasonsOf(quality, facts.quality);
    const reasons = limiting.length || !isUnsure ? limiting : [facts.quality.reasons.at(-1)];
    const [left, top, right, bottom] = found.box;
    return {
      box: [Math.max(left, 0), Math.max(top, 0), Math.min(right, width), Math.min(bottom, height)],
      landmarks: found.landmarks, detection_score: found.score, expression: model.labels[best],
      confidence: values[best], uncertain: reasons.length > 0, uncertain_below: model.uncertain_below,
      probabilities: Object.fromEntries(model.labels.map((label, i) => [label, values[i]])), reasons, quality,
    };
  }

  // The answer's map less the mean of all classes' maps.
  function explanationOf(found, { expression }, maps, [, labels, rows, columns]) {
    const chosen = model.labels.indexOf(expression);
    const cells = rows * columns;
    const heat = Array.from({ length: cells }, (_, i) => {
      let sum = 0;
      for (let label = 0; label < labels; label += 1) sum = f32(sum + maps[label * cells + i]);
      return f32(maps[chosen * cells + i] - f32(sum / labels));
    });
    const grid = Array.from({ length: rows }, (_, y) => heat.slice(y * columns, (y + 1) * columns));
    return { expression, heat: grid, corners: cropCorners(found, detecting) };
  }

  return { recognize, classify };
}

const part = ({ data, dims }, n) => data.subarray((n * data.length) / dims[0], ((n + 1) * data.length) / dims[0]);
