"""The page of a video, and its timeline as a chart."""

from __future__ import annotations

import re
import sys
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.collections import PolyCollection  # noqa: TID253 - what charts are made of

from facial_expressions.errors import MissingExtraError
from facial_expressions.media.summary import Stretch, Summary, TrackSummary
from facial_expressions.pages.drawing import png_of
from facial_expressions.pages.video_page import timeline_chart, video_page
from tests.pages.page_checker import look_at

LABELS = ("happy", "sad")
TRACK = TrackSummary(
    3, 10.0, 14.0, 100, 4.0, (Stretch("happy", 10.0, 13.0, 3.0), Stretch("sad", 13.0, 14.0, 1.0))
)
SUMMARY = Summary("videos/<clip>.mp4", "ok", 100, 25, 10.0, 4.0, (TRACK,))


def page_of(summary: Summary) -> tuple[str, list[str]]:
    page = video_page(summary, LABELS)
    checker = look_at(page)
    assert "clip" not in checker.tags
    assert checker.links == []
    return page, checker.texts


def test_bars_have_the_length_and_color_of_their_spans() -> None:
    """Of four seconds on 904 units three are happy."""
    page, _ = page_of(SUMMARY)
    bars = re.findall(r'<rect x="([\d.]+)" .*?width="([\d.]+)" .*?fill="(#\w+)"', page)
    assert bars == [("84.00", "678.00", "#c58600"), ("762.00", "226.00", "#388adc")]


def test_shares_and_longest_stretches_are_named() -> None:
    _, texts = page_of(SUMMARY)
    assert "75.0% with a face" in texts
    row = texts.index("4.00 s", texts.index("Seen"))
    assert texts[row - 1 : row + 4] == ["track 3", "4.00 s", "4.00 s", "75.0%", "25.0%"]
    assert texts[texts.index("To") + 1 :][:8] == [
        "track 3", "happy", "10.00 s", "13.00 s", "track 3", "sad", "13.00 s", "14.00 s",
    ]  # fmt: skip


UNSURE = replace(
    TRACK,
    stretches=(Stretch("happy", 10.0, 13.0, 3.0, uncertain=True), TRACK.stretches[1]),
    n_by_reason={"blurred": 70, "dark": 5},
)


def test_uncertain_time_is_pale_and_no_share() -> None:
    page, texts = page_of(replace(SUMMARY, tracks=(UNSURE,)))
    assert re.findall(r'<rect [^>]*fill="(#\w+)"( fill-opacity="0.3")?>', page) == [
        ("#c58600", ' fill-opacity="0.3"'), ("#388adc", ""),
    ]  # fmt: skip
    row = texts.index("4.00 s", texts.index("Seen"))
    assert texts[row - 1 : row + 5] == [
        "track 3", "4.00 s", "1.00 s", "0.0%", "100.0%", "blurred 70, dark 5",
    ]  # fmt: skip
    (axes,) = timeline_chart(replace(SUMMARY, tracks=(UNSURE,)), LABELS).axes
    (bars,) = [one for one in axes.collections if isinstance(one, PolyCollection)]
    assert np.asarray(bars.get_facecolor())[:, 3].tolist() == [0.3, 1.0]


def test_a_track_that_is_never_certain_has_no_shares() -> None:
    never = replace(UNSURE, stretches=UNSURE.stretches[:1])
    _, texts = page_of(replace(SUMMARY, tracks=(never,)))
    row = texts.index("4.00 s", texts.index("Seen"))
    assert "100.0%" not in texts
    assert texts[row + 2 : row + 4] == ["-", "-"]


def test_cuts_and_short_tracks_are_shown() -> None:
    """A cut after one of four seconds lies a quarter into 904 units."""
    summary = replace(SUMMARY, cuts=(11.0,), n_short_tracks=5)
    page, texts = page_of(summary)
    assert re.findall(r'class="chart-cut" x1="([\d.]+)"', page) == ["310.00"]
    assert "cut at 11.00 s" in texts
    assert "and 5 under 0.3 s" in texts
    (axes,) = timeline_chart(summary, LABELS).axes
    assert [float(np.asarray(line.get_xdata())[0]) for line in axes.lines] == [11.0]


def test_the_page_says_that_a_video_was_cut_short() -> None:
    _, texts = page_of(replace(SUMMARY, status="truncated"))
    assert any("cut short or damaged" in text for text in texts)


def test_a_video_without_a_face_has_a_page() -> None:
    page, texts = page_of(replace(SUMMARY, tracks=(), n_frames=0, duration_s=0.0))
    assert "No face was seen." in texts
    assert "<rect" not in page


def bars_of(summary: Summary) -> list[list[tuple[float, float]]]:
    """Return start and end of each bar in each row of the chart."""
    (axes,) = timeline_chart(summary, LABELS).axes
    rows = [one for one in axes.collections if isinstance(one, PolyCollection)]
    times = [[np.asarray(bar.vertices)[:, 0] for bar in row.get_paths()] for row in rows]
    return [[(float(bar.min()), float(bar.max())) for bar in row] for row in times]


def test_the_chart_has_a_bar_for_each_stretch() -> None:
    assert bars_of(SUMMARY) == [[(10, 13), (13, 14)]]
    (axes,) = timeline_chart(SUMMARY, LABELS).axes
    assert axes.get_xlim() == (10, 14)
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["track 3"]
    assert axes.get_title(loc="left") == "Expressions in <clip>.mp4"


def test_of_many_tracks_the_chart_has_the_longest() -> None:
    """Track n is n seconds long; of forty the first ten are left out."""
    tracks = tuple(
        TrackSummary(n, 0.0, n, n, n, (Stretch("happy", 0.0, n, n),)) for n in range(1, 41)
    )
    (axes,) = timeline_chart(replace(SUMMARY, tracks=tracks), LABELS).axes
    names = [tick.get_text() for tick in axes.get_yticklabels()]
    assert names == [f"track {n}" for n in range(11, 41)]
    assert "the 30 longest of 40 tracks" in axes.get_title(loc="left")


def test_a_video_without_a_face_has_a_chart() -> None:
    figure = timeline_chart(replace(SUMMARY, tracks=(), duration_s=0.0), LABELS)
    assert [text.get_text() for text in figure.axes[0].texts] == ["no face"]
    assert png_of(figure).startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("start_s", "duration_s", "ticks"),
    [
        (0.0, 10.0, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]),
        (0.0, 0.21, [0, 0.025, 0.05, 0.075, 0.1, 0.125, 0.15, 0.175, 0.2]),
        (4.0, 3600.0, [500, 1000, 1500, 2000, 2500, 3000, 3500]),
    ],
)
def test_seconds_of_the_page_are_round(
    start_s: float, duration_s: float, ticks: list[float]
) -> None:
    page, _ = page_of(replace(SUMMARY, start_s=start_s, duration_s=duration_s))
    shown = re.findall(r'text-anchor="middle">([\d.]+)<', page)
    assert np.array(shown, np.float64) == pytest.approx(ticks)


def test_a_page_without_jinja_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(MissingExtraError, match=r"\[video\]"):
        video_page(SUMMARY, LABELS)
