"""Export: a finished run becomes one model file, or nothing.

The file is written only after ONNX Runtime has agreed with Keras: on 512 validation pictures no
probability differs by more than 1e-4, and on at least 99.9 % of all of them the answer is the same,
with 16-bit weights too, by every head. What is chosen is chosen on validation: each head's class
biases, its temperature, its map of confidences, where that pays, and its threshold of
``uncertain``.
"""

from __future__ import annotations

import json
import logging
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any, Final

import keras
import numpy as np
import onnx
from numpy.typing import NDArray

from facial_expressions.errors import ExportError
from facial_expressions.evaluation.calibration import (
    choose_operating_point,
    fit_class_bias,
    fit_temperature,
)
from facial_expressions.evaluation.fit_top_label import fit_top_label_map, gain_on_halves
from facial_expressions.evaluation.metrics import accuracy_score
from facial_expressions.evaluation.probability_metrics import (
    calibration_error,
    negative_log_likelihood,
)
from facial_expressions.inference.onnx_bytes import seal_model
from facial_expressions.inference.probabilities import softmax
from facial_expressions.inference.runtime import open_session
from facial_expressions.inference.top_label import TopLabelMap
from facial_expressions.labels import FERPLUS, LabelSet
from facial_expressions.model_metadata import INPUT_NAME, OUTPUT_NAME, Head, ModelMetadata
from facial_expressions.preprocessing import Preprocessing, to_batch
from facial_expressions.training.checkpoints import write_atomically
from facial_expressions.training.network import build_network, preprocessing_of
from facial_expressions.training.onnx_calibration import set_top_label_map
from facial_expressions.training.onnx_graph import build_onnx, to_half_weights
from facial_expressions.training.recipe import Recipe
from facial_expressions.training.run_folder import RunFolder

__all__ = [
    "MAX_DIFFERENCE",
    "MIN_AGREEMENT",
    "PARITY_PICTURES",
    "TARGET_ACCURACY",
    "Export",
    "export_run",
    "validation_figures",
]

PARITY_PICTURES: Final = 512
MAX_DIFFERENCE: Final = 1e-4
"""Largest difference of a probability between Keras and the file with 32-bit weights."""

MIN_AGREEMENT: Final = 0.999
"""Least share of validation pictures on which a file with 16-bit weights gives the same answer."""

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
        agreement: Share of validation pictures with the same answer as Keras, by the worst head.
    """

    path: Path
    metadata: ModelMetadata
    difference: float
    agreement: float


@dataclass(frozen=True, slots=True, eq=False)
class _Answers:
    """One head's answers to the run's validation pictures."""

    output: str
    label_set: LabelSet
    shift: NDArray[np.float32]
    logits: NDArray[np.float32]
    labels: NDArray[np.int64]
    temperature: float = 1.0
    top_label: TopLabelMap | None = None

    def probabilities(self, logits: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return what the file should answer where the network has these logits, with bias."""
        scaled = logits / self.temperature
        return softmax(self.top_label.apply(scaled) if self.top_label else scaled)


def export_run(run_dir: str | Path, out: str | Path, *, half_weights: bool = False) -> Export:
    """Write a run's network as a model file, calibrated on the run's validation pictures.

    Args:
        run_dir: A finished run's folder.
        out: The file to write, ending in ``.onnx``; replaced only when all checks pass.
        half_weights: Store weights in 16 bits, which halves the file.

    Returns:
        The file and how well it agrees with Keras.

    Raises:
        ExportError: The run is not finished, a layer cannot be converted, or the file's answers
            differ from those of Keras.
    """
    folder = RunFolder(Path(run_dir))
    recipe, facts = _read_run(folder)
    labels = LabelSet(facts["labels"]["name"], tuple(facts["labels"]["names"]))
    model = build_network(recipe, len(labels))
    model.load_weights(folder.weights)
    crops, uncalibrated = _read_validation(folder, labels)
    answers, calibrations = zip(*(_calibrate(one) for one in uncalibrated), strict=True)
    preprocessing = replace(preprocessing_of(recipe), channels=1)
    model_metadata = ModelMetadata(
        name=recipe.run.name,
        architecture=recipe.network.architecture,
        labels=labels,
        preprocessing=preprocessing,
        temperature=calibrations[0]["temperature"],
        uncertain_below=calibrations[0]["uncertain_below"],
        data=f"{facts['name']} ({facts['protocol']}, train {facts['counts']['train']})",
        data_digest=facts["digest"],
        figures=calibrations[0],
        created_with=f"facial-expressions {metadata.version('facial-expressions')}",
        other_heads=tuple(
            Head(FERPLUS, one["temperature"], one["uncertain_below"], one)
            for one in calibrations[1:]
        ),
    )
    content = build_onnx(model, model_metadata, logit_shifts=[one.shift for one in answers])
    for one in answers:
        set_top_label_map(content, one.output, one.top_label)
    expected = _ask_keras(model, to_batch(crops[:PARITY_PICTURES], preprocessing_of(recipe)))
    difference = _check_parity(content, model_metadata, crops, answers, expected)
    if half_weights:
        content = to_half_weights(content)
    agreement = _check_agreement(content, preprocessing, crops, answers)
    path = Path(out)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, lambda temporary: _write(temporary, content))
    return Export(path, model_metadata, difference, agreement)


def _read_run(folder: RunFolder) -> tuple[Recipe, dict[str, Any]]:
    needed = (folder.recipe, folder.dataset, folder.weights, folder.validation)
    missing = [path.name for path in needed if not path.is_file()]
    if missing:
        raise ExportError(
            f"run folder {folder.path} is not a finished run; missing {missing}; run "
            "'facial-expressions train' with the same --out until it ends"
        )
    facts: dict[str, Any] = json.loads(folder.dataset.read_text(encoding="utf-8"))
    return Recipe.load(folder.recipe), facts


def _read_validation(
    folder: RunFolder, labels: LabelSet
) -> tuple[NDArray[np.uint8], list[_Answers]]:
    """Return the validation crops and each head's answers, without bias."""
    with np.load(folder.validation, allow_pickle=False) as file:
        answers = [_unbiased(OUTPUT_NAME, labels, file["logits"], file["labels"])]
        if "ferplus_logits" in file:
            second = file["ferplus_logits"], file["ferplus_labels"]
            answers.append(_unbiased(Head(FERPLUS).output, FERPLUS, *second))
        return file["crops"], answers


def _unbiased(
    output: str, label_set: LabelSet, logits: NDArray[np.float32], labels: NDArray[np.int64]
) -> _Answers:
    """Return a head's answers with their class biases taken out."""
    known = labels >= 0  # not every picture has a FER+ label
    shift = fit_class_bias(logits[known], labels[known]).astype(np.float32)
    return _Answers(output, label_set, shift, logits + shift, labels)


def _calibrate(answers: _Answers) -> tuple[_Answers, dict[str, float]]:
    """Fit temperature and map of confidences; return them with the figures."""
    known = answers.labels >= 0
    logits, labels = answers.logits[known], answers.labels[known]
    temperature = fit_temperature(logits, labels)
    scaled = logits / temperature
    pays = len(labels) > 1 and gain_on_halves(scaled, labels).is_clear
    top_label = fit_top_label_map(scaled, labels) if pays else None
    answers = replace(answers, temperature=temperature, top_label=top_label)
    biases = zip(answers.label_set.names, answers.shift, strict=True)
    return answers, {
        "temperature": temperature,
        **{f"logit_bias_{name}": round(float(value), 6) for name, value in biases},
        **(top_label.figures(answers.label_set) if top_label else {}),
        **validation_figures(labels, softmax(logits), answers.probabilities(logits)),
    }


def validation_figures(
    labels: NDArray[np.int64], before: NDArray[np.float64], after: NDArray[np.float64]
) -> dict[str, float]:
    """Return what a model file says of itself on validation, and its threshold of ``uncertain``.

    Args:
        labels: Label ids, ``(N,)``.
        before: Probabilities ``(N, K)`` without temperature and map of confidences.
        after: Those with both.
    """
    figures = {
        "validation_accuracy": accuracy_score(labels, after.argmax(axis=1)),
        "validation_nll_uncalibrated": negative_log_likelihood(labels, before),
        "validation_nll": negative_log_likelihood(labels, after),
        "validation_ece_uncalibrated": calibration_error(labels, before),
        "validation_ece": calibration_error(labels, after),
    }
    try:
        point = choose_operating_point(labels, after, target_accuracy=TARGET_ACCURACY)
    except ValueError as error:
        _LOGGER.warning("every answer of this model counts as uncertain: %s", error)
        return figures | {"uncertain_below": 1.0}
    return figures | {
        "uncertain_below": point.uncertain_below,
        "validation_certain_share": point.coverage,
        "validation_certain_accuracy": point.accuracy,
    }


def _ask_keras(model: keras.Model, batch: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    """Return each head's logits."""
    outputs = model.predict_on_batch(batch)
    heads = outputs if isinstance(outputs, list) else [outputs]
    return [keras.ops.convert_to_numpy(one) for one in heads]


def _check_parity(
    content: onnx.ModelProto,
    model_metadata: ModelMetadata,
    crops: NDArray[np.uint8],
    answers: Sequence[_Answers],
    expected: Sequence[NDArray[np.float32]],
) -> float:
    """Return the largest difference to Keras on real pictures; raise when it is too large."""
    crops = crops[: len(expected[0])]
    outputs = [one.output for one in answers]
    actual = _run_file(content, to_batch(crops, model_metadata.preprocessing), outputs)
    difference = max(
        float(np.abs(rows - one.probabilities(logits + one.shift)).max())
        for rows, logits, one in zip(actual, expected, answers, strict=True)
    )
    if not difference <= MAX_DIFFERENCE:
        raise ExportError(
            f"the exported graph of {model_metadata.name!r} disagrees with Keras on {len(crops)} "
            f"pictures; received a difference of {difference:.2e}, allowed is {MAX_DIFFERENCE}; "
            "please report the architecture"
        )
    return difference


def _check_agreement(
    content: onnx.ModelProto,
    preprocessing: Preprocessing,
    crops: NDArray[np.uint8],
    answers: Sequence[_Answers],
) -> float:
    """Return the share of validation pictures with Keras' answer; raise when it is too small."""
    outputs = [one.output for one in answers]
    actual = _run_file(content, to_batch(crops, preprocessing), outputs)
    agreement = min(
        float((rows.argmax(axis=1) == one.logits.argmax(axis=1)).mean())
        for rows, one in zip(actual, answers, strict=True)
    )
    if agreement < MIN_AGREEMENT:
        raise ExportError(
            f"the file's answers differ from the run's on {1 - agreement:.2%} of the validation "
            f"pictures; allowed is {1 - MIN_AGREEMENT:.1%}; export without --half"
        )
    return agreement


def _run_file(
    content: onnx.ModelProto, batch: NDArray[np.float32], outputs: Sequence[str]
) -> list[NDArray[np.float32]]:
    """Return what ONNX Runtime answers for this content, opened as users open it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        _write(path, content)
        session = open_session(path)
        chunks = [
            session.run({INPUT_NAME: batch[i : i + 256]}, outputs=outputs)
            for i in range(0, len(batch), 256)
        ]
    return [np.concatenate(head) for head in zip(*chunks, strict=True)]


def _write(path: Path, content: onnx.ModelProto) -> None:
    path.write_bytes(seal_model(content.SerializeToString(deterministic=True)))
