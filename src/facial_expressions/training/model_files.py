"""Model files as graphs: read with what they say of themselves, added to, sealed, opened."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from facial_expressions.inference.onnx_bytes import seal_model
from facial_expressions.inference.runtime import ModelSession, open_session
from facial_expressions.model_metadata import INPUT_NAME, Head, ModelMetadata
from facial_expressions.preprocessing import to_batch

_AT_ONCE: Final = 256

Attribute = int | float | list[int]


class Graph:
    """A graph to which nodes are added, each named after its one output.

    Args:
        proto: The graph; None begins an empty one.

    Attributes:
        proto: The graph.
    """

    def __init__(self, proto: onnx.GraphProto | None = None) -> None:
        self.proto = onnx.GraphProto() if proto is None else proto

    def add(self, kind: str, inputs: Sequence[str], output: str, **attributes: Attribute) -> str:
        """Add a node and return its output's name."""
        node = helper.make_node(kind, list(inputs), [output], output)
        node.attribute.extend(
            helper.make_attribute(key, value) for key, value in attributes.items()
        )
        self.proto.node.append(node)
        return output

    def constant(self, name: str, value: NDArray[np.generic]) -> str:
        """Add weights, or whole numbers such as a shape, and return their name."""
        kind = np.float32 if np.issubdtype(value.dtype, np.floating) else np.int64
        array = np.asarray(value, dtype=kind, order="C")
        self.proto.initializer.append(numpy_helper.from_array(array, name))
        return name

    def declare(self, output: str, shape: Sequence[str | int | None]) -> None:
        """Make a value one of the graph's outputs."""
        value = helper.make_tensor_value_info(output, TensorProto.FLOAT, shape)
        self.proto.output.append(value)

    def add_probabilities(self, head: Head, logits: str, n_classes: int) -> None:
        """Add the output of a head: its logits with class biases and temperature, as softmax.

        Args:
            head: The head; its map of confidences is ``set_top_label_map``'s.
            logits: Name of its logits.
            n_classes: How many there are.
        """
        output, biases = head.output, np.array(head.calibration.biases, np.float32)
        if biases.any():
            shift = self.constant(f"{output}/shift", biases)
            logits = self.add("Add", [logits, shift], f"{output}/shifted")
        divisor = np.array([head.calibration.temperature], np.float32)
        temperature = self.constant(f"{output}/temperature", divisor)
        scaled = self.add("Div", [logits, temperature], f"{output}/scaled")
        self.add("Softmax", [scaled], output, axis=-1)
        self.declare(output, ["N", n_classes])

    def add_maps(
        self,
        head: Head,
        last_map: str,
        layer: tuple[NDArray[np.floating], NDArray[np.floating]],
        sides: Sequence[int | None] = (None, None),
    ) -> None:
        """Add the class activation maps of a head that is linear over the mean of the last map.

        Args:
            head: The head.
            last_map: Name of the map.
            layer: Kernel ``(D, K)`` and bias ``(K,)`` of the linear layer.
            sides: Height and width of the map, where they are known.
        """
        maps, calibration, (kernel, bias) = head.maps, head.calibration, layer
        biases = np.array(calibration.biases, np.float32) if calibration.biases else 0
        weights = [
            self.constant(f"{maps}/kernel", (kernel / calibration.temperature).T[:, :, None, None]),
            self.constant(f"{maps}/bias", (bias + biases) / calibration.temperature),
        ]
        self.add("Conv", [last_map, *weights], maps, kernel_shape=[1, 1])
        self.declare(maps, ["N", len(bias), *sides])


def read_model(path: Path) -> tuple[onnx.ModelProto, ModelMetadata]:
    """Return a model file's graph and metadata.

    Args:
        path: The file.

    Raises:
        ModelError: It is not one of ours.
    """
    model = onnx.load(path)
    entries = {entry.key: entry.value for entry in model.metadata_props}
    return model, ModelMetadata.from_entries(entries, source=path.name)


def model_bytes(model: onnx.ModelProto, metadata: ModelMetadata) -> bytes:
    """Return the content of a model file, sealed.

    Args:
        model: The graph; its own metadata are replaced.
        metadata: What the file says of itself.
    """
    onnx.helper.set_model_props(model, metadata.to_entries())
    return seal_model(model.SerializeToString(deterministic=True))


def open_content(content: bytes) -> ModelSession:
    """Open the content of a model file as users open the file.

    Args:
        content: What ``model_bytes`` returned.

    Raises:
        ModelError: It is not a model, or cannot be opened.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        path.write_bytes(content)
        return open_session(path)


def run_content(
    content: bytes,
    metadata: ModelMetadata,
    crops: NDArray[np.uint8],
    outputs: Sequence[str] | None = None,
) -> list[NDArray[np.float32]]:
    """Return what outputs of a file with this content give, opened as users open it.

    Args:
        content: What ``model_bytes`` returned.
        metadata: What the file says of itself.
        crops: Grey ``uint8 (N, S, S)``.
        outputs: Their names; None takes the probabilities of every head.
    """
    session = open_content(content)
    names = [head.output for head in metadata.heads] if outputs is None else outputs
    chunks = [
        session.run(
            {INPUT_NAME: to_batch(crops[i : i + _AT_ONCE], metadata.preprocessing)}, outputs=names
        )
        for i in range(0, len(crops), _AT_ONCE)
    ]
    return [np.concatenate(part) for part in zip(*chunks, strict=True)]
