"""What operators see: counts by outcome, gauges of work, times of each stage, for Prometheus."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from facial_expressions.server.limits import CLIENT_GONE

_PREFIX: Final = "facial_expressions"
_BUCKETS_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
_OUTCOMES: Final = {408: "slow", CLIENT_GONE: "cancelled", 503: "unavailable", 504: "deadline"}


class ServerMetrics:
    """The metrics of one server; each server has a registry of its own.

    Attributes:
        faces: Counts the faces of answers.
        stages: Notes how many seconds ``queue``, ``decode`` and ``recognize`` took.

    Examples:
        >>> metrics = ServerMetrics()
        >>> metrics.count_request("/healthz", 200)
        >>> 'outcome="ok",route="/healthz"} 1.0' in metrics.text().decode()
        True
    """

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            f"{_PREFIX}_requests", "Answers by address and outcome.", ["outcome", "route"],
            registry=self._registry,
        )  # fmt: skip
        self.faces = Counter(f"{_PREFIX}_faces", "Faces in answers.", registry=self._registry)
        self.stages = Histogram(
            f"{_PREFIX}_stage_seconds", "Time of each stage of the work.", ["stage"],
            buckets=_BUCKETS_S, registry=self._registry,
        )  # fmt: skip

    def watch(self, name: str, help_text: str, read: Callable[[], float]) -> None:
        """Add a gauge that is read when the metrics are; its name has no common beginning."""
        gauge = Gauge(f"{_PREFIX}_{name}", help_text, registry=self._registry)
        gauge.set_function(read)

    def count_request(self, route: str, status: int) -> None:
        """Count one answer by its HTTP status; the route is a known address, or ``other``."""
        kind = "ok" if status < 400 else "rejected" if status < 500 else "failed"
        self._requests.labels(_OUTCOMES.get(status, kind), route).inc()

    def text(self) -> bytes:
        """Return all of it in Prometheus' text format."""
        return generate_latest(self._registry)
