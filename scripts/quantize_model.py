"""Make an int8 model file of a shipped one, and say whether it is worth shipping.

Convolutions are computed in 8 bits: weights per output channel in 7 bits (8 overflow on processors
with AVX2 but without VNNI, see decision 13), activations in 8, with ranges that are the mean over
batches of training pictures. Where the network has class activation maps, what follows the last one
stays in floating point, so explanations stay exact; other networks have their matrix products in 8
bits too. Sums stay in floating point: they would add an error at each block and are no slower.
Average pooling before a convolution of one pixel becomes part of it, as ONNX Runtime pools 8-bit
numbers slowly. ``--keep-first`` leaves the first convolutions as they are: they cost little and err
most.

Accuracy is compared on validation pictures, never on test ones; speed in turns, one thread. A file
that loses more than 0.3 points, or is not faster, is not written.

Example:
    python scripts/quantize_model.py compact --keep-first 2 --data fer2013.tar.gz --out int8.onnx
    python scripts/quantize_model.py standardized-cnn --keep-first 2 --data fer2013.tar.gz --out ...
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Final

import numpy as np
import onnx
import scipy.special
from numpy.typing import NDArray

ROOT: Final = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # for the benchmarks, when it is run as a file

from benchmarks.record import compare, seconds  # noqa: E402
from facial_expressions.data.load import load_dataset  # noqa: E402
from facial_expressions.inference.classifier import ExpressionClassifier  # noqa: E402
from facial_expressions.model_metadata import INPUT_NAME  # noqa: E402
from facial_expressions.preprocessing import to_batch  # noqa: E402
from facial_expressions.training.model_files import model_bytes, open_content  # noqa: E402

CALIBRATION: Final = 512
MAX_LOSS: Final = 0.003
"""Largest loss of validation accuracy."""

MEAN_OF_RANGES: Final = {"CalibMovingAverage": True, "CalibMovingAverageConstant": 0.05}
"""Ranges are moving means over batches: one odd picture among 512 would coarsen all others."""

KINDS: Final = ("Conv",)
"""Nodes that are computed in 8 bits."""

KINDS_WITHOUT_MAPS: Final = (*KINDS, "MatMul", "Gemm", "MaxPool", "Concat")
"""The same for a network without class activation maps."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an int8 file loses and gains.

    Attributes:
        accuracy: Of the file with floating-point numbers, on validation.
        int8_accuracy: Of the int8 file.
        agreement: Share of pictures with the same answer.
        divergence: Of the int8 file's probabilities from the other's, nats a picture; it tells two
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


def main(arguments: list[str]) -> int:
    """Quantise, compare, and write the file when it is worth it."""
    parser = argparse.ArgumentParser(description="Make an int8 model file.")
    parser.add_argument("model")
    parser.add_argument("--data", type=Path, required=True, help="FER-2013, any layout")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--keep-first", type=int, default=0, help="convolutions left as they are")
    options = parser.parse_args(arguments)
    dataset = load_dataset(options.data)
    original = ExpressionClassifier.load(options.model, threads=1)
    rows = np.random.default_rng(0).permutation(len(dataset.train))[:CALIBRATION]
    with tempfile.TemporaryDirectory() as folder:
        pictures = dataset.train.images[rows]
        content = quantize(original, pictures, Path(folder), keep_first=options.keep_first)
        trial = Path(folder) / options.out.name
        trial.write_bytes(content)
        found = ExpressionClassifier.load(trial, threads=1)
        verdict = judge(original, found, dataset.validation.images, dataset.validation.labels)
    print(verdict)
    if not verdict.is_worth_it:
        print("not worth it: nothing is written", file=sys.stderr)
        return 1
    content = with_accuracy(content, verdict.int8_accuracy)
    options.out.write_bytes(content)
    print(f"{options.out}: {len(content):,} bytes, was {original.path.stat().st_size:,}")
    return 0


def quantize(
    classifier: ExpressionClassifier,
    pictures: NDArray[np.uint8],
    folder: Path,
    *,
    keep_first: int = 0,
) -> bytes:
    """Return a model file that computes in 8 bits.

    Args:
        classifier: The open model.
        pictures: Decide the ranges of activations, grey ``uint8 (N, S, S)``.
        folder: For files in between.
        keep_first: So many of the first convolutions stay in floating point.
    """
    tools = import_module("onnxruntime.quantization")  # the package itself never quantises
    prepared, made = folder / "prepared.onnx", folder / "made.onnx"
    tools.quant_pre_process(str(classifier.path), str(prepared), skip_symbolic_shape=True)
    onnx.save(merge_pools(onnx.load(prepared)), prepared)
    batches = _batches(pictures, classifier)
    reader = type(
        "Reader", (tools.CalibrationDataReader,), {"get_next": lambda self: next(batches, None)}
    )
    tools.quantize_static(
        str(prepared),
        str(made),
        reader(),
        quant_format=tools.QuantFormat.QDQ,
        op_types_to_quantize=list(KINDS if classifier.explains else KINDS_WITHOUT_MAPS),
        nodes_to_exclude=_name_nodes_to_keep(prepared, keep_first),
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
    parts of a window, or feed anything else stay.

    Args:
        model: Weights of convolutions are initializers; it is changed in place.
    """
    graph = model.graph
    weights = {one.name: one for one in graph.initializer}
    for pool in [node for node in graph.node if node.op_type == "AveragePool"]:
        options = {one.name: onnx.helper.get_attribute_value(one) for one in pool.attribute}
        window = options["kernel_shape"]
        plain = options.get("strides") == window and not (
            any(options.get("pads", ()))
            or options.get("ceil_mode")
            or options.get("auto_pad", b"NOTSET") != b"NOTSET"
            or pool.output[0] in {one.name for one in graph.output}
        )
        users = [node for node in graph.node if pool.output[0] in node.input]
        if not plain or len(users) != 1 or not _is_of_one_pixel(users[0], weights):
            continue
        (convolution,) = users
        kernel = weights[convolution.input[1]]
        spread = np.tile(onnx.numpy_helper.to_array(kernel) / np.prod(window), (1, 1, *window))
        merged = onnx.numpy_helper.from_array(spread.astype(np.float32), f"{kernel.name}/pooled")
        graph.initializer.append(merged)
        convolution.input[0], convolution.input[1] = pool.input[0], merged.name
        del convolution.attribute[:]
        geometry = {"kernel_shape": window, "strides": window}
        convolution.attribute.extend(
            onnx.helper.make_attribute(name, value) for name, value in geometry.items()
        )
        graph.node.remove(pool)
    return model


def _is_of_one_pixel(node: onnx.NodeProto, weights: dict[str, onnx.TensorProto]) -> bool:
    """Return whether a node is a convolution of one pixel, each place and channel by itself."""
    options = {one.name: onnx.helper.get_attribute_value(one) for one in node.attribute}
    return (
        node.op_type == "Conv"
        and node.input[1] in weights
        and list(weights[node.input[1]].dims[2:]) == [1, 1]
        and set(options.get("strides", [1])) == {1}
        and not any(options.get("pads", ()))
        and options.get("auto_pad", b"NOTSET") == b"NOTSET"
        and options.get("group", 1) == 1
    )


def with_accuracy(content: bytes, accuracy: float) -> bytes:
    """Return a model file that says how accurate it is on validation.

    Args:
        content: The file.
        accuracy: Share of right answers, 0 to 1.
    """
    classifier = ExpressionClassifier(open_content(content))
    head, metadata = classifier.head, classifier.metadata
    head = replace(head, figures={**head.figures, "validation_accuracy": accuracy})
    return model_bytes(onnx.load_from_string(content), metadata.with_head(head))


def judge(
    original: ExpressionClassifier,
    int8: ExpressionClassifier,
    pictures: NDArray[np.uint8],
    labels: NDArray[np.int64],
) -> Verdict:
    """Compare two classifiers.

    Args:
        original: The one with floating-point numbers.
        int8: The other.
        pictures: Validation pictures.
        labels: What they show.
    """
    before, after = (each.predict_proba(pictures) for each in (original, int8))
    one, other = before.argmax(axis=1), after.argmax(axis=1)
    speed = {}
    for n in (1, 256):
        ours, theirs = (
            partial(seconds, partial(each.predict_proba, pictures[:n]), repeats=200 // n + 3)
            for each in (int8, original)
        )
        speed[n] = compare(ours, theirs, rounds=5)["ratio"]
    accuracy, int8_accuracy = (float((answers == labels).mean()) for answers in (one, other))
    divergence = float(scipy.special.rel_entr(before, after).sum(axis=1).mean())
    return Verdict(accuracy, int8_accuracy, float((one == other).mean()), divergence, speed)


def _batches(
    pictures: NDArray[np.uint8], classifier: ExpressionClassifier
) -> Iterator[dict[str, NDArray[np.float32]]]:
    for start in range(0, len(pictures), 32):
        batch = to_batch(pictures[start : start + 32], classifier.metadata.preprocessing)
        yield {INPUT_NAME: batch}


def _name_nodes_to_keep(path: Path, keep_first: int) -> list[str]:
    """Return the names of the nodes that stay in floating point; nameless nodes get one.

    They are the first convolutions, and what makes answers of logits: the nodes of the outputs,
    maps too, and those that ``export`` named after an output: biases, temperature and map of
    confidences.
    """
    model = onnx.load(path)
    for number, node in enumerate(model.graph.node):
        node.name = node.name or f"node {number}"
    onnx.save(model, path)
    outputs = {one.name for one in model.graph.output}
    convolutions = [node.name for node in model.graph.node if node.op_type == "Conv"]
    return convolutions[:keep_first] + [
        node.name
        for node in model.graph.node
        if any(name.partition("/")[0] in outputs for name in node.output)
    ]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
