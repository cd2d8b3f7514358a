"""Training without graphs of its steps, which take longer to make than a test's few steps."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator


@contextlib.contextmanager
def steps_without_a_graph() -> Iterator[None]:
    """Train without making a graph of a step.

    Runs as a user has them are in ``tests/test_end_to_end.py``.
    """
    import tensorflow

    tensorflow.config.run_functions_eagerly(True)
    try:
        yield
    finally:
        tensorflow.config.run_functions_eagerly(False)
