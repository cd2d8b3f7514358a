"""Export: a finished run becomes one model file, or nothing.

The file is written only after ONNX Runtime has agreed with Keras, by every head. What is chosen is
chosen on validation: each head's class biases, its temperature, its map of confidences, where that
pays, and its threshold of ``uncertain``.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from facial_expressions.calibration import Calibration, TopLabelMap, softmax
from facial_expressions.data.dataset import Floats, Images, Ints
from facial_expressions.errors import ExportError, ModelError
from facial_expressions.evaluation.calibration import (
    choose_operating_point,
    fit_class_bias,
    fit_temperature,
    fit_top_label_map,
    pays_on_halves,
)
from facial_expressions.evaluation.metrics import calibration_error, negative_log_likelihood
from facial_expressions.files import write_file
from facial_expressions.inference.classifier import ExpressionClassifier
from facial_expressions.model_metadata import Head, ModelMetadata
from facial_expressions.training.model_files import model_bytes, open_content
from facial_expressions.training.network import predict_logits, preprocessing_of
from facial_expressions.training.onnx_graph import build_onnx, to_half_weights
from facial_expressions.training.trained_networks import FinishedRun

PARITY_IMAGES: Final = 512
MAX_DIFFERENCE: Final = 1e-4
"""Largest difference of a probability between Keras and the file with 32-bit weights."""

MIN_AGREEMENT: Final = 0.999
"""Least share of validation images on which a file with 16-bit weights gives the same answer."""

TARGET_ACCURACY: Final = 0.8
"""Accuracy on validation that answers above ``uncertain_below`` reach."""

_LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Export:
    """What was written and how well it agrees.

    Attributes:
        path: The model file.
        metadata: What the file says of itself.
        difference: Largest difference of a probability between Keras and the 32-bit graph, by
            any head.
        agreement: Share of validation images with the same answer as Keras, by the worst head.
    """

    path: Path
    metadata: ModelMetadata
    difference: float
    agreement: float


def export_run(run_dir: str | Path, out: str | Path, *, half_weights: bool = False) -> Export:
    """Write a run's network as a model file, calibrated on the run's validation images.

    Args:
        run_dir: A finished run's folder.
        out: The file to write, ending in ``.onnx``; replaced only when all checks pass.
        half_weights: Store weights in 16 bits, which halves the file.

    Raises:
        ExportError: The run is not finished, a layer cannot be converted, or the file's answers
            differ from those of Keras.
    """
    run = _read_run(Path(run_dir))
    crops, heads, logits = _read_validation(run)
    inputs = preprocessing_of(run.recipe)
    metadata = ModelMetadata(
        name=run.recipe.run.name,
        architecture=run.recipe.network.architecture,
        heads=heads,
        default_head=heads[0].name,
        preprocessing=replace(inputs, channels=1),
        data=run.data,
        data_digest=run.data_digest,
        created_with=f"facial-expressions {version('facial-expressions')}",
    )
    model = run.build()
    graph = build_onnx(model, metadata)
    some = crops[:PARITY_IMAGES]
    exact = model_bytes(graph, metadata)
    difference, _ = _compare(exact, some, predict_logits(model, some, inputs))
    if not difference <= MAX_DIFFERENCE:
        raise ExportError(
            f"{metadata.name}: the exported graph differs from Keras by {difference:.2e} on "
            f"{len(some)} images; allowed are {MAX_DIFFERENCE}. Please report the architecture"
        )
    content = model_bytes(to_half_weights(graph), metadata) if half_weights else exact
    _, agreement = _compare(content, crops, logits)
    if agreement < MIN_AGREEMENT:
        raise ExportError(
            f"model file: its answers differ from the run's on {1 - agreement:.2%} of the "
            f"validation images; allowed are {1 - MIN_AGREEMENT:.1%}. Export without --half"
        )
    path = Path(out)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_file(path, content)
    return Export(path, metadata, difference, agreement)


def _read_run(path: Path) -> FinishedRun:
    try:
        run = FinishedRun(path)
    except ModelError as error:
        raise ExportError(str(error)) from error
    if not run.folder.validation.is_file():
        raise ExportError(
            f"{path}: the run's answers on validation are missing ({run.folder.validation.name}). "
            "Train the run again"
        )
    return run


def _read_validation(run: FinishedRun) -> tuple[Images, tuple[Head, ...], list[Floats]]:
    """Return validation crops, the heads, calibrated on them, and each head's own logits."""
    heads, answers = [], []
    with np.load(run.folder.validation, allow_pickle=False) as file:
        for name, labels in run.heads.items():
            logits, truth = file[f"{name}_logits"], file[f"{name}_labels"]
            known = truth >= 0  # not every image has a FER+ label
            heads.append(_calibrated(Head(name, labels), logits[known], truth[known]))
            answers.append(logits)
        return file["crops"], tuple(heads), answers


def _calibrated(head: Head, logits: Floats, labels: Ints) -> Head:
    """Fit class biases, temperature and map of confidences; measure the head with them."""
    biases = fit_class_bias(logits, labels).round(6)
    temperature = fit_temperature(logits + biases, labels)
    calibration = Calibration(tuple(biases.tolist()), temperature)
    calibration = replace(calibration, top_label=fitted_map(calibration.apply(logits), labels))
    return measured(replace(head, calibration=calibration), logits, labels)


def fitted_map(logits: NDArray[np.floating], truth: NDArray[np.number]) -> TopLabelMap | None:
    """Return the map of confidences where it pays on images that it was not fitted on, or None.

    ``logits`` are after the temperature; ``truth`` are label ids or shares of votes.
    """
    pays = len(truth) > 1 and pays_on_halves(logits, truth)
    return fit_top_label_map(logits, truth) if pays else None


def measured(head: Head, logits: NDArray[np.floating], labels: Ints) -> Head:
    """Return a head with its figures on validation, and its threshold of ``uncertain``.

    Its calibration is applied to the logits here, ``(N, K)``; labels are ids, ``(N,)``.
    """
    before = softmax(replace(head.calibration, temperature=1.0, top_label=None).apply(logits))
    after = softmax(head.calibration.apply(logits))
    figures = {
        "validation_accuracy": float(np.mean(after.argmax(axis=1) == labels)),
        "validation_nll_uncalibrated": negative_log_likelihood(labels, before),
        "validation_nll": negative_log_likelihood(labels, after),
        "validation_ece_uncalibrated": calibration_error(labels, before),
        "validation_ece": calibration_error(labels, after),
    }
    uncertain_below = 1.0
    try:
        point = choose_operating_point(labels, after, target_accuracy=TARGET_ACCURACY)
    except ValueError as error:
        _LOGGER.warning("every answer of this model counts as uncertain: %s", error)
    else:
        uncertain_below = point.threshold
        figures["validation_certain_share"] = point.coverage
        figures["validation_certain_accuracy"] = point.accuracy
    calibration = replace(head.calibration, uncertain_below=uncertain_below)
    return replace(head, calibration=calibration, figures={**head.figures, **figures})


def _compare(content: bytes, crops: Images, expected: Sequence[Floats]) -> tuple[float, float]:
    """Compare a file's answers, opened as users open it, with Keras' logits, by the worst head.

    Returns the largest difference of a probability, and the share of crops with the same answer.
    """
    differences, shares = [], []
    classifier = ExpressionClassifier(open_content(content))
    for logits, head in zip(expected, classifier.metadata.heads, strict=True):
        rows = classifier.for_labels(head.name).predict_proba(crops)
        wanted = softmax(head.calibration.apply(logits))
        differences.append(float(np.abs(rows - wanted).max()))
        shares.append(float((rows.argmax(axis=1) == wanted.argmax(axis=1)).mean()))
    return max(differences), min(shares)
