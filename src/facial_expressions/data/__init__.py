"""Data sets: reading, dividing, checking. Light: NumPy and Pillow only."""

from __future__ import annotations

from facial_expressions.data.dataset import Dataset, Split
from facial_expressions.data.load import load_dataset

__all__ = ["Dataset", "Split", "load_dataset"]
