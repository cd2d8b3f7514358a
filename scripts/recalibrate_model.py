"""Fit a model file's maps of confidences again, and say whether that is worth it.

For files from before top-label calibration, or of a network in 8 bits. Each head's map is fitted on
validation pictures, never on test ones; weights, class biases and temperature stay. A head for
which a map does not pay on pictures that it was not fitted on keeps what it has.

Example:
    python scripts/recalibrate_model.py compact --data fer2013.tar.gz --ferplus fer2013new.csv \
        --out compact.onnx
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import scipy.special
from numpy.typing import NDArray

from facial_expressions.data.ferplus import ferplus_votes, strict_majority
from facial_expressions.data.load import load_dataset
from facial_expressions.evaluation.calibration import apply_temperature
from facial_expressions.evaluation.fit_top_label import fit_top_label_map, gain_on_halves
from facial_expressions.inference.classifier import ExpressionClassifier
from facial_expressions.inference.onnx_bytes import seal_model
from facial_expressions.inference.probabilities import log_probabilities
from facial_expressions.labels import FERPLUS
from facial_expressions.model_metadata import OUTPUT_NAME, Head, ModelMetadata
from facial_expressions.training.export import validation_figures
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
    path = ExpressionClassifier.load(options.model).path
    content = recalibrate(path, dataset.validation.images, labels)
    if content is None:
        print("not worth it: nothing is written", file=sys.stderr)
        return 1
    options.out.write_bytes(content)
    return 0


def recalibrate(path: Path, pictures: NDArray[np.uint8], labels: dict[str, Labels]) -> bytes | None:
    """Return the file with new maps of confidences, or None when no head gains by them.

    Args:
        path: A model file.
        pictures: Of validation, grey ``uint8 (N, S, S)``.
        labels: For each label set what they show, ``(N,)``; -1 where it is not known.
    """
    model = onnx.load(path)
    metadata = ModelMetadata.from_entries(
        {one.key: one.value for one in model.metadata_props}, source=path.name
    )
    heads = [
        Head(metadata.labels, metadata.temperature, metadata.uncertain_below, metadata.figures),
        *metadata.other_heads,
    ]
    outputs = [OUTPUT_NAME, *(head.output for head in metadata.other_heads)]
    changed = [
        _recalibrate_head(model, head, output, pictures, labels.get(head.labels.name))
        for head, output in zip(heads, outputs, strict=True)
    ]
    if not any(changed):
        return None
    first, *others = (new or old for new, old in zip(changed, heads, strict=True))
    metadata = replace(
        metadata,
        uncertain_below=first.uncertain_below,
        figures=first.figures,
        other_heads=tuple(others),
    )
    onnx.helper.set_model_props(model, metadata.to_entries())
    return seal_model(model.SerializeToString(deterministic=True))


def _recalibrate_head(
    model: onnx.ModelProto,
    head: Head,
    output: str,
    pictures: NDArray[np.uint8],
    labels: Labels | None,
) -> Head | None:
    """Give one head a new map and return what the file says of it; None leaves it as it is."""
    if labels is None:
        return None
    plain = onnx.ModelProto()
    plain.CopyFrom(model)
    set_top_label_map(plain, output, None)
    known = labels >= 0
    logits = log_probabilities(_ask(plain, head, pictures[known]))
    truth = labels[known]
    gain = gain_on_halves(logits, truth)
    print(f"{head.labels.name}: {gain}")
    if not gain.is_clear:
        return None
    top_label = fit_top_label_map(logits, truth)
    set_top_label_map(model, output, top_label)
    raw = apply_temperature(scipy.special.softmax(logits, axis=1), 1 / head.temperature)
    after = scipy.special.softmax(top_label.apply(logits), axis=1)
    measured = validation_figures(truth, raw, after)
    return replace(
        head,
        uncertain_below=measured["uncertain_below"],
        figures={**head.figures, **measured, **top_label.figures(head.labels)},
    )


def _ask(model: onnx.ModelProto, head: Head, pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return what a graph answers by one head, opened as users open it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        path.write_bytes(seal_model(model.SerializeToString(deterministic=True)))
        return ExpressionClassifier.load(path, labels=head.labels.name).predict_proba(pictures)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
