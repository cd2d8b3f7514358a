"""Videos to faces with expressions: detector, tracks, classifier and smoothing, frame by frame."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from math import exp, inf
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from facial_expressions.inference.classifier import load_classifier
from facial_expressions.inference.contracts import Detection
from facial_expressions.inference.detectors import open_detector
from facial_expressions.inference.options import RecognizerOptions
from facial_expressions.inference.recognizer import ExpressionRecognizer
from facial_expressions.media.cuts import mark_cuts
from facial_expressions.media.frames import Frame, ReadAhead
from facial_expressions.media.schedule import Every, Schedule
from facial_expressions.media.sources import is_live, open_source
from facial_expressions.media.tracking import Tracker, is_inside, shared
from facial_expressions.results import FrameResult, Prediction, TrackedFace

MOST_AHEAD: Final = 8
"""Frames that are read ahead; each is held in memory until its turn."""

FULL_SEARCH_S: Final = 0.5
"""Seconds of video from one search of a whole frame to the next."""

_REST_S: Final = 0.1
"""Lost faces call for no more than one search of a whole frame in this time."""
_SAME_FACE: Final = 0.2
"""A face is found again where its box and the expected one share at least this, IoU."""

_Followed = tuple[list[tuple[int, Detection]], set[int], bool]
"""A frame's faces with the numbers of their tracks, the numbers that a coming frame may continue,
and whether the frame was searched for them."""

_LOGGER: Final = logging.getLogger(__name__)


def analyze_video(
    source: str | Path,
    *,
    recognizer: ExpressionRecognizer | None = None,
    every: Every = 1,
    smooth_s: float = 0.0,
    full_search_s: float = FULL_SEARCH_S,
    reconnect: bool = False,
    fps: float | None = None,
) -> Iterator[FrameResult]:
    """Find and track the faces in a video or live camera; yields one result per frame.

    Only the tracks are kept between frames, so a video may be of any length.

    Args:
        source: A video file, images, a camera or a live stream, as for ``open_source``.
        recognizer: Finds the faces and names their expressions; None opens the default model by
            ``load_video_recognizer``.
        every: Detect faces on every Nth frame; boxes are carried on in between. ``auto`` keeps up
            with real time.
        smooth_s: Time constant in seconds of the smoothing of probabilities; 0: none.
        full_search_s: Seconds between searches of the whole frame; in between, faces are searched
            for where they were. 0 searches every frame as a whole, which is slower.
        reconnect: Whether a camera or stream that gives no more images is retried for up
            to 30 s.
        fps: Frames a second of numbered images (25 if None) and of raw streams.

    Yields:
        One result per frame, in order; also for frames without a face. A truncated video ends with
        its last whole frame, and a warning is logged.

    Raises:
        VideoError: The file is missing or not a video.
        CameraError: There is no such camera, or it gives no more images.
        MissingExtraError: PyAV is not installed.
        ValueError: An option is out of its range.

    Examples:
        >>> for frame in analyze_video("clip.mp4", smooth_s=0.5):  # doctest: +SKIP
        ...     print(frame.time_s, [(face.track_id, face.expression) for face in frame.faces])
    """
    Schedule(every, interval_s=1.0)
    _check_seconds(smooth_s=smooth_s, full_search_s=full_search_s)
    ahead = frames_ahead(source, every)

    def results() -> Iterator[FrameResult]:
        opened = recognizer or load_video_recognizer(RecognizerOptions(), ahead=ahead)
        most = opened.options.max_pixels
        with open_source(source, reconnect=reconnect, max_pixels=most, fps=fps) as frames:
            analyzer = FrameAnalyzer(
                opened,
                every=every,
                smooth_s=smooth_s,
                interval_s=frames.frame_interval_s,
                full_search_s=full_search_s,
            )
            for _, result in analyze_frames(frames, analyzer, ahead=ahead):
                yield result
            if frames.note:
                _LOGGER.warning("%s", frames.note)

    return results()


def analyze_frames(
    frames: Iterable[Frame], analyzer: FrameAnalyzer, *, ahead: int = 0
) -> Iterator[tuple[Frame, FrameResult]]:
    """Analyse frames; the results can go to any number of sinks.

    Cuts are looked for first: see ``mark_cuts``.

    Args:
        frames: Any source, or any other frames in order.
        analyzer: Used for this source only: it remembers the tracks.
        ahead: Frames that are read and searched for faces in threads of their own while earlier
            ones are followed and written; each is kept until its turn. 0 takes one frame at a
            time, as a camera needs. The results are the same.

    Yields:
        Each frame with its result.

    Raises:
        ModelError: The network cannot be run.
        ValueError: ``ahead`` is negative.
    """
    if ahead < 0:
        raise ValueError(f"ahead: must be 0 or more, not {ahead}")
    searching = ThreadPoolExecutor(analyzer.threads, thread_name_prefix="detect")
    following = ThreadPoolExecutor(1, thread_name_prefix="detect-in-order")

    def begin(frame: Frame) -> tuple[Frame, Future[_Followed]]:
        return frame, following.submit(analyzer.begin(frame, searching))

    begun = ReadAhead(map(begin, mark_cuts(frames)))
    try:
        while begun.fill(ahead + 1):
            frame, followed = begun.waiting.popleft()
            yield frame, analyzer.name(frame, followed.result())
    finally:
        searching.shutdown(wait=False, cancel_futures=True)
        following.shutdown(wait=True, cancel_futures=True)
        searching.shutdown(wait=True)


def frames_ahead(source: str | Path, every: Every, *, threads: int | None = None) -> int:
    """Return how many frames of a source to read ahead, so that several are worked on at once.

    Several frames, each on one thread, keep the cores busier than one frame on all of them. A
    camera's frames are wanted at once, and ``auto`` looks at the clock for each: 0 for both.

    Args:
        source: A video file or a camera.
        every: The detector runs on every so many frames, or ``auto``.
        threads: How many may be used; None takes all cores.

    Examples:
        >>> frames_ahead("clip.mp4", 1, threads=2), frames_ahead("webcam", 1, threads=2)
        (8, 0)
    """
    usable = threads or os.cpu_count() or 1
    return 0 if is_live(source) or every == "auto" or usable == 1 else MOST_AHEAD


def load_video_recognizer(options: RecognizerOptions, *, ahead: int) -> ExpressionRecognizer:
    """Open a model and a detector for frames that are searched several at once.

    Args:
        options: As for ``load_recognizer``.
        ahead: What ``frames_ahead`` says; with 1 or more the detector has one thread a frame.

    Raises:
        ModelError: As for ``load_recognizer``.
    """
    detector = open_detector(replace(options, threads=1) if ahead else options)
    return ExpressionRecognizer(load_classifier(options), detector, options)


class FrameAnalyzer:
    """Tracks the faces in a series of frames and recognises their expressions.

    The detector looks at a whole frame at an interval, at a cut, where the size changes, and when a
    face is lost. On frames between it looks where faces should be by their motion, which takes a
    fraction of the time. On frames where it does not run at all, boxes are carried on by their
    speed. The classifier runs on every frame. At a cut all tracks end and smoothing restarts.

    Args:
        recognizer: What finds and names the faces; where its detector cannot look near boxes,
            every frame is searched as a whole.
        every: The detector runs on every so many frames; ``auto`` holds real time.
        smooth_s: Time constant in seconds of the smoothing of probabilities; 0 smooths nothing.
        interval_s: Seconds from frame to frame, as far as they are known.
        full_search_s: Seconds of video from one search of a whole frame to the next; between,
            faces are searched for where they were. 0 searches all frames as a whole.

    Raises:
        ValueError: An option is out of its range.
    """

    def __init__(
        self,
        recognizer: ExpressionRecognizer,
        *,
        every: Every = 1,
        smooth_s: float = 0.0,
        interval_s: float = 0.04,
        full_search_s: float = FULL_SEARCH_S,
    ) -> None:
        self._recognizer = recognizer
        self._schedule = Schedule(every, interval_s=interval_s)
        _check_seconds(smooth_s=smooth_s, full_search_s=full_search_s)
        self._smooth_s = smooth_s
        step = 1 if every == "auto" else every
        self._tracker = Tracker(interval_s=step * interval_s)
        self._full_search_s = full_search_s if recognizer.can_search_regions else 0.0
        self._size: tuple[int, int] | None = None
        self._planned_s = self._searched_s = -inf
        self._is_lost = False
        self._smoothed: dict[int, tuple[float, NDArray[np.float64]]] = {}  # time, probabilities
        self.threads: Final = recognizer.options.threads or os.cpu_count() or 1

    def analyze(self, frame: Frame) -> FrameResult:
        """Take the next frame, no earlier than the one before.

        Raises:
            ModelError: The network cannot be run.
        """
        return self.name(frame, self.begin(frame)())

    def begin(self, frame: Frame, pool: Executor | None = None) -> Callable[[], _Followed]:
        """Return what finds and follows the faces of the next frame; asked once each, in order.

        The answers have to be called in order, too. With a pool, a search of the whole frame begins
        in it at once, while earlier frames are followed.
        """
        is_due = self._schedule.is_due(frame.frame, frame.time_s)
        if not (is_due or frame.is_cut):
            return partial(self._carry, frame)
        is_other = frame.is_cut or frame.size != self._size
        if not is_other and frame.time_s - self._planned_s < self._full_search_s - 1e-6:
            return partial(self._search_regions, frame)
        self._size, self._planned_s = frame.size, frame.time_s
        search = partial(self._recognizer.detect, frame.image)
        return partial(self._take, frame, pool.submit(search).result if pool else search)

    def name(self, frame: Frame, followed: _Followed) -> FrameResult:
        """Classify the faces that were followed in a frame, and smooth; called in order.

        Raises:
            ModelError: The network cannot be run.
        """
        numbered, live, is_detected = followed
        self._smoothed = {n: one for n, one in self._smoothed.items() if n in live}
        named = self._recognizer.classify(frame.image, [one for _, one in numbered])
        faces = tuple(
            TrackedFace(
                face.box,
                face.detection_score,
                face.landmarks,
                self._smooth(number, face.prediction, frame.time_s),
                number,
                is_detected,
                quality=face.quality,
            )
            for (number, _), face in zip(numbered, named, strict=True)
        )
        return FrameResult(
            frame.frame, frame.time_s, *frame.size, faces, is_cut=frame.is_cut, pts_s=frame.pts_s
        )

    def _take(self, frame: Frame, search: Callable[[], list[Detection]]) -> _Followed:
        """Follow the faces that the search of a whole frame finds."""
        self._searched_s, self._is_lost = frame.time_s, False
        if frame.is_cut:
            self._tracker.end_all()
        return self._update(frame, search())

    def _search_regions(self, frame: Frame) -> _Followed:
        """Look where faces should be, also those seen some frames ago; if one is lost, anywhere."""
        sides = self._tracker.expect(time_s=frame.time_s)
        expected, hidden = (
            [one.box for one in side if is_inside(one.box, frame.size)] for side in sides
        )
        found = self._recognizer.detect(frame.image, near=[*expected, *hidden])
        self._is_lost |= any(
            all(shared(box, one.box) < _SAME_FACE for one in found) for box in expected
        )
        if self._is_lost and frame.time_s - self._searched_s >= _REST_S:
            self._searched_s, self._is_lost = frame.time_s, False
            found = self._recognizer.detect(frame.image)
        return self._update(frame, found)

    def _update(self, frame: Frame, detections: list[Detection]) -> _Followed:
        faces = self._tracker.update(detections, time_s=frame.time_s)
        return faces, self._tracker.numbers, True

    def _carry(self, frame: Frame) -> _Followed:
        """Move the faces on without looking."""
        faces = self._tracker.carry(time_s=frame.time_s, size=frame.size)
        return faces, self._tracker.numbers, False

    def _smooth(self, number: int, prediction: Prediction, time_s: float) -> Prediction:
        """Smooth a track's probabilities by the times of its frames, not their number.

        This is the first-order low-pass ``ds/dt = (p - s) / tau`` with the measurement ``p`` held
        since the frame before, solved exactly.
        """
        values = np.array(prediction.values)
        if number in self._smoothed and self._smooth_s:
            before_s, before = self._smoothed[number]
            weight = 1 - exp(-max(time_s - before_s, 0.0) / self._smooth_s)
            values = before + weight * (values - before)
        self._smoothed[number] = time_s, values
        return Prediction(prediction.labels, tuple(values.tolist()), prediction.uncertain_below)


def _check_seconds(**options: float) -> None:
    for name, value in options.items():
        if not 0 <= value < inf:
            raise ValueError(f"{name}: must be 0 seconds or more, not {value}")
