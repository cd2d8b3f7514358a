"""Frames searched ahead: in order, no more than asked for, with errors at their own frame."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import facial_expressions as fx
from facial_expressions.inference.contracts import Detection
from facial_expressions.inference.options import RecognizerOptions
from facial_expressions.inference.recognizer import ExpressionRecognizer
from facial_expressions.media import analysis
from facial_expressions.media.analysis import frames_ahead, load_video_recognizer
from facial_expressions.media.frames import Frame
from facial_expressions.media.schedule import Plan, look_ahead
from facial_expressions.results import Box
from tests.media.videos import even_times, scene, write_video

BLANK = np.zeros((8, 8, 3), np.uint8)


def frames(n: int, read: list[int] | None = None) -> Iterator[Frame]:
    """Give numbered frames and note which were asked for."""
    for index in range(n):
        if read is not None:
            read.append(index)
        yield Frame(index, index / 25, BLANK)


def ahead_of(
    shown: Iterable[Frame],
    search: Callable[[Frame], Callable[[], list[Detection]] | None],
    ahead: int,
) -> Iterator[tuple[Frame, list[Detection] | None]]:
    """Search frames ahead, in two threads, and pass on what was found."""

    def plan(frame: Frame) -> Plan[list[Detection], list[Detection] | None]:
        return search(frame), lambda detections: detections

    return look_ahead(shown, plan, ahead, threads=2)


def found(index: int) -> list[Detection]:
    """Return a detection that tells which frame it is of."""
    return [Detection(Box(index, 0, index + 1, 1), 0.9)]


def test_frames_come_in_order_whichever_search_ends_first() -> None:
    def search(frame: Frame) -> Callable[[], list[Detection]] | None:
        def run() -> list[Detection]:
            time.sleep(0.02 if frame.frame % 3 == 0 else 0.0)
            return found(frame.frame)

        return run if frame.frame % 2 == 0 else None

    pairs = list(ahead_of(frames(9), search, 4))
    assert [frame.frame for frame, _ in pairs] == list(range(9))
    for frame, detections in pairs:
        assert detections == (found(frame.frame) if frame.frame % 2 == 0 else None)


def test_searches_overlap() -> None:
    """Each of two searches waits for the other to begin, so one after the other would never end."""
    both = threading.Barrier(2, timeout=60)

    def search(frame: Frame) -> Callable[[], list[Detection]] | None:
        def run() -> list[Detection]:
            both.wait()
            return found(frame.frame)

        return run

    assert len(list(ahead_of(frames(4), search, 2))) == 4


def test_what_follows_a_search_is_done_in_order() -> None:
    order: list[int] = []

    def plan(frame: Frame) -> Plan[None, int]:
        def follow(_: None) -> int:
            order.append(frame.frame)
            return frame.frame * 10

        return (lambda: time.sleep(0.02 if frame.frame % 2 else 0.0)), follow

    results = look_ahead(frames(8), plan, 4, threads=4)
    assert [followed for _, followed in results] == [0, 10, 20, 30, 40, 50, 60, 70]
    assert order == list(range(8))


def test_no_more_is_read_than_is_asked_for() -> None:
    read: list[int] = []
    results = ahead_of(frames(20, read), lambda frame: None, 3)
    next(results)
    assert read == [0, 1, 2, 3]
    next(results)
    assert read == [0, 1, 2, 3, 4]
    results.close()  # type: ignore[attr-defined]


def test_what_cannot_be_read_comes_after_the_frames_before_it() -> None:
    def broken() -> Iterator[Frame]:
        yield from frames(3)
        raise RuntimeError("the fourth frame")

    seen: list[int] = []
    with pytest.raises(RuntimeError, match="the fourth frame"):
        seen.extend(frame.frame for frame, _ in ahead_of(broken(), lambda frame: None, 8))
    assert seen == [0, 1, 2]


def test_a_search_that_fails_comes_at_its_frame() -> None:
    def search(frame: Frame) -> Callable[[], list[Detection]] | None:
        def run() -> list[Detection]:
            if frame.frame == 2:
                raise RuntimeError("frame 2")
            return found(frame.frame)

        return run

    results = ahead_of(frames(6), search, 4)
    assert [next(results)[0].frame for _ in range(2)] == [0, 1]
    with pytest.raises(RuntimeError, match="frame 2"):
        next(results)


def test_no_thread_is_left_when_the_results_are_given_up() -> None:
    def search(frame: Frame) -> Callable[[], list[Detection]] | None:
        return lambda: found(frame.frame)

    results = ahead_of(frames(50), search, 4)
    next(results)
    results.close()  # type: ignore[attr-defined]
    assert not [one for one in threading.enumerate() if one.name.startswith("detect")]


def test_nothing_ahead_is_refused() -> None:
    with pytest.raises(ValueError, match=r"must be .*, not 0"):
        next(ahead_of(frames(1), lambda frame: None, 0))


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
