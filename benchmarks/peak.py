"""Measures the share of the processor that networks reach, against the best matrix product here.

A network's operations are counted from its graph: two for each product that a convolution or a
matrix product sums. The peak is the best rate of any float32 matrix product, by ONNX Runtime and by
NumPy, in several sizes, measured in turns with the networks on as many threads.

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
from benchmarks.pictures import face_crops
from benchmarks.record import seconds, write_results
from facial_expressions.inference.model_store import resolve
from facial_expressions.inference.runtime import open_session

SIDES: Final = (512, 1024, 2048)
BATCH: Final = 256
MODELS: Final = ("compact", "standardized-cnn")
Shapes = dict[str, tuple[int, ...]]


def main() -> None:
    """Measure networks and matrix products in turns and write the shares."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a short trial; nothing is written")
    rounds = 2 if parser.parse_args().quick else 10
    threads = os.cpu_count() or 1
    crops = face_crops(BATCH)
    work = dict(matrix_products(threads))
    for model in MODELS:
        n_operations = count_operations(resolve(model).path, BATCH)
        classify = fx.load_classifier(model, threads=threads).predict_proba
        work[model] = (n_operations, partial(classify, crops))
    times: dict[str, list[float]] = {name: [] for name in work}
    for _ in range(rounds):
        for name, (_, call) in work.items():
            times[name] += seconds(call, repeats=3)
    rates = {name: n / statistics.median(times[name]) / 1e9 for name, (n, _) in work.items()}
    peak = max(rate for name, rate in rates.items() if name not in MODELS)
    figures = {
        "threads": threads,
        "batch": BATCH,
        "peak_gflops": round(peak, 1),
        "gflops": {name: round(rate, 1) for name, rate in rates.items()},
        "share": {model: round(rates[model] / peak, 4) for model in MODELS},
        "mflop_per_crop": {model: round(work[model][0] / BATCH / 1e6, 2) for model in MODELS},
    }
    write_results("peak", figures, keep=rounds > 2)


def matrix_products(threads: int) -> dict[str, tuple[float, Callable[[], object]]]:
    """Return float32 matrix products by name: their operations, and a call that does one.

    Args:
        threads: Threads of ONNX Runtime's; NumPy's take all cores.
    """
    products: dict[str, tuple[float, Callable[[], object]]] = {}
    rng = np.random.default_rng(0)
    for side in SIDES:
        a, b = rng.standard_normal((2, side, side)).astype(np.float32)
        products[f"numpy {side}"] = (2 * side**3, partial(np.matmul, a, b))
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "product.onnx"
            onnx.save(_product_graph(side, b), path)
            session = open_session(path, threads=threads)
        products[f"onnxruntime {side}"] = (
            2 * side**3,
            partial(session.run, {"a": a}, outputs=["c"]),
        )
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


def _product_graph(side: int, b: np.ndarray[Any, np.dtype[np.float32]]) -> onnx.ModelProto:
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [side, side]) for name in "ac"]
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["a", "b"], ["c"])],
        "product",
        values[:1],
        values[1:],
        [onnx.numpy_helper.from_array(b, "b")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


if __name__ == "__main__":
    main()
