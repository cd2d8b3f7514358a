"""Model files as graphs: read with what they say of themselves, written sealed, opened in place."""

from __future__ import annotations

import tempfile
from pathlib import Path

import onnx

from facial_expressions.inference.onnx_bytes import seal_model
from facial_expressions.inference.runtime import ModelSession, open_session
from facial_expressions.model_metadata import ModelMetadata


def read_model(path: Path) -> tuple[onnx.ModelProto, ModelMetadata]:
    """Return a model file's graph and metadata.

    Args:
        path: The file.

    Raises:
        ModelError: It is none of ours.
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
        ModelError: It is no model, or cannot be opened.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        path.write_bytes(content)
        return open_session(path)
