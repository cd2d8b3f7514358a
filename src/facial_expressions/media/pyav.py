"""The one place that imports PyAV, so that a missing extra is said in words."""

from __future__ import annotations

from facial_expressions.errors import MissingExtraError

try:
    import av
except ImportError as error:
    raise MissingExtraError.of("video", "av") from error

__all__ = ["av"]
