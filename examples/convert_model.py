"""Convert a model file of format 1, from before heads had names of their own, to format 2.

Answers and maps stay the same bit for bit. Needs the extra ``train``:

python convert_model.py old.onnx new.onnx
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import onnx

from facial_expressions.errors import FacialExpressionsError, ModelError, parsed
from facial_expressions.files import write_file
from facial_expressions.inference.classifier import ExpressionClassifier
from facial_expressions.inference.runtime import open_session
from facial_expressions.model_metadata import FORMAT, ModelMetadata
from facial_expressions.training.model_files import model_bytes, open_content

OLD_FORMAT = "facial-expressions-model/1"
PER_CLASS = ("logit_bias", "confidence_slope", "confidence_offset")
"""Figures of format 1 that are a head's calibration, each with a class's name after it."""


def main(arguments: Sequence[str]) -> int:
    """Convert the first file to the second; return the exit code."""
    old, new = map(Path, arguments)
    try:
        metadata = convert_model(old, new)
    except FacialExpressionsError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{new}: heads {', '.join(metadata.head_names)}; default {metadata.default_head}")
    return 0


def convert_model(old: Path, new: Path) -> ModelMetadata:
    """Write a model file of format 1 as one of format 2; return what the new one says of itself.

    In format 1 the first head's outputs were called ``probabilities`` and ``maps``, those of
    further ones after their label sets; biases and maps of confidences stood among the figures.
    Only names change, so no answer does.

    Raises:
        ModelError: ``old`` is not a model file of format 1, or is damaged.
    """
    entries = open_session(old).metadata  # refuses a file that is damaged or unsafe
    if entries.get("format") != OLD_FORMAT:
        raise ModelError(
            f"{old.name}: not a model file of format 1: its format is {entries.get('format')!r}. "
            f"Only {OLD_FORMAT!r} is converted"
        )
    try:
        today = _entries_of_today(entries)
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{old.name}: damaged metadata: {error!r}. Get the file again") from error
    metadata = ModelMetadata.from_entries(today, source=old.name)
    model, first = onnx.load(old), metadata.head()
    _rename(model.graph, {"probabilities": first.output, "maps": first.maps})
    content = model_bytes(model, metadata)
    ExpressionClassifier(open_content(content))
    write_file(new, content)
    return metadata


def _entries_of_today(entries: Mapping[str, str]) -> dict[str, str]:
    """Return the entries of format 1 as those of format 2."""
    of_first = ("labels", "temperature", "uncertain_below", "figures")
    first = {key: parsed(json.loads, entries[key]) for key in of_first}
    heads = [_head(one) for one in (first, *parsed(json.loads, entries.get("other_heads", "[]")))]
    scaling = parsed(json.loads, entries["preprocessing"])
    scaling.pop("framing", None)  # the detector now decides how crops are framed
    changed = {"heads": json.dumps(heads), "preprocessing": json.dumps(scaling)}
    return {**entries, **changed, "format": FORMAT, "default_head": heads[0]["name"]}


def _head(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return a head of format 1 as one of format 2, its calibration taken out of its figures."""
    labels, figures = data["labels"], dict(data["figures"])
    biases, slopes, offsets = (
        [figures.pop(f"{kind}_{one}") for one in labels["names"] if f"{kind}_{one}" in figures]
        for kind in PER_CLASS
    )
    scalars = {name: data[name] for name in ("temperature", "uncertain_below")}
    lines = {"slopes": slopes, "offsets": offsets} if slopes else None
    figures = {name: value for name, value in figures.items() if name not in scalars}  # twice there
    calibration = {"biases": biases, "top_label": lines, **scalars}
    return {**data, "name": labels["name"], "calibration": calibration, "figures": figures}


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


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
