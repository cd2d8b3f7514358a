"""Frames searched ahead: in order, no more than asked for, with errors at their own frame."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import facial_expressions as fx
from facial_expressions.inference.contracts import Detection
from facial_expressions.inference.detectors.centerface import CenterFaceDetector
from facial_expressions.inference.options import RecognizerOptions
from facial_expressions.inference.recognizer import ExpressionRecognizer
from facial_expressions.media import analysis
from facial_expressions.media.analysis import (
    FrameAnalyzer,
    analyze_frames,
    frames_ahead,
    load_video_recognizer,
)
from facial_expressions.media.frames import Frame
from facial_expressions.results import Box, FrameResult
from tests.media.videos import even_times, scene, write_video

Ahead = Callable[..., Generator[FrameResult]]


@dataclass
class Numbered:
    """Finds one face in each frame, as far to the right as the frame's grey value.

    Attributes:
        wait: What is waited for before the face of a frame is found.
    """

    framing = CenterFaceDetector.framing
    wait: Callable[[int], object] = lambda _: None

    def detect(self, image: NDArray[np.uint8]) -> list[Detection]:
        number = int(image[0, 0, 0])
        self.wait(number)
        return [Detection(Box(number, 0, number + 30, 30), 0.9)]


def frames(n: int, read: list[int] | None = None) -> Iterator[Frame]:
    """Give frames that are as grey as their number, and note which were asked for."""
    for index in range(n):
        if read is not None:
            read.append(index)
        yield Frame(index, index / 25, np.full((32, 64, 3), index, np.uint8))


@pytest.fixture
def ahead_of(recognizer: ExpressionRecognizer) -> Ahead:
    """Analyse frames ahead, in two threads."""

    def results(
        shown: Iterable[Frame], ahead: int, every: int = 1, **waits: Callable[[int], object]
    ) -> Generator[FrameResult]:
        options = RecognizerOptions(threads=2)
        own = ExpressionRecognizer(recognizer.classifier, Numbered(**waits), options)
        analyzer = FrameAnalyzer(own, every=every)
        for _, result in analyze_frames(shown, analyzer, ahead=ahead):
            yield result

    return results


@pytest.mark.parametrize("every", [1, 2])
def test_frames_come_in_order_whichever_search_ends_first(ahead_of: Ahead, every: int) -> None:
    """A face moves by a pixel a frame; all of one track, searched for on every Nth frame."""
    results = list(
        ahead_of(frames(9), 4, every, wait=lambda n: time.sleep(0.02 if n % 4 == 0 else 0.0))
    )
    assert [one.frame for one in results] == list(range(9))
    assert [one.faces[0].track_id for one in results] == [1] * 9
    for number, one in enumerate(results):
        assert one.faces[0].is_detected == (number % every == 0)
        if one.faces[0].is_detected:
            assert one.faces[0].box.left == number


def test_searches_overlap(ahead_of: Ahead) -> None:
    """Each of two searches waits for the other to begin, so one after the other would never end."""
    both = threading.Barrier(2, timeout=60)
    assert len(list(ahead_of(frames(4), 2, wait=lambda _: both.wait()))) == 4


@pytest.mark.parametrize("ahead", [0, 3])
def test_no_more_is_read_than_is_asked_for(ahead_of: Ahead, ahead: int) -> None:
    read: list[int] = []
    results = ahead_of(frames(20, read), ahead)
    next(results)
    assert read == list(range(ahead + 1))
    next(results)
    assert read == list(range(ahead + 2))
    results.close()


def test_what_cannot_be_read_comes_after_the_frames_before_it(ahead_of: Ahead) -> None:
    def broken() -> Iterator[Frame]:
        yield from frames(3)
        raise RuntimeError("the fourth frame")

    seen: list[int] = []
    with pytest.raises(RuntimeError, match="the fourth frame"):
        seen.extend(one.frame for one in ahead_of(broken(), 8))
    assert seen == [0, 1, 2]


def test_a_search_that_fails_comes_at_its_frame(ahead_of: Ahead) -> None:
    def fail(number: int) -> None:
        if number == 2:
            raise RuntimeError("frame 2")

    results = ahead_of(frames(6), 4, wait=fail)
    assert [next(results).frame for _ in range(2)] == [0, 1]
    with pytest.raises(RuntimeError, match="frame 2"):
        next(results)


def test_no_thread_is_left_when_the_results_are_given_up(ahead_of: Ahead) -> None:
    results = ahead_of(frames(50), 4)
    next(results)
    results.close()
    assert not [one for one in threading.enumerate() if one.name.startswith("detect")]


def test_less_than_nothing_ahead_is_refused(ahead_of: Ahead) -> None:
    with pytest.raises(ValueError, match=r"must be .*, not -1"):
        next(ahead_of(frames(1), -1))


@pytest.mark.parametrize(
    ("source", "every", "threads", "expected"),
    [
        ("clip.mp4", 1, 2, 8),
        ("clip.mp4", 3, 64, 8),
        ("clip.mp4", 1, 1, 0),
        ("clip.mp4", "auto", 4, 0),
        ("webcam", 1, 4, 0),
        (Path("webcam"), 1, 4, 8),
    ],
)
def test_how_far_ahead(source: str | Path, every: int, threads: int, expected: int) -> None:
    assert frames_ahead(source, every, threads=threads) == expected


@pytest.mark.parametrize("every", [1, 3])
def test_results_are_those_of_one_frame_at_a_time(
    face: NDArray[np.uint8], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, every: int
) -> None:
    shown = [scene(face, [(20 + 8 * index, 60)] if index != 5 else []) for index in range(14)]
    path = write_video(tmp_path / "clip.mp4", shown, even_times(14))
    recognizer = load_video_recognizer(RecognizerOptions(threads=1), ahead=4)
    assert isinstance(recognizer, ExpressionRecognizer)
    results = []
    for ahead in (0, 4):
        monkeypatch.setattr(analysis, "frames_ahead", lambda *_, n=ahead: n)
        results.append(
            list(fx.analyze_video(path, recognizer=recognizer, every=every, smooth_s=0.2))
        )
    assert results[0] == results[1]
    assert sum(len(frame.faces) for frame in results[0]) >= 13
