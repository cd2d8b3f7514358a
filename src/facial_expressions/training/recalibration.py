"""Recalibration: fit the maps of confidences of a model file again.

A network in 8 bits is a little more or less sure than the one it was made from. Each head's map is
fitted on validation images, never on test ones; weights, class biases and temperature stay. A head
for which a map does not pay on images that it was not fitted on keeps what it has.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import onnx
from numpy.typing import NDArray

from facial_expressions.calibration import log_probabilities
from facial_expressions.evaluation.calibration import fit_top_label_map, pays_on_halves
from facial_expressions.inference.classifier import ExpressionClassifier
from facial_expressions.model_metadata import Head, ModelMetadata
from facial_expressions.training.export import measured
from facial_expressions.training.model_files import model_bytes, open_content
from facial_expressions.training.onnx_calibration import set_top_label_map

Labels = NDArray[np.int64]


def recalibrate(content: bytes, images: NDArray[np.uint8], labels: Mapping[str, Labels]) -> bytes:
    """Return a model file with new maps of confidences for the heads that gain by them.

    Args:
        content: The file.
        images: Of validation, grey ``uint8 (N, S, S)``.
        labels: By the name of a head what they show, ``(N,)``; -1 where it is not known.
    """
    model = onnx.load_from_string(content)
    metadata = ExpressionClassifier(open_content(content)).metadata
    tried = [
        _recalibrate_head(model, metadata, head, images, labels[head.name])
        for head in metadata.heads
        if head.name in labels
    ]
    gained = [head for head in tried if head is not None]
    for head in gained:
        metadata = metadata.with_head(head)
    return model_bytes(model, metadata) if gained else content


def _recalibrate_head(
    model: onnx.ModelProto,
    metadata: ModelMetadata,
    head: Head,
    images: NDArray[np.uint8],
    labels: Labels,
) -> Head | None:
    """Give one head a new map and return what the file says of it; None leaves it as it is."""
    plain = onnx.ModelProto()
    plain.CopyFrom(model)
    set_top_label_map(plain, head.output, None)
    known = labels >= 0
    classifier = ExpressionClassifier(open_content(model_bytes(plain, metadata)), head.name)
    logits = log_probabilities(classifier.predict_proba(images[known]))
    truth = labels[known]
    if not pays_on_halves(logits, truth):
        return None
    top_label = fit_top_label_map(logits, truth)
    set_top_label_map(model, head.output, top_label)
    calibration = replace(head.calibration, top_label=top_label)
    of_network = logits * calibration.temperature - np.array(calibration.biases or 0.0)
    return measured(replace(head, calibration=calibration), of_network, truth)
