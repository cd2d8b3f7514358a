"""Measures the share of the processor that networks reach, against the best matrix product here.

A network's operations are counted from its graph: two for each product that a convolution or a
matrix product sums. The peak is the best rate of any matrix product in the same number format, in
several sizes, measured in turns with the networks on as many threads: float32 by ONNX Runtime and
by NumPy; 8 bits, with weights of 7 as in the files that ship, by ONNX Runtime.

Example:
    python -m benchmarks.peak
"""

from __future__ import annotations

import argparse
import math
import os
import statistics
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
from onnx import TensorProto, helper

import facial_expressions as fx
from benchmarks.images import face_crops
from benchmarks.record import seconds, write_results
from facial_expressions.inference.model_store import resolve
from facial_expressions.inference.runtime import open_session

SIDES: Final = (512, 1024, 2048)
BATCH: Final = 256
MODELS: Final = {
    "compact": "float32",
    "standardized-cnn": "float32",
    "compact-int8": "int8",
    "standardized-cnn-int8": "int8",
}
"""Number format of each network's convolutions."""
Shapes = dict[str, tuple[int, ...]]


def main() -> None:
    """Measure networks and matrix products in turns and write the shares."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a short trial; nothing is written")
    rounds = 2 if parser.parse_args().quick else 10
    threads = os.cpu_count() or 1
    crops = face_crops(BATCH)
    work = matrix_products(threads)
    formats = {name: name.split()[0] for name in work}
    for model in MODELS:
        n_operations = count_operations(resolve(model)[0], BATCH)
        classify = fx.load_classifier(model, threads=threads).predict_proba
        work[model] = (n_operations, partial(classify, crops))
    times: dict[str, list[float]] = {name: [] for name in work}
    for _ in range(rounds):
        for name, (_, call) in work.items():
            times[name] += seconds(call, repeats=3)
    rates = {name: n / statistics.median(times[name]) / 1e9 for name, (n, _) in work.items()}
    peaks = {
        kind: max(rates[name] for name, own in formats.items() if own == kind)
        for kind in set(formats.values())
    }
    figures = {
        "threads": threads,
        "batch": BATCH,
        "peak_gflops": {kind: round(peak, 1) for kind, peak in sorted(peaks.items())},
        "gflops": {name: round(rate, 1) for name, rate in rates.items()},
        "share": {name: round(rates[name] / peaks[kind], 4) for name, kind in MODELS.items()},
        "share_of_float32": {name: round(rates[name] / peaks["float32"], 4) for name in MODELS},
        "mflop_per_crop": {model: round(work[model][0] / BATCH / 1e6, 2) for model in MODELS},
    }
    write_results("peak", figures, keep=rounds > 2)


def matrix_products(threads: int) -> dict[str, tuple[float, Callable[[], object]]]:
    """Return matrix products by name: their operations, and a call that does one.

    A name begins with the number format.

    Args:
        threads: Threads of ONNX Runtime's; NumPy's take all cores.
    """
    products: dict[str, tuple[float, Callable[[], object]]] = {}
    rng = np.random.default_rng(0)
    for side in SIDES:
        n_operations = 2 * side**3
        a, b = rng.standard_normal((2, side, side)).astype(np.float32)
        products[f"float32 numpy {side}"] = (n_operations, partial(np.matmul, a, b))
        bytes_ = rng.integers(0, 256, (side, side), np.uint8)
        weights = rng.integers(-64, 64, (side, side), np.int8)
        for kind, left, right in (("float32", a, b), ("int8", bytes_, weights)):
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "product.onnx"
                onnx.save(_product_graph(side, right), path)
                session = open_session(path, threads=threads)
            call = partial(session.run, {"a": left}, outputs=["c"])
            products[f"{kind} onnxruntime {side}"] = (n_operations, call)
    return products


def count_operations(path: Path, batch: int) -> int:
    """Return the floating-point operations of a network's convolutions and matrix products.

    Args:
        path: An ONNX file whose first axis is the batch.
        batch: Size of the batch.
    """
    model = onnx.load(path)
    for value in model.graph.input:
        value.type.tensor_type.shape.dim[0].dim_value = batch
    for value in model.graph.output:
        value.type.tensor_type.shape.dim[0].ClearField("dim_param")
    graph = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    shapes: Shapes = {one.name: tuple(one.dims) for one in graph.initializer}
    for value in (*graph.input, *graph.value_info, *graph.output):
        dims = value.type.tensor_type.shape.dim
        shapes[value.name] = tuple(one.dim_value for one in dims)
    return sum(_operations(node, shapes) for node in graph.node)


def _operations(node: Any, shapes: Shapes) -> int:  # noqa: ANN401 - onnx.NodeProto
    """Return two operations for each product that a node sums."""
    if node.op_type not in ("Conv", "Gemm", "MatMul"):
        return 0
    outputs = math.prod(shapes[node.output[0]])
    if node.op_type == "Conv":
        summed = math.prod(shapes[node.input[1]][1:])  # channels of a group, height, width
    else:
        transposed = any(one.name == "transA" and one.i for one in node.attribute)
        summed = shapes[node.input[0]][0 if transposed else -1]
    return 2 * outputs * summed


def _product_graph(side: int, b: np.ndarray[Any, np.dtype[Any]]) -> onnx.ModelProto:
    """Return the graph of ``c = a @ b``; in 8 bits written as ONNX Runtime joins it to one step."""
    constants, kind = [onnx.numpy_helper.from_array(b, "b")], TensorProto.FLOAT
    nodes = [helper.make_node("MatMul", ["a", "b"], ["c"])]
    if b.dtype == np.int8:
        kind = TensorProto.UINT8
        for name, value in (
            ("scale", np.float32(0.01)),
            ("sum scale", np.float32(1)),
            ("middle", np.uint8(128)),
            ("zero", np.int8(0)),
        ):
            constants.append(onnx.numpy_helper.from_array(np.asarray(value), name))
        nodes = [
            helper.make_node("DequantizeLinear", ["a", "scale", "middle"], ["float a"]),
            helper.make_node("DequantizeLinear", ["b", "scale", "zero"], ["float b"]),
            helper.make_node("MatMul", ["float a", "float b"], ["float c"]),
            helper.make_node("QuantizeLinear", ["float c", "sum scale", "middle"], ["c"]),
        ]
    a, c = (helper.make_tensor_value_info(name, kind, [side, side]) for name in "ac")
    graph = helper.make_graph(nodes, "product", [a], [c], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


if __name__ == "__main__":
    main()
