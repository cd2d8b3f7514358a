"""The devices of a run: several that part each batch, and sums in one order on each of them."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

import keras

from facial_expressions.errors import RecipeError

__all__ = ["count_devices", "make_deterministic", "spread_over_devices"]


def count_devices() -> int:
    """Return how many devices a run takes: all that JAX sees, or one with another backend."""
    if keras.backend.backend() != "jax":
        return 1  # Keras distributes on JAX alone
    return len(keras.distribution.list_devices())


@contextlib.contextmanager
def spread_over_devices(batch_size: int) -> Iterator[int]:
    """Hold a copy of every network made inside on each device, and part batches among them.

    Args:
        batch_size: Inputs in a step, at least one for each device.

    Yields:
        How many devices there are; inputs in a step have to be a multiple of it.

    Raises:
        RecipeError: Batches are smaller than the number of devices.

    Examples:
        >>> with spread_over_devices(128) as n_devices:
        ...     n_devices >= 1
        True
    """
    n_devices = count_devices()
    if n_devices == 1:
        yield 1
        return
    if batch_size < n_devices:
        raise RecipeError(
            f"optimization.batch_size is too small for this machine; received {batch_size} inputs "
            f"a step for {n_devices} devices; use a multiple of {n_devices}, or show JAX fewer "
            "devices (CUDA_VISIBLE_DEVICES)"
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
