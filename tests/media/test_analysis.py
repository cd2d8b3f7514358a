"""Whole videos through the real detector: rows, times, tracks, carried boxes, flat memory."""

from __future__ import annotations

import itertools
import pickle
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
import pytest
from numpy.typing import NDArray

import facial_expressions as fx
from facial_expressions.errors import VideoError
from facial_expressions.inference.recognizer import ExpressionRecognizer
from facial_expressions.media import analysis
from facial_expressions.media.analysis import FrameAnalyzer, analyze_frames, analyze_video
from facial_expressions.media.frames import Frame
from facial_expressions.media.schedule import Every, Schedule
from tests.media.videos import even_times, scene, write_video

Image = NDArray[np.uint8]

_MEASURE: Final = """
import os, pickle, sys
from pathlib import Path
from facial_expressions.media.analysis import analyze_video

recognizer = pickle.loads(Path(sys.argv[2]).read_bytes())
for result in analyze_video(sys.argv[1], recognizer=recognizer, every=30, smooth_s=0.5):
    if result.frame in (100, 299):
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        print(pages * os.sysconf("SC_PAGE_SIZE"))
"""
"""In a process of its own: what the servers of other tests do would be counted too."""


def test_every_frame_has_a_row_with_its_time_also_without_a_face(
    face: Image, recognizer: ExpressionRecognizer, tmp_path: Path
) -> None:
    times = [0.0, 0.04, 0.11, 0.2, 0.24, 0.5]
    shown = [scene(face, [(60, 60)] if index in (1, 2, 5) else []) for index in range(6)]
    path = write_video(tmp_path / "clip.mp4", shown, times)
    frames = list(fx.analyze_video(path, recognizer=recognizer, full_search_s=0))
    assert [frame.time_s for frame in frames] == pytest.approx(times)
    assert [len(frame.faces) for frame in frames] == [0, 1, 1, 0, 0, 1]
    assert {face.track_id for frame in frames for face in frame.faces} == {1}
    assert (frames[0].width, frames[0].height) == (320, 240)


def test_two_faces_that_cross_keep_their_numbers(
    face: Image, recognizer: ExpressionRecognizer, tmp_path: Path
) -> None:
    starts = range(0, 240, 8)
    shown = [scene(face, [(x, 40 + x // 8), (236 - x, 90)]) for x in starts]
    path = write_video(tmp_path / "clip.mp4", shown, even_times(len(shown)))
    frames = list(analyze_video(path, recognizer=recognizer))
    assert [face.track_id for face in frames[0].faces] == [1, 2]
    assert [face.track_id for face in frames[-1].faces] == [2, 1]
    assert {face.track_id for frame in frames for face in frame.faces} == {1, 2}
    assert min(len(frame.faces) for frame in frames) == 1, "one face hides the other"


def test_boxes_are_carried_between_detections(
    face: Image, recognizer: ExpressionRecognizer, tmp_path: Path
) -> None:
    shown = [scene(face, [(20 + 5 * index, 60)]) for index in range(24)]
    path = write_video(tmp_path / "clip.mp4", shown, even_times(24))
    each = list(analyze_video(path, recognizer=recognizer))
    carried = list(analyze_video(path, recognizer=recognizer, every=4))
    detected = [frame.faces[0].is_detected for frame in carried]
    assert detected == [index % 4 == 0 for index in range(24)]
    offsets = [
        abs(one.faces[0].box.center[0] - other.faces[0].box.center[0])
        for one, other in zip(each, carried, strict=True)
    ]
    assert max(offsets[8:]) < 5, "after two detections the speed is known"
    assert {frame.faces[0].track_id for frame in carried} == {1}


def test_smoothed_probabilities_are_those_of_the_filter(
    face: Image, recognizer: ExpressionRecognizer, tmp_path: Path
) -> None:
    shown = [scene(face, [(60 + 3 * index, 60)]) for index in range(5)]
    path = write_video(tmp_path / "clip.mp4", shown, even_times(5))
    raw = [frame.faces[0].prediction.values for frame in analyze_video(path, recognizer=recognizer)]
    smooth = list(analyze_video(path, recognizer=recognizer, smooth_s=0.2))
    expected = np.array(raw[0])
    for values in raw[1:]:
        expected = expected + (1 - np.exp(-0.04 / 0.2)) * (np.array(values) - expected)
    assert smooth[-1].faces[0].prediction.values == pytest.approx(expected, abs=1e-9)


def test_cut_video_warns_after_its_last_frame(
    recognizer: ExpressionRecognizer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    random = np.random.default_rng(0)
    shown = random.integers(0, 256, (20, 64, 96, 3), np.uint8)
    options = {"movflags": "faststart"}
    path = write_video(tmp_path / "cut.mp4", shown, even_times(20), options=options)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 3 // 4])
    assert 5 < len(list(analyze_video(path, recognizer=recognizer, every=5))) < 20
    assert "cut short" in caplog.text


def test_wrong_options_and_files_are_refused(
    recognizer: ExpressionRecognizer, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=r"must be .*, not 0"):
        analyze_video("clip.mp4", every=0)
    with pytest.raises(ValueError, match=r"must be .*, not -1"):
        analyze_video("clip.mp4", smooth_s=-1)
    with pytest.raises(VideoError, match="file not found"):
        next(analyze_video(tmp_path / "clip.mp4", recognizer=recognizer))


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux's /proc")
def test_memory_is_flat(face: Image, recognizer: ExpressionRecognizer, tmp_path: Path) -> None:
    """300 frames of 230 kB each: those after the first measurement would take 46 MB."""
    shown = (scene(face, [(index % 200, 60)]) for index in range(300))
    path = write_video(tmp_path / "long.mp4", shown, even_times(300))
    (tmp_path / "recognizer").write_bytes(pickle.dumps(recognizer))
    done = subprocess.run(
        [sys.executable, "-c", _MEASURE, path, tmp_path / "recognizer"],
        capture_output=True, encoding="utf-8", check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    before, after = map(int, done.stdout.split())
    assert after - before < 15e6


@pytest.fixture(scope="module")
def three_shots(face: Image, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make 12 frames of each: a still face with a flash, a pan over two faces, one face again.

    The first and the last face stand at the same place; only the shots tell them apart.
    """
    mirrored = np.ascontiguousarray(face[:, ::-1])
    random = np.random.default_rng(4)
    coarse = [random.integers(40, 200, (8, width, 3)).astype(np.uint8) for width in (12, 24, 12)]
    first, wide, last = (part.repeat(30, axis=0).repeat(30, axis=1) for part in coarse)
    first[70:160, 60:140] = last[70:160, 60:140] = face
    wide[70:160, 110:190] = wide[100:190, 250:330] = mirrored
    shown = [first] * 12 + [wide[:, x : x + 360] for x in range(0, 96, 8)] + [last] * 12
    shown[5] = np.full_like(first, 255)
    path = tmp_path_factory.mktemp("shots") / "shots.mp4"
    return write_video(path, shown, even_times(len(shown)))


@pytest.mark.parametrize("every", [1, 5, "auto"])
def test_three_shots_have_exactly_their_tracks(
    three_shots: Path,
    recognizer: ExpressionRecognizer,
    every: Every,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With ``auto`` on a clock of its own, by which the work takes a second a frame."""
    slow = partial(Schedule, clock=itertools.count().__next__)
    monkeypatch.setattr(analysis, "Schedule", slow)
    frames = list(analyze_video(three_shots, recognizer=recognizer, every=every))
    assert [frame.frame for frame in frames if frame.is_cut] == [12, 24]
    shots = frames[:12], frames[12:24], frames[24:]
    numbers = [{face.track_id for one in shot for face in one.faces} for shot in shots]
    assert numbers == [{1}, {2, 3}, {4}]
    assert all(shot[0].faces[0].is_detected for shot in shots), "searched at the cut itself"


def test_smoothing_begins_anew_at_a_cut(
    three_shots: Path, recognizer: ExpressionRecognizer
) -> None:
    raw = list(analyze_video(three_shots, recognizer=recognizer))
    smooth = list(analyze_video(three_shots, recognizer=recognizer, smooth_s=2.0))
    for index in (0, 12, 24):
        assert smooth[index].faces[0].prediction == raw[index].faces[0].prediction
    assert smooth[14].faces[0].prediction != raw[14].faces[0].prediction


@pytest.mark.parametrize(("rate", "every"), [(29.97, 30), (10, 11), (0.5, 1)])
def test_a_still_face_is_one_track_however_seldom_it_is_searched(
    face: Image, recognizer: ExpressionRecognizer, tmp_path: Path, rate: float, every: int
) -> None:
    times = [index / rate for index in range(3 * every + 1)]
    path = write_video(tmp_path / "clip.mp4", [scene(face, [(60, 60)])] * len(times), times)
    frames = list(analyze_video(path, recognizer=recognizer, every=every))
    assert {face.track_id for frame in frames for face in frame.faces} == {1}
    assert all(len(frame.faces) == 1 for frame in frames)


def test_frames_of_any_source_can_be_analysed(
    face: Image, recognizer: ExpressionRecognizer
) -> None:
    endless = (Frame(i, i / 10, scene(face, [(60, 60)])) for i in itertools.count())
    pairs = analyze_frames(endless, FrameAnalyzer(recognizer, every=2))
    results = [result for _, result in itertools.islice(pairs, 3)]
    assert [len(result.faces) for result in results] == [1, 1, 1]
