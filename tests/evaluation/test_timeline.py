"""The timeline: a picture with a bar of the right color at the right place."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from facial_expressions.evaluation.timeline import draw_timeline

COLORS = {"happy": (250, 196, 40), "sad": (80, 160, 240)}


def count(path: Path, color: tuple[int, int, int]) -> int:
    with Image.open(path) as picture:
        pixels = np.asarray(picture.convert("RGB"))
    return int((pixels == np.array(color)).all(-1).sum())


def test_bars_have_the_length_of_their_spans(tmp_path: Path) -> None:
    tracks = {1: [("happy", 0.0, 3.0), ("sad", 3.0, 4.0)], 2: [("happy", 1.0, 4.0)]}
    path = tmp_path / "timeline.png"
    draw_timeline(path, tracks, title="clip.mp4", duration=(0.0, 4.0), colors=COLORS)
    assert 5 < count(path, COLORS["happy"]) / count(path, COLORS["sad"]) < 7


def test_no_track_is_a_picture_too(tmp_path: Path) -> None:
    draw_timeline(tmp_path / "t.png", {}, title="clip.mp4", duration=(0.0, 0.0), colors=COLORS)
    with Image.open(tmp_path / "t.png") as picture:
        assert picture.width > 900
