"""The page of a video, and its timeline as a chart."""

from __future__ import annotations

import base64
import io
import json
import re
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from matplotlib.collections import PolyCollection  # noqa: TID253 - what charts are made of
from PIL import Image

from facial_expressions.errors import MissingExtraError
from facial_expressions.media.frames import Frame
from facial_expressions.media.summary import Stretch, TrackSummary, VideoSummary
from facial_expressions.pages.drawing import png_of
from facial_expressions.pages.video_page import VideoPage, timeline_chart
from facial_expressions.results import Box, FrameResult, Prediction, TrackedFace
from tests.pages.page_checker import Checker, look_at

LABELS = ("happy", "sad")
TRACK = TrackSummary(3, 100, [Stretch("happy", 10.0, 13.0, 3.0), Stretch("sad", 13.0, 14.0, 1.0)])
SUMMARY = VideoSummary(
    "videos/<clip>.mp4",
    n_frames=100,
    n_frames_without_face=25,
    start_s=10.0,
    end_s=14.0,
    by_number={3: TRACK},
)


Faces = dict[int, tuple[float, int]]
"""Of each track the probability of happy, and the side of its box; under 0.6 it is uncertain."""


def page_of(
    frames: Sequence[Faces],
    *,
    step_s: float = 0.5,
    start_s: float = 10.0,
    cuts: Sequence[int] = (),
    status: str = "ok",
    player: str = "",
) -> tuple[str, Checker]:
    """Make the page of a video of 8 frames or so, each face grey by its track's number."""
    summary, page = VideoSummary("videos/</script><clip>.mp4"), VideoPage(LABELS)
    for index, faces in enumerate(frames):
        image = np.zeros((48, 64, 3), np.uint8)
        tracked = []
        for number, (happy, side) in faces.items():
            image[:side, :side] = 10 * side
            answer = Prediction(LABELS, (happy, 1 - happy), 0.6)
            tracked.append(TrackedFace(Box(0, 0, side, side), 0.9, (), answer, number))
        result = FrameResult(
            index, start_s + index * step_s, 64, 48, tuple(tracked), is_cut=index in cuts
        )
        summary.add(result)
        page.add(Frame(index, result.time_s, image), result)
    html = page.to_html(summary.finish(status=status), player=player)
    checker = look_at(html, beside=player, is_active=True)
    assert "clip" not in checker.tags
    return html, checker


def values_in(html: str) -> list[dict[str, Any]]:
    found = re.search(r"const TRACKS = (.*);", html)
    assert found
    return list(json.loads(found[1]))


def test_bars_have_the_length_and_color_of_their_spans() -> None:
    """Of four seconds three are happy, the last of these uncertain, and one is sad."""
    html, _ = page_of([{3: (0.9, 20)}] * 4 + [{3: (0.55, 20)}] * 2 + [{3: (0.1, 20)}] * 2)
    bars = re.findall(r'<path d="M([\d.]+) 0H([\d.]+)V1\S+ fill="(#\w+)"( fill-opacity)?', html)
    assert bars == [
        ("0.0", "500.0", "#c58600", ""),
        ("500.0", "750.0", "#c58600", " fill-opacity"),
        ("750.0", "1000.0", "#388adc", ""),
    ]
    assert re.findall(r'class="unsure" d="(.*?)"', html) == ["M500.0 0H750.0V100H500.0Z"]


def test_curves_go_through_the_middles_and_break_where_the_face_was_not_seen() -> None:
    """Half a second of each of four frames is 250 units wide; the third has no face."""
    html, _ = page_of([{3: (0.9, 20)}, {3: (0.7, 20)}, {}, {3: (0.2, 20)}])
    assert re.findall(r'<path d="(.*?)" stroke="#c58600"', html) == [
        "M125.0 10.0h0L375.0 30.0M875.0 80.0h0"
    ]
    (values,) = values_in(html)
    assert values["from"] == [10.0, 10.5, 11.5]
    assert values["to"] == [10.5, 11.0, 12.0]
    assert values["percent"] == [[90, 10], [70, 30], [20, 80]]


def test_a_track_has_its_shares_times_and_reasons() -> None:
    html, checker = page_of([{3: (0.9, 20)}] * 3 + [{3: (0.2, 20)}, {3: (0.55, 20)}, {}])
    text = " ".join(" ".join(checker.texts).split())
    assert "83.3% with a face" in text
    assert "Seen for 2.50 s, from 10.00 to 12.50 s; certain for 2.00 s (80%)." in text
    assert "Of the certain time: happy 75.0%, sad 25.0%." in text
    assert "Frames uncertain: unsure 1 of 5." in text
    assert re.findall(r'data-time="([\d.]+)">(.*?)<', html) == [
        ("10.000", "happy 10.00 to 11.50 s"), ("11.500", "sad 11.50 to 12.00 s"),
    ]  # fmt: skip


def test_a_track_that_is_never_certain_has_no_shares() -> None:
    _, checker = page_of([{3: (0.55, 20)}] * 4)
    text = " ".join(checker.texts)
    assert "never certain" in text
    assert "Of the certain time" not in text


def test_cuts_and_short_tracks_are_shown() -> None:
    """A cut after one of four seconds lies a quarter into 1,000 units."""
    frames: list[Faces] = [{1: (0.9, 20)}] * 10 + [{2: (0.9, 20)}] + [{3: (0.9, 20)}] * 29
    html, checker = page_of(frames, step_s=0.1, cuts=(10, 11))
    assert re.findall(r'class="cuts".*?d="(.*?)"', html) == ["M250 0V1M275 0V1"]
    assert "const CUTS = [11.0, 11.1];" in html
    assert "and 1 under 0.3 s" in checker.texts
    assert [one for one in checker.texts if one.startswith("Track ")] == ["Track 1", "Track 3"]


@pytest.mark.parametrize(
    ("faces", "shade"),
    [
        ([(0.9, 8), (0.9, 16), (0.9, 12)], 160),
        ([(0.9, 8), (0.55, 20), (0.9, 7)], 80),
        ([(0.55, 8), (0.55, 16)], 160),
        ([(0.55, 20), (0.9, 8)], 80),
    ],
    ids=["largest", "certain", "none-certain", "certain-later"],
)
def test_a_track_has_its_largest_certain_face(
    faces: Sequence[tuple[float, int]], shade: int
) -> None:
    """Each face is as bright as ten times its side."""
    html, _ = page_of([{3: face} for face in faces])
    (found,) = re.findall(r'src="data:image/jpeg;base64,(.*?)"', html)
    thumbnail = Image.open(io.BytesIO(base64.b64decode(found)))
    assert thumbnail.size == (112, 112)
    middle = thumbnail.convert("L").getpixel((56, 56))
    assert middle == pytest.approx(shade, abs=4)


def test_a_long_track_has_means_of_frames() -> None:
    """1,000 frames of 0.2 and 0.6 in turn are means of 4 of them: 250 points of 0.4."""
    frames: list[Faces] = [{1: (0.2 + 0.4 * (index % 2), 20)} for index in range(1000)]
    html, checker = page_of(frames, step_s=0.1, start_s=0.0)
    (values,) = values_in(html)
    assert values["from"] == pytest.approx(np.arange(250) * 0.4)
    assert values["percent"] == [[40, 60]] * 250
    assert "mean of 4 frames" in " ".join(checker.texts)


@pytest.mark.parametrize("n_longer", [0, 10])
def test_of_many_tracks_the_longest_are_shown_and_the_others_counted(n_longer: int) -> None:
    """Of 300 tracks one after the other, the last of each hundred are seen for longer, or none."""
    frames: list[Faces] = []
    for number in range(1, 301):
        frames += [{number: (0.9, 20)}] * (2 if number % 100 >= 100 - n_longer else 1)
    html, checker = page_of(frames)
    numbers = [int(one[6:]) for one in checker.texts if re.fullmatch(r"Track \d+", one)]
    longer = [n for n in range(1, 301) if n % 100 >= 100 - n_longer]
    assert numbers == (longer or list(range(1, 31)))
    assert len(values_in(html)) == 30
    assert "270 more are in the other outputs" in " ".join(checker.texts)


def test_the_page_says_that_a_video_was_cut_short() -> None:
    _, checker = page_of([{}], status="truncated")
    assert any("cut short or damaged" in text for text in checker.texts)


def test_a_video_without_a_face_has_a_page() -> None:
    html, checker = page_of([{}, {}])
    assert "No face was seen." in checker.texts
    assert 'class="plot"' not in html


UNSURE = replace(
    TRACK,
    stretches=[Stretch("happy", 10.0, 13.0, 3.0, uncertain=True), TRACK.stretches[1]],
    reasons=Counter(blurred=70, dark=5),
)


def test_uncertain_time_is_pale_in_the_chart() -> None:
    (axes,) = timeline_chart(replace(SUMMARY, by_number={3: UNSURE}), LABELS).axes
    (bars,) = [one for one in axes.collections if isinstance(one, PolyCollection)]
    assert np.asarray(bars.get_facecolor())[:, 3].tolist() == [0.3, 1.0]


def test_cuts_are_lines_in_the_chart() -> None:
    (axes,) = timeline_chart(replace(SUMMARY, cuts=[11.0]), LABELS).axes
    assert [float(np.asarray(line.get_xdata())[0]) for line in axes.lines] == [11.0]


def bars_of(summary: VideoSummary) -> list[list[tuple[float, float]]]:
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
    tracks = {n: TrackSummary(n, n, [Stretch("happy", 0.0, n, n)]) for n in range(1, 41)}
    (axes,) = timeline_chart(replace(SUMMARY, by_number=tracks), LABELS).axes
    names = [tick.get_text() for tick in axes.get_yticklabels()]
    assert names == [f"track {n}" for n in range(11, 41)]
    assert "the 30 longest of 40 tracks" in axes.get_title(loc="left")


def test_a_video_without_a_face_has_a_chart() -> None:
    figure = timeline_chart(replace(SUMMARY, by_number={}, end_s=10.0), LABELS)
    assert [text.get_text() for text in figure.axes[0].texts] == ["no face"]
    assert png_of(figure).startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("start_s", "duration_s", "ticks"),
    [
        (0.0, 10.0, [0, 2, 4, 6, 8, 10]),
        (0.0, 0.42, [0, 0.1, 0.2, 0.3, 0.4]),
        (4.0, 3600.0, [1000, 2000, 3000]),
    ],
)
def test_seconds_of_the_page_are_round(
    start_s: float, duration_s: float, ticks: list[float]
) -> None:
    page, _ = page_of([{1: (0.9, 20)}] * 2, start_s=start_s, step_s=duration_s / 2)
    shown = re.findall(r"%\">([\d.]+)</span>", page.split("readout")[0])
    assert np.array(shown, np.float64) == pytest.approx(ticks)


def test_a_page_without_jinja_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(MissingExtraError, match=r"\[video\]"):
        VideoPage(LABELS)
