"""Fit a model file's maps of confidences again, and say whether that is worth it.

For files from before top-label calibration, or of a network in 8 bits. Each head's map is fitted on
validation images, never on test ones; weights, class biases and temperature stay. A head for
which a map does not pay on images that it was not fitted on keeps what it has.

Example:
    python scripts/recalibrate_model.py compact --data fer2013.tar.gz --ferplus fer2013new.csv \
        --out compact.onnx
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray

from facial_expressions.data.ferplus import ferplus_votes, strict_majority
from facial_expressions.data.load import load_dataset
from facial_expressions.evaluation.fit_top_label import fit_top_label_map, gain_on_halves
from facial_expressions.files import write_file
from facial_expressions.inference.classifier import ExpressionClassifier, load_classifier
from facial_expressions.inference.probabilities import log_probabilities
from facial_expressions.labels import FERPLUS
from facial_expressions.model_metadata import Head, ModelMetadata
from facial_expressions.training.export import measured
from facial_expressions.training.model_files import model_bytes, open_content, read_model
from facial_expressions.training.onnx_calibration import set_top_label_map

Labels = NDArray[np.int64]


def main(arguments: list[str]) -> int:
    """Fit, judge, and write the file when a head gains."""
    parser = argparse.ArgumentParser(description="Fit a model file's maps of confidences again.")
    parser.add_argument("model")
    parser.add_argument("--data", type=Path, required=True, help="FER-2013, any layout")
    parser.add_argument("--ferplus", type=Path, help="FER+ votes, for a file with such a head")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args(arguments)
    dataset = load_dataset(options.data)
    labels = {"fer2013": dataset.validation.labels}
    if options.ferplus:
        votes = ferplus_votes(dataset, options.ferplus)
        labels[FERPLUS.name] = strict_majority(votes["validation"])
    path = load_classifier(options.model).path
    content = recalibrate(path, dataset.validation.images, labels)
    if content is None:
        print("not worth it: nothing is written", file=sys.stderr)
        return 1
    write_file(options.out, content)
    return 0


def recalibrate(path: Path, images: NDArray[np.uint8], labels: dict[str, Labels]) -> bytes | None:
    """Return the file with new maps of confidences, or None when no head gains by them.

    Args:
        path: A model file.
        images: Of validation, grey ``uint8 (N, S, S)``.
        labels: By the name of a head what they show, ``(N,)``; -1 where it is not known.
    """
    model, metadata = read_model(path)
    tried = [
        _recalibrate_head(model, metadata, head, images, labels[head.name])
        for head in metadata.heads
        if head.name in labels
    ]
    gained = [head for head in tried if head is not None]
    for head in gained:
        metadata = metadata.with_head(head)
    return model_bytes(model, metadata) if gained else None


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
    gain = gain_on_halves(logits, truth)
    print(f"{head.name}: {gain}")
    if not gain.is_clear:
        return None
    top_label = fit_top_label_map(logits, truth)
    set_top_label_map(model, head.output, top_label)
    calibration = replace(head.calibration, top_label=top_label)
    of_network = logits * calibration.temperature - np.array(calibration.biases or 0.0)
    return measured(replace(head, calibration=calibration), of_network, truth)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
