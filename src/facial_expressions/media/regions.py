"""Look for the faces of a video where they were: whole frames now and then, squares in between.

A whole frame is searched at an interval, at a cut, where its size changes, and when a face is lost.
On the frames between, each face is searched for in a part of the frame around where it should be
by its motion. That takes a fraction of the time, and boxes and landmarks are as fresh. A face that
is new is found by the next search of a whole frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import TYPE_CHECKING, Final

from facial_expressions.media.tracking import is_inside, shared

if TYPE_CHECKING:
    from facial_expressions.inference.contracts import Detection
    from facial_expressions.inference.recognizer import ExpressionRecognizer
    from facial_expressions.media.frames import Frame

FULL_SEARCH_S: Final = 0.5
"""Seconds of video from one search of a whole frame to the next."""

_REST_S: Final = 0.1
"""Lost faces call for no more than one search of a whole frame in this time."""
_SAME_FACE: Final = 0.2
"""A face is found again where its box and the expected one share at least this, IoU."""


class RegionSearch:
    """Finds the faces of one series of frames, in order.

    Args:
        recognizer: What finds faces; where its detector cannot look into regions, every frame is
            searched as a whole.
        interval_s: Seconds of video from one search of a whole frame to the next; 0 searches all
            frames as a whole.
    """

    def __init__(self, recognizer: ExpressionRecognizer, *, interval_s: float) -> None:
        self._recognizer = recognizer
        self._interval_s = interval_s if recognizer.can_search_regions else 0.0
        self._size: tuple[int, int] | None = None
        self._planned_s = -inf
        self._searched_s = -inf
        self._is_lost = False

    def is_full_due(self, frame: Frame) -> bool:
        """Say whether a frame is to be searched as a whole; asked once for each, in order."""
        size = (frame.width, frame.height)
        has_changed = frame.is_cut or size != self._size
        is_due = has_changed or frame.time_s - self._planned_s >= self._interval_s - 1e-6
        if is_due:
            self._size, self._planned_s = size, frame.time_s
        return is_due

    def note_full(self, time_s: float) -> None:
        """Take note that the frame of this time was searched as a whole."""
        self._searched_s, self._is_lost = time_s, False

    def search(
        self, frame: Frame, expected: Sequence[Detection], hidden: Sequence[Detection]
    ) -> list[Detection]:
        """Find the faces of a frame where they should be; called in order.

        Args:
            frame: No earlier than the one before.
            expected: Where the faces of the frame before should be.
            hidden: The same of faces that were seen some frames ago.
        """
        size = (frame.width, frame.height)
        present = [one.box for one in expected if is_inside(one.box, size)]
        lately = [one.box for one in hidden if is_inside(one.box, size)]
        found = self._recognizer.detect(frame.image, near=[*present, *lately])
        boxes = [one.box for one in found]
        self._is_lost |= any(all(shared(one, box) < _SAME_FACE for box in boxes) for one in present)
        if self._is_lost and frame.time_s - self._searched_s >= _REST_S:
            self.note_full(frame.time_s)
            return self._recognizer.detect(frame.image)
        return found
