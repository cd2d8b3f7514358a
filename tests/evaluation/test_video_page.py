"""The page of a video."""

from __future__ import annotations

import re
from dataclasses import replace

from facial_expressions.evaluation.video_page import VideoRecord, VideoTrack, render_video_page
from tests.evaluation.page_checker import Checker

COLORS = {"happy": (250, 196, 40), "sad": (80, 160, 240)}
TRACK = VideoTrack(
    number=3,
    seen_s=4.0,
    spans=[("happy", 10.0, 13.0), ("sad", 13.0, 14.0)],
    shares={"happy": 0.75, "sad": 0.25},
    longest=[("happy", 10.0, 13.0)],
)
RECORD = VideoRecord("<clip>.mp4", "ok", 100, 25, 10.0, 4.0, [TRACK])


def look_at(record: VideoRecord) -> tuple[str, list[str]]:
    page = render_video_page(record, colors=COLORS)
    checker = Checker()
    checker.feed(page)
    assert checker.open == []
    assert checker.images_without_text == 0
    assert {"script", "link", "iframe", "object", "clip"}.isdisjoint(checker.tags)
    assert checker.links == []
    assert not re.search(r"url\(|@import|https?://", page)
    return page, checker.texts


def test_bars_have_the_length_and_color_of_their_spans() -> None:
    """Of four seconds on 904 units three are happy."""
    page, _ = look_at(RECORD)
    bars = re.findall(r'<rect x="([\d.]+)" .*?width="([\d.]+)" .*?fill="(#\w+)"', page)
    assert bars == [("84.00", "678.00", "#fac428"), ("762.00", "226.00", "#50a0f0")]


def test_shares_and_longest_stretches_are_named() -> None:
    _, texts = look_at(RECORD)
    assert "75.0 % with a face" in texts
    row = texts.index("4.00 s", texts.index("Seen"))
    assert texts[row - 1 : row + 3] == ["track 3", "4.00 s", "75.0 %", "25.0 %"]
    assert texts[texts.index("To") + 1 :][:4] == ["track 3", "happy", "10.00 s", "13.00 s"]


def test_the_page_says_that_a_video_was_cut_short() -> None:
    _, texts = look_at(replace(RECORD, status="truncated"))
    assert any("cut short or damaged" in text for text in texts)


def test_a_video_without_a_face_has_a_page() -> None:
    page, texts = look_at(replace(RECORD, tracks=[], n_frames=0, duration_s=0.0))
    assert "No face was seen." in texts
    assert "<rect" not in page
