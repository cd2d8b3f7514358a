"""From model file format 1 to 2: outputs get their heads' names, calibrations their own fields.

In format 1 the first head's outputs were called ``probabilities`` and ``maps``, those of further
ones after their label sets; biases and maps of confidences stood among the figures. Only names
change, so no answer does.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import onnx

from facial_expressions.calibration import Calibration, TopLabelMap
from facial_expressions.errors import ModelError, parsed
from facial_expressions.files import write_file
from facial_expressions.inference.classifier import ExpressionClassifier
from facial_expressions.inference.runtime import open_session
from facial_expressions.labels import LabelSet
from facial_expressions.model_metadata import Head, ModelMetadata
from facial_expressions.preprocessing import Preprocessing
from facial_expressions.training.model_files import model_bytes, open_content

_OLD_FORMAT: Final = "facial-expressions-model/1"
_PER_CLASS: Final = ("logit_bias", "confidence_slope", "confidence_offset")
"""Figures of format 1 that are a head's calibration, each with a class's name after it."""


def convert_model(old: Path, new: Path) -> ModelMetadata:
    """Write a model file of format 1 as one of format 2; return what the new one says of itself.

    Raises:
        ModelError: ``old`` is not a model file of format 1, or is damaged.
    """
    entries = open_session(old).metadata  # refuses a file that is damaged or unsafe
    if entries.get("format") != _OLD_FORMAT:
        raise ModelError(
            f"{old.name}: not a model file of format 1: its format is {entries.get('format')!r}. "
            f"Only {_OLD_FORMAT!r} is converted"
        )
    metadata = _read_entries(entries, source=old.name)
    model = onnx.load(old)
    first = metadata.head()
    _rename(model.graph, {"probabilities": first.output, "maps": first.maps})
    content = model_bytes(model, metadata)
    ExpressionClassifier(open_content(content))
    write_file(new, content)
    return metadata


def _read_entries(entries: Mapping[str, str], *, source: str) -> ModelMetadata:
    """Return the entries of format 1 as metadata of today."""
    try:
        of_first = ("labels", "temperature", "uncertain_below", "figures")
        first = {key: parsed(json.loads, entries[key]) for key in of_first}
        heads = [
            _head(one) for one in (first, *parsed(json.loads, entries.get("other_heads", "[]")))
        ]
        given = parsed(json.loads, entries["preprocessing"])
        # The detector now decides how crops are framed.
        scaling = {key: given[key] for key in given if key != "framing"}
        as_before = ("name", "architecture", "licence", "data", "data_digest", "created_with")
        return ModelMetadata(
            heads=tuple(heads),
            default_head=heads[0].name,
            preprocessing=Preprocessing.from_dict(scaling),
            **{key: entries[key] for key in as_before},
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{source}: damaged metadata: {error!r}. Get the file again") from error


def _head(data: Mapping[str, Any]) -> Head:
    """Return a head of format 1, its calibration taken out of its figures."""
    labels = LabelSet(data["labels"]["name"], tuple(data["labels"]["names"]))
    figures = dict(data["figures"])
    biases, slopes, offsets = (
        tuple(figures.pop(f"{kind}_{name}") for name in labels if f"{kind}_{name}" in figures)
        for kind in _PER_CLASS
    )
    calibration = Calibration(
        biases=biases,
        temperature=float(data["temperature"]),
        top_label=TopLabelMap(slopes, offsets) if slopes else None,
        uncertain_below=float(data["uncertain_below"]),
    )
    for name in ("temperature", "uncertain_below"):  # stood there twice
        figures.pop(name, None)
    return Head(labels.name, labels, calibration, figures)


def _rename(graph: onnx.GraphProto, names: Mapping[str, str]) -> None:
    """Give outputs other names, and what is named after them: ``maps``, ``maps/kernel``."""

    def renamed(name: str) -> str:
        first, slash, rest = name.partition("/")
        return f"{names.get(first, first)}{slash}{rest}"

    for node in graph.node:
        node.name = renamed(node.name)
        node.input[:] = map(renamed, node.input)
        node.output[:] = map(renamed, node.output)
    for value in (*graph.initializer, *graph.output, *graph.value_info):
        value.name = renamed(value.name)
