"""Quantization: a model file that computes in 8 bits, written where it is worth it.

Convolutions are computed in 8 bits: weights per output channel in 7 bits (8 overflow on processors
with AVX2 but without VNNI, see decision 13), activations in 8, with ranges that are the mean over
batches of training images. Where the network has class activation maps, what follows the last one
stays in floating point, so explanations stay exact; other networks have their matrix products in 8
bits too. Sums stay in floating point: they would add an error at each block and are no slower. The
first two convolutions stay as they are: they cost little and err most. Average pooling before a
convolution of one pixel becomes part of it, as ONNX Runtime pools 8-bit numbers slowly.

A network in 8 bits is a little more or less sure than the one it was made from, so each head's map
of confidences is fitted again; class biases and temperature stay.
"""

from __future__ import annotations

import statistics
import tempfile
import timeit
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
from onnx import helper, numpy_helper

from facial_expressions.calibration import log_probabilities
from facial_expressions.data.dataset import Dataset, Images, Ints
from facial_expressions.data.ferplus import Votes, strict_majority
from facial_expressions.errors import ExportError
from facial_expressions.files import write_file
from facial_expressions.inference.classifier import ExpressionClassifier, load_classifier
from facial_expressions.inference.runtime import quantization_tools
from facial_expressions.labels import FERPLUS
from facial_expressions.model_metadata import INPUT_NAME, ModelMetadata
from facial_expressions.preprocessing import to_batch
from facial_expressions.training.export import fitted_map, measured
from facial_expressions.training.model_files import (
    Graph,
    model_bytes,
    open_content,
    read_model,
    set_top_label_map,
)

CALIBRATION: Final = 512
"""Training images whose activations decide the ranges."""

KEPT_CONVOLUTIONS: Final = 2
"""So many of the first convolutions stay in floating point."""

MAX_LOSS: Final = 0.003
"""Largest loss of validation accuracy."""

MEAN_OF_RANGES: Final = {"CalibMovingAverage": True, "CalibMovingAverageConstant": 0.05}
"""Ranges are moving means over batches: one odd image among 512 would coarsen all others."""

KINDS: Final = ("Conv",)
"""Nodes that are computed in 8 bits."""

KINDS_WITHOUT_MAPS: Final = (*KINDS, "MatMul", "Gemm", "MaxPool", "Concat")
"""The same for a network without class activation maps."""

_PLAIN: Final[dict[str, Any]] = {
    "pads": [0, 0, 0, 0], "auto_pad": b"NOTSET", "ceil_mode": 0, "group": 1
}  # fmt: skip
"""Attributes, as they are by default, of a node that sees each whole window of all channels."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an int8 file loses and gains.

    Attributes:
        accuracy: Of the file with floating-point numbers, on validation.
        int8_accuracy: Of the int8 file.
        agreement: Share of images with the same answer.
        divergence: Of the int8 file's probabilities from the other's, nats an image; it tells two
            int8 files apart where accuracies do not.
        speed: How many times as fast the int8 file is, by the number of crops.
    """

    accuracy: float
    int8_accuracy: float
    agreement: float
    divergence: float
    speed: dict[int, float]

    @property
    def is_worth_it(self) -> bool:
        """Whether it loses little and is faster on one crop and on many."""
        loses_little = self.accuracy - self.int8_accuracy <= MAX_LOSS
        return loses_little and min(self.speed.values()) > 1

    def describe(self) -> str:
        """Return the figures in one line."""
        speed = " and ".join(f"{ratio:.2f} on {n} crops" for n, ratio in self.speed.items())
        return (
            f"validation accuracy {self.int8_accuracy:.4f}, was {self.accuracy:.4f}, same answer "
            f"on {self.agreement:.2%}, divergence {self.divergence:.4f} nats, speed times {speed}"
        )


def quantize_file(
    model: str | Path, out: str | Path, dataset: Dataset, votes: Votes | None = None
) -> Verdict:
    """Make an int8 file of a model file, compare both, and write it when it is worth it.

    Accuracy is compared on validation images, never on test ones; speed in turns, one thread.

    Args:
        model: A model that ships, by name, or a model file.
        out: The file to write.
        dataset: Its training images decide the ranges, those of validation the verdict and the
            confidences.
        votes: For each split the FER+ votes, for the confidences of a head ``ferplus``.

    Returns:
        What the int8 file loses and gains.

    Raises:
        ModelError: The model is missing, damaged or not one of ours.
        ExportError: The int8 file loses more than 0.3 points or is not faster, or there are no
            images to tell; nothing is written.
        StorageError: The file cannot be written.
    """
    train, validation, path = dataset.train, dataset.validation, Path(out)
    if not len(train) or not len(validation):
        raise ExportError(
            f"{dataset.name}: {len(train)} train and {len(validation)} validation images; "
            "quantisation needs both. Give the data set of the training"
        )
    original = _by_first_head(model)
    rows = np.random.default_rng(0).permutation(len(train))[:CALIBRATION]
    with tempfile.TemporaryDirectory() as folder:
        trial = Path(folder) / "trial.onnx"
        trial.write_bytes(quantize(original, train.images[rows], Path(folder)))
        graph, metadata = read_model(trial)
        verdict = judge(original, _by_first_head(trial), validation.images, validation.labels)
    if not verdict.is_worth_it:
        raise ExportError(
            f"{path}: not written, as the 8-bit model loses more than {MAX_LOSS:.1%} or is not "
            f"faster: {verdict.describe()}. Use the model as it is"
        )
    labels = {original.head.name: validation.labels}
    if votes is not None:
        labels[FERPLUS.name] = strict_majority(votes[validation.name], FERPLUS)
    first = metadata.heads[0]
    figures = {**first.figures, "validation_accuracy": verdict.int8_accuracy}
    metadata = metadata.with_head(replace(first, figures=figures))
    path.parent.mkdir(parents=True, exist_ok=True)
    write_file(path, recalibrate(graph, metadata, validation.images, labels))
    return verdict


def _by_first_head(model: str | Path) -> ExpressionClassifier:
    """Open a model at the head that learnt the data set's labels, by which it is judged."""
    classifier = load_classifier(model, threads=1)
    return classifier.for_labels(classifier.metadata.head_names[0])


def quantize(classifier: ExpressionClassifier, images: Images, folder: Path) -> bytes:
    """Return a model file that computes in 8 bits, with ranges that grey images decide.

    They are ``uint8 (N, S, S)``; ``folder`` is for files in between.
    """
    tools = quantization_tools()
    prepared, made = folder / "prepared.onnx", folder / "made.onnx"
    tools.quant_pre_process(str(classifier.path), str(prepared), skip_symbolic_shape=True)
    model = merge_pools(onnx.load(prepared))
    kept = _name_nodes_to_keep(model)
    onnx.save(model, prepared)
    preprocessing = classifier.metadata.preprocessing
    batches = (
        {INPUT_NAME: to_batch(images[start : start + 32], preprocessing)}
        for start in range(0, len(images), 32)
    )
    reader = type(
        "Reader", (tools.CalibrationDataReader,), {"get_next": lambda self: next(batches, None)}
    )
    tools.quantize_static(
        str(prepared),
        str(made),
        reader(),
        quant_format=tools.QuantFormat.QDQ,
        op_types_to_quantize=list(KINDS if classifier.explains else KINDS_WITHOUT_MAPS),
        nodes_to_exclude=kept,
        per_channel=True,
        reduce_range=True,
        weight_type=tools.QuantType.QInt8,
        activation_type=tools.QuantType.QUInt8,
        extra_options=MEAN_OF_RANGES,
    )
    metadata = classifier.metadata
    return model_bytes(onnx.load(made), replace(metadata, name=f"{metadata.name}-int8"))


def merge_pools(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the network with average pools made part of the convolution of one pixel after them.

    The mean over a window and then a weighted sum over channels is one convolution of that window,
    with the same weights at each place, divided by the places. Pools that overlap, have a border or
    parts of a window, or feed anything else stay. The model is changed in place.
    """
    graph = model.graph
    weights = {one.name: numpy_helper.to_array(one) for one in graph.initializer}
    outputs = {one.name for one in graph.output}
    for pool in [node for node in graph.node if node.op_type == "AveragePool"]:
        users = [node for node in graph.node if pool.output[0] in node.input]
        if len(users) != 1 or users[0].op_type != "Conv" or pool.output[0] in outputs:
            continue
        (convolution,) = users
        window, strides = _window(pool)
        kernel = weights.get(convolution.input[1], np.empty(0))
        if window != strides or _window(convolution)[1] != [1, 1] or kernel.shape[2:] != (1, 1):
            continue
        spread = np.tile(kernel / np.prod(window), (1, 1, *window))
        merged = Graph(graph).constant(f"{convolution.input[1]}/pooled", spread)
        convolution.input[:2] = [pool.input[0], merged]
        del convolution.attribute[:]
        convolution.attribute.extend(
            helper.make_attribute(name, window) for name in ("kernel_shape", "strides")
        )
        graph.node.remove(pool)
    return model


def _window(node: onnx.NodeProto) -> tuple[list[int], list[int]]:
    """Return window and strides of a node; no strides if it has borders, parts or groups."""
    given = {one.name: helper.get_attribute_value(one) for one in node.attribute}
    options = {"kernel_shape": [], "strides": [1, 1], **_PLAIN, **given}
    plain = all(options[name] == value for name, value in _PLAIN.items())
    return options["kernel_shape"], options["strides"] if plain else []


def recalibrate(
    model: onnx.ModelProto, metadata: ModelMetadata, images: Images, labels: Mapping[str, Ints]
) -> bytes:
    """Return a model file with new maps of confidences for the heads that gain by them.

    Args:
        model: The graph; changed.
        metadata: What the file says of itself.
        images: Of validation, grey ``uint8 (N, S, S)``.
        labels: By the name of a head what they show, ``(N,)``; -1 where it is not known.
    """
    for head in metadata.heads:
        if head.name not in labels:
            continue
        plain = onnx.ModelProto()
        plain.CopyFrom(model)
        set_top_label_map(plain, head.output, None)
        classifier = ExpressionClassifier(open_content(model_bytes(plain, metadata)), head.name)
        known = labels[head.name] >= 0
        logits = log_probabilities(classifier.predict_proba(images[known]))
        truth = labels[head.name][known]
        top_label = fitted_map(logits, truth)
        if top_label is not None:
            set_top_label_map(model, head.output, top_label)
            calibration = replace(head.calibration, top_label=top_label)
            of_network = logits * calibration.temperature - np.array(calibration.biases or 0.0)
            mapped = replace(head, calibration=calibration)
            metadata = metadata.with_head(measured(mapped, of_network, truth))
    return model_bytes(model, metadata)


def judge(
    original: ExpressionClassifier, int8: ExpressionClassifier, images: Images, labels: Ints
) -> Verdict:
    """Compare a classifier with that in 8 bits, on validation images."""
    before, after = (each.predict_proba(images) for each in (original, int8))
    one, other = before.argmax(axis=1), after.argmax(axis=1)
    speed = {n: _times_as_fast(int8, original, images[:n]) for n in (1, 256)}
    accuracy, int8_accuracy = (float((answers == labels).mean()) for answers in (one, other))
    distance = before * (log_probabilities(before) - log_probabilities(after))
    divergence = float(distance.sum(axis=1).mean())
    return Verdict(accuracy, int8_accuracy, float((one == other).mean()), divergence, speed)


def _times_as_fast(one: ExpressionClassifier, other: ExpressionClassifier, images: Images) -> float:
    """Time two classifiers in turns, so that whatever else the machine does meets both."""
    timers = [timeit.Timer(partial(each.predict_proba, images)) for each in (one, other)]
    n = 200 // len(images) + 3
    _, *turns = ([timer.repeat(n, 1) for timer in timers] for _ in range(6))  # the first warms up
    mine, theirs = (chain.from_iterable(side) for side in zip(*turns, strict=True))
    return float(statistics.median(theirs) / statistics.median(mine))


def _name_nodes_to_keep(model: onnx.ModelProto) -> list[str]:
    """Return the names of the nodes that stay in floating point; nameless nodes get one.

    They are the first convolutions, and what makes answers of logits: the nodes of the outputs,
    maps too, and those that ``export`` named after an output: biases, temperature and map of
    confidences.
    """
    for number, node in enumerate(model.graph.node):
        node.name = node.name or f"node {number}"
    outputs = {one.name for one in model.graph.output}
    convolutions = [node.name for node in model.graph.node if node.op_type == "Conv"]
    return convolutions[:KEPT_CONVOLUTIONS] + [
        node.name
        for node in model.graph.node
        if any(name.partition("/")[0] in outputs for name in node.output)
    ]
