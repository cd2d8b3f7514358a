"""From class activation maps to explanations: what sets a face's answer apart, and where."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from facial_expressions.inference.contracts import Detection
from facial_expressions.preprocessing import Framing, crop_corners
from facial_expressions.results import Explanation, Face


def explain_face(
    face: Face, maps: NDArray[np.float32], detection: Detection, framing: Framing
) -> Explanation:
    """Return what in a face speaks for its answer.

    That is the answer's map less the mean of all classes' maps: the softmax does not see what all
    classes share.

    Args:
        face: The answer.
        maps: What ``ExpressionClassifier.explain`` gave for its crop, ``float32 (K, H, W)``.
        detection: What the crop was cut by.
        framing: How its detector's boxes are framed.
    """
    chosen = face.prediction.labels.index(face.expression)
    heat = (maps[chosen] - maps.mean(axis=0)).astype(float)
    corners = crop_corners(detection.box, detection.landmarks, framing)
    return Explanation(face.expression, tuple(map(tuple, heat.tolist())), corners)
