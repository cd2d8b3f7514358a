"""Summaries: shares of time and stretches, against sums by hand."""

from __future__ import annotations

import json

import pytest

from facial_expressions.media.summary import VideoSummary
from facial_expressions.quality import Quality
from facial_expressions.results import Box, FrameResult, Prediction, TrackedFace


def result(index: int, time_s: float, **expressions: str) -> FrameResult:
    """Build a frame from ``t1="happy"`` for track 1, and so on."""
    faces = []
    for name, expression in expressions.items():
        values = (0.9, 0.1) if expression == "happy" else (0.1, 0.9)
        prediction = Prediction(("happy", "sad"), values)
        faces.append(TrackedFace(Box(0, 0, 9, 9), 0.9, (), prediction, int(name[1:])))
    return FrameResult(index, time_s, 64, 48, tuple(faces))


@pytest.fixture
def collected() -> VideoSummary:
    summary = VideoSummary("clip.mp4")
    summary.add(result(0, 1.0, t1="happy"))
    summary.add(result(1, 1.5, t1="happy", t2="sad"))
    summary.add(result(2, 2.0))
    summary.add(result(3, 2.25, t1="happy"))
    summary.add(result(4, 3.0, t1="sad"))
    return summary


def test_shares_weigh_frames_by_their_time(collected: VideoSummary) -> None:
    """Track 1: happy for 0.5 + 0.5 + 0.75 s, sad for 0.75 s, the length of the frame before."""
    first, second = collected.finish().tracks
    assert first.shares == pytest.approx({"happy": 1.75 / 2.5, "sad": 0.75 / 2.5})
    assert (first.start_s, first.end_s, first.n_frames) == (1.0, 3.75, 4)
    assert second.shares == {"sad": 1.0}
    assert second.seen_s == pytest.approx(0.5)


def test_longest_stretch_goes_on_over_a_gap_without_counting_it(collected: VideoSummary) -> None:
    longest = collected.finish().tracks[0].longest[0]
    assert (longest.expression, longest.start_s, longest.end_s) == ("happy", 1.0, 3.0)
    assert longest.seen_s == pytest.approx(1.75)


def test_json_and_text_say_the_same(collected: VideoSummary) -> None:
    summary = collected.finish(status="truncated")
    data = json.loads(summary.to_json())
    assert (data["n_frames"], data["n_frames_without_face"], data["status"]) == (5, 1, "truncated")
    assert data["duration_s"] == pytest.approx(2.75)
    assert data["tracks"][0]["shares"] == {"happy": 0.7, "sad": 0.3}
    assert "track 1: seen 2.50 s between 1.00 and 3.75 s, 2.50 s of it certain" in summary.to_text()
    assert "happy 70%, sad 30%; longest happy 1.75 s from 1.00 s" in summary.to_text()
    assert summary.to_text().splitlines()[0].endswith("truncated")


def test_frames_are_counted_by_the_reasons_of_their_answers() -> None:
    """Of three frames of a track two are dark, and one of those is blurred as well."""
    summary = VideoSummary("clip.mp4")
    answer = Prediction(("happy", "sad"), (0.9, 0.1))
    for index, (sharpness, light) in enumerate([(0.5, 200.0), (0.5, 9.0), (0.3, 9.0)]):
        quality = Quality(99, sharpness, light)
        face = TrackedFace(Box(0, 0, 99, 99), 0.9, (), answer, 1, quality=quality)
        summary.add(FrameResult(index, index / 10, 640, 480, (face,)))
    whole = summary.finish()
    assert (whole.tracks[0].certain_s, whole.tracks[0].uncertain_s) == pytest.approx((0.1, 0.2))
    assert json.loads(whole.to_json())["tracks"][0]["n_by_reason"] == {"dark": 2, "blurred": 1}
    assert whole.to_text().endswith("; frames uncertain: dark 2, blurred 1\n")


def mixed() -> VideoSummary:
    """Collect a second of each: certain, uncertain; another face 0.25 s; an uncertain one 1 s."""
    summary = VideoSummary("clip.mp4")
    for index in range(12):
        sure, unsure = ((0.9, 0.1), (0.55, 0.45)) if index < 8 else ((0.2, 0.8), (0.45, 0.55))
        values = {1: sure if index in (0, 1, 2, 3, 8, 9, 10) else unsure}
        values |= {2: sure} if index == 5 else {}
        values |= {3: unsure} if index >= 8 else {}
        answers = {n: Prediction(("happy", "sad"), one, 0.6) for n, one in values.items()}
        box = Box(0, 0, 99, 99)
        faces = tuple(TrackedFace(box, 0.9, (), answers[n], n) for n in answers)
        summary.add(FrameResult(index, index / 4, 64, 48, faces, is_cut=index in (4, 8)))
    return summary


def test_uncertain_time_is_counted_apart_and_shares_are_of_the_certain() -> None:
    """Track 1: happy for 1 s, uncertain for 1 s, sad for 0.75 s, uncertain for 0.25 s."""
    first, third = mixed().finish().tracks
    assert (first.seen_s, first.certain_s, first.uncertain_s) == (3.0, 1.75, 1.25)
    assert first.shares == pytest.approx({"happy": 1 / 1.75, "sad": 0.75 / 1.75})
    assert [(one.expression, one.start_s) for one in first.longest] == [
        ("happy", 0.0),
        ("sad", 2.0),
    ]
    assert (third.track_id, third.certain_s, third.shares, third.longest) == (3, 0.0, {}, [])
    assert third.reasons == {"unsure": 4}
    assert mixed().finish().to_text().splitlines()[2] == (
        "  track 3: seen 1.00 s between 2.00 and 3.00 s, 0.00 s of it certain; "
        "frames uncertain: unsure 4"
    )


def test_short_tracks_are_counted_and_cuts_named() -> None:
    whole = mixed().finish()
    assert [track.track_id for track in whole.tracks] == [1, 3]
    assert (whole.n_short_tracks, whole.n_faces, whole.cuts) == (1, 17, [1.0, 2.0])
    assert whole.headline == (
        "clip.mp4: 3.00 s, 12 frames, 0 without a face, 17 faces in "
        "2 tracks and 1 under 0.3 s, 2 cuts"
    )
    data = json.loads(whole.to_json())
    assert (data["cuts"], data["n_short_tracks"], data["min_track_s"]) == ([1.0, 2.0], 1, 0.3)
    assert data["tracks"][1]["uncertain_s"] == 1.0


def test_the_shortest_track_that_is_listed_can_be_chosen() -> None:
    summary = VideoSummary("clip.mp4", min_track_s=0.0)
    summary.add(result(0, 0.0, t1="happy"))
    assert [track.track_id for track in summary.finish().tracks] == [1]
