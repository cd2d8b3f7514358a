"""The one place that imports PyAV, so that a missing extra is said in words."""

from __future__ import annotations

from facial_expressions.errors import needs_extra

with needs_extra("video"):
    import av

__all__ = ["av"]
