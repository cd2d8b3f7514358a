"""Open model files on ONNX Runtime: the only file that imports it.

A session is opened from bytes that were checked first (size, SHA-256 where it is known, whole, no
tensors in other files), and pickles as the path and options it was opened with. It runs on the
processor unless another device is asked for; to add one, add a line to ``DEVICES``.
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from facial_expressions.errors import ModelError, first_line, suggest
from facial_expressions.inference.onnx_bytes import check_onnx_bytes, metadata_entries
from facial_expressions.inference.tensor_sizes import MAX_CROPS, check_tensor_sizes
from facial_expressions.plain_text import shown

if TYPE_CHECKING:
    import onnxruntime

MAX_MODEL_BYTES: Final = 200 * 1024 * 1024
"""Larger model files are refused."""

CPU: Final = "cpu"
AUTO: Final = "auto"
"""Stands for the first of ``DEVICES`` that the installed ONNX Runtime offers, else the CPU."""

DEVICES: Final[Mapping[str, tuple[str, str]]] = {
    "cuda": ("CUDAExecutionProvider", "onnxruntime-gpu in place of onnxruntime"),
    "directml": (
        "DmlExecutionProvider",
        "onnxruntime-directml in place of onnxruntime, on Windows",
    ),
    "coreml": ("CoreMLExecutionProvider", "onnxruntime on macOS"),
    "openvino": ("OpenVINOExecutionProvider", "onnxruntime-openvino in place of onnxruntime"),
}
"""Accelerators: ONNX Runtime's execution provider of each, and which package brings it."""

_CPU_PROVIDER: Final = "CPUExecutionProvider"
_LOGGER: Final = logging.getLogger(__name__)

_FOLDING: Final = ("optimization.constant_folding_max_output_size_in_bytes", str(16 * 1024 * 1024))
"""Constants that would grow beyond this are computed when they are needed, not when the file is
opened."""

_QUIET: Final = 4
"""ONNX Runtime's severity "fatal": what fails is raised, and told in words. Its own lines take
names of the graph to the terminal, control characters and all."""


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """Name, type and shape of a model's input or output.

    Attributes:
        name: Name in the graph.
        dtype: ONNX Runtime's name of the type, for example ``tensor(float)``.
        shape: Sizes; None where the graph leaves one open.
    """

    name: str
    dtype: str
    shape: tuple[int | None, ...]


class ModelSession:
    """A model ready to run; safe to share between threads, and pickled as its path and options.

    Made by ``open_session``.
    """

    def __init__(
        self, session: onnxruntime.InferenceSession, path: Path, options: Mapping[str, Any],
        most_crops: int,
    ) -> None:  # fmt: skip
        self._session = session
        self._options = dict(options)
        self.path, self.most_crops = path, most_crops
        self.inputs = tuple(_spec(node) for node in session.get_inputs())
        self.outputs = tuple(_spec(node) for node in session.get_outputs())
        self.metadata: dict[str, str] = dict(session.get_modelmeta().custom_metadata_map)

    @property
    def providers(self) -> tuple[str, ...]:
        """Execution providers in use, first choice first."""
        return tuple(self._session.get_providers())

    def run(
        self, feeds: Mapping[str, NDArray[np.float32]], *, outputs: Sequence[str]
    ) -> list[NDArray[np.float32]]:
        """Run the graph once; return the outputs, in that order.

        Raises:
            ModelError: ONNX Runtime cannot run the graph on these values.
        """
        try:
            return list(self._session.run(list(outputs), dict(feeds)))
        except _runtime_errors() as error:
            shapes = {name: value.shape for name, value in feeds.items()}
            device = self.providers[0]
            if device != _CPU_PROVIDER:
                raise ModelError(
                    f"{self.path.name}: fails on {device}: {first_line(error)}. Use --device cpu"
                ) from error
            raise ModelError(
                f"{self.path.name}: cannot be run on inputs {shapes}: {first_line(error)}. Check "
                "the model with 'facial-expressions models verify'"
            ) from error

    def __reduce__(self) -> tuple[Any, ...]:
        return (partial(open_session, **self._options), (self.path,))

    def __repr__(self) -> str:
        return f"ModelSession({str(self.path)!r})"


def open_session(
    path: str | Path,
    *,
    threads: int | None = None,
    device: str = CPU,
    sha256: str | None = None,
    check_metadata: Callable[[Mapping[str, str]], object] | None = None,
) -> ModelSession:
    """Check a model file and open it.

    Args:
        path: An ONNX file.
        threads: Threads for one run; None leaves it to ONNX Runtime (one per physical core).
        device: ``cpu``, ``auto``, or a name in ``DEVICES``. What it lacks runs on the processor.
        sha256: What the file's SHA-256 must be, as hexadecimal digits; None when it is not known.
        check_metadata: Called with the file's metadata before the graph is looked at; raises when
            the file is of no use.

    Raises:
        ModelError: The file is missing, too large, changed, no model, needs too much memory or
            another runtime; or the device is not there.
        ValueError: ``threads`` is under 1.
    """
    if threads is not None and threads < 1:
        raise ValueError(f"threads: must be 1 or more, not {threads}. Leave it out for all")
    path = Path(path)
    data = _read(path)
    if sha256 is not None and (found := hashlib.sha256(data).hexdigest()) != sha256:
        raise ModelError(
            f"{shown(path.name)}: not the file that was published: its SHA-256 is {found}, not "
            f"{sha256}. Install the package again"
        )
    check_onnx_bytes(data, source=path.name)
    if check_metadata is not None:
        check_metadata(metadata_entries(data))
    most_crops = MAX_CROPS
    if sha256 is None:  # what was published was measured
        most_crops = check_tensor_sizes(data, infer_shapes, source=path.name)
    session = _start(data, path, threads, device)
    options = {"threads": threads, "device": device, "sha256": sha256}
    return ModelSession(session, path.absolute(), options, most_crops)


def infer_shapes(data: bytes) -> list[tuple[int | None, ...]]:
    """Return the shapes of a model's outputs, in order; nothing of its graph is computed.

    Raises:
        ModelError: ONNX Runtime cannot read it.
    """
    runtime = _runtime()
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1
    options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.add_session_config_entry("session.disable_prepacking", "1")
    session = _session(data, options, (_CPU_PROVIDER,))
    return [_spec(node).shape for node in session.get_outputs()]


def available_providers() -> tuple[str, ...]:
    """Return the execution providers of the installed ONNX Runtime, its first choice first.

    Examples:
        >>> "CPUExecutionProvider" in available_providers()
        True
    """
    return tuple(_runtime().get_available_providers())


def choose_providers(device: str, offered: Sequence[str]) -> tuple[str, ...]:
    """Choose ONNX Runtime's execution providers for a device, first choice first.

    Raises:
        ModelError: There is no such device, or the installed ONNX Runtime does not offer it.

    Examples:
        >>> choose_providers("auto", ["CUDAExecutionProvider", "CPUExecutionProvider"])
        ('CUDAExecutionProvider', 'CPUExecutionProvider')
    """
    if device == CPU:
        return (_CPU_PROVIDER,)
    if device == AUTO:
        there = [provider for provider, _ in DEVICES.values() if provider in offered]
        return (*there[:1], _CPU_PROVIDER)
    if device not in DEVICES:
        names = [CPU, AUTO, *DEVICES]
        raise ModelError(f"{shown(device)}: no such device. {suggest(device, names)}")
    provider, package = DEVICES[device]
    if provider not in offered:
        raise ModelError(
            f"{device}: device not available: ONNX Runtime offers {list(offered)}. Install "
            f"{package}, or use --device cpu"
        )
    return (provider, _CPU_PROVIDER)


def quantization_tools() -> ModuleType:
    """Return ONNX Runtime's tools that make models in 8 bits; they need the package onnx."""
    _runtime()
    return import_module("onnxruntime.quantization")


def file_sha256(path: str | Path) -> str:
    """Return a model file's SHA-256 as hexadecimal digits.

    Raises:
        ModelError: The file cannot be read, or is too large for a model.
    """
    return hashlib.sha256(_read(Path(path))).hexdigest()


def _read(path: Path) -> bytes:
    """Return the file's bytes; only regular files, and none over the limit."""
    try:
        if not path.exists():
            fault = "model file not found"
        elif not path.is_file():
            fault = "a folder or device, not a model file"
        elif not 0 < (size := path.stat().st_size) <= MAX_MODEL_BYTES:
            fault = (
                f"{size:,} bytes is not the size of a model, 1 to {MAX_MODEL_BYTES:,}. Copy the "
                "file again, or export the model again"
            )
        else:
            return path.read_bytes()
    except (OSError, ValueError) as error:
        fault = f"cannot be read: {first_line(error)}. Check its permissions"
    raise ModelError(f"{shown(path)}: {fault}")


def _start(
    data: bytes, path: Path, threads: int | None, device: str
) -> onnxruntime.InferenceSession:
    runtime = _runtime()
    providers = choose_providers(device, runtime.get_available_providers())
    options = runtime.SessionOptions()
    options.intra_op_num_threads = min(threads, os.cpu_count() or 1) if threads else 0
    options.inter_op_num_threads = 1
    # Threads that wait by spinning take the cores from the other network: a video's detector and
    # classifier in turns, on two cores, took 1.7 times as long and twice the processor time.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry(*_FOLDING)
    options.enable_mem_pattern = False  # a block for every size of photo that came would be kept
    session = _session(data, options, providers, f"{shown(path.name)}: ")
    _check_started(session, providers[0], device)
    return session


def _session(
    data: bytes, options: onnxruntime.SessionOptions, providers: Sequence[str], name: str = ""
) -> onnxruntime.InferenceSession:
    """Open a model, of which a message begins with the name."""
    runtime = _runtime()
    options.log_severity_level = _QUIET
    try:
        return runtime.InferenceSession(
            data, options, providers=list(providers), enable_fallback=False
        )
    except _runtime_errors() as error:
        _LOGGER.debug("%s", first_line(error))
        other = "use --device cpu" if providers[0] != _CPU_PROVIDER else "update onnxruntime"
        raise ModelError(
            f"{name}cannot be opened: the network has errors, or needs what ONNX Runtime "
            f"{runtime.__version__} does not have. Export it again, or {other}"
        ) from error


def _check_started(session: onnxruntime.InferenceSession, provider: str, device: str) -> None:
    """Notice a device that ONNX Runtime offers and then leaves out, as when its driver is missing.

    Raises:
        ModelError: It was asked for by name.
    """
    if provider in session.get_providers():
        return
    problem = f"device {device}: ONNX Runtime has {provider} but could not start it"
    if device != AUTO:
        raise ModelError(f"{problem}. Check its driver and libraries, or use --device cpu")
    _LOGGER.warning("%s. Running on the CPU", problem)


def _runtime() -> ModuleType:
    """Import ONNX Runtime with its reports of use switched off: nothing leaves the machine.

    From 1.32 on its wheels for Linux make an identifier and a data base of events in the user's
    cache folder as soon as they are loaded; the variable alone, set before, prevents that.
    """
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    import onnxruntime

    module: ModuleType = onnxruntime
    module.disable_telemetry_events()
    return module


def _runtime_errors() -> tuple[type[Exception], ...]:
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    kinds = (one for one in vars(state).values() if isinstance(one, type))
    return (*(one for one in kinds if issubclass(one, Exception)), RuntimeError, ValueError)


def _spec(node: onnxruntime.NodeArg) -> TensorSpec:
    sizes = tuple(size if isinstance(size, int) else None for size in node.shape)
    return TensorSpec(node.name, node.type, sizes)
