"""The devices of a run: number format, several that part each batch, sums in one order."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import keras

from facial_expressions.errors import RecipeError

_BFLOAT16_FLAGS: Final = ("avx512_bf16", "amx_bf16")


def list_devices() -> list[str]:
    """Return the devices that the Keras backend computes on, for example ``["cuda:0"]``."""
    if keras.backend.backend() == "torch":  # keras.distribution knows no devices of PyTorch
        import torch

        return [f"cuda:{i}" for i in range(torch.cuda.device_count())] or ["cpu:0"]
    return list(keras.distribution.list_devices())


def has_fast_bfloat16(cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Say whether this machine multiplies bfloat16 faster than float32.

    True on a machine with an accelerator that Keras sees, and on processors with AVX-512-BF16 or
    AMX. Only Linux tells which instructions a processor has; elsewhere the answer is False.
    """
    if not all(name.lower().startswith("cpu") for name in list_devices()):
        return True
    if not sys.platform.startswith("linux") or not cpuinfo.is_file():
        return False
    words = set(cpuinfo.read_text(encoding="ascii", errors="ignore").split())
    return any(flag in words for flag in _BFLOAT16_FLAGS)


def choose_precision(wanted: str) -> str:
    """Return the Keras dtype policy for a recipe's ``precision``."""
    usual = "mixed_bfloat16" if has_fast_bfloat16() else "float32"
    return usual if wanted == "auto" else wanted


@contextlib.contextmanager
def computing_in(policy: str) -> Iterator[None]:
    """Have networks that are built inside compute in a Keras dtype policy."""
    previous = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(previous)


@contextlib.contextmanager
def spread_over_devices(batch_size: int) -> Iterator[int]:
    """Hold a copy of every network made inside on each device, and part batches among them.

    Keras distributes on JAX alone: with another backend a run takes one device.

    Yields:
        How many devices there are; inputs in a step have to be a multiple of it.

    Raises:
        RecipeError: Batches are smaller than the number of devices.

    Examples:
        >>> with spread_over_devices(128) as n_devices:
        ...     n_devices >= 1
        True
    """
    n_devices = len(list_devices()) if keras.backend.backend() == "jax" else 1
    if n_devices == 1:
        yield 1
        return
    if batch_size < n_devices:
        raise RecipeError(
            f"optimization.batch_size: {batch_size} inputs a step are too few for {n_devices} "
            "devices. Use a multiple of that, or fewer devices (CUDA_VISIBLE_DEVICES)"
        )
    before = keras.distribution.distribution()
    keras.distribution.set_distribution(keras.distribution.DataParallel(auto_shard_dataset=False))
    try:
        yield n_devices
    finally:
        keras.distribution.set_distribution(before)


def make_deterministic() -> None:
    """Let the Keras backend compute in one order always, from here to the end of the process.

    Threads otherwise add up what they have in the order they are done, and the last bits of a sum
    depend on it. Call it before any network is built. Steps may take longer.
    """
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow

        tensorflow.config.experimental.enable_op_determinism()
    elif backend == "torch":
        import torch

        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # which PyTorch then asks for
        torch.use_deterministic_algorithms(True)
    else:
        flags = os.environ.get("XLA_FLAGS", "")  # read when JAX first looks for devices
        os.environ["XLA_FLAGS"] = f"{flags} --xla_gpu_deterministic_ops=true".strip()
