"""Limits on what is read: the same for files, videos, archives and requests."""

from __future__ import annotations

from typing import Final

MAX_PIXELS: Final = 178_000_000
"""Pixels of the largest image that is read, unless one asks for more."""
