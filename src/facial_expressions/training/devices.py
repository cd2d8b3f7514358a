"""Several devices: each takes its part of every batch, by Keras' own distribution."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import keras

from facial_expressions.errors import RecipeError

__all__ = ["count_devices", "spread_over_devices"]


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

    Example:
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
