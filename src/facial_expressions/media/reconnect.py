"""A camera that is looked for again when it gives no more pictures: unplugged, stuck, taken away.

Numbers of frames and their times go on over the gap, so rows and tracks do as well.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Final

from facial_expressions.errors import CameraError
from facial_expressions.media.camera import Camera, CameraDevice, LiveSource
from facial_expressions.media.frames import Frame

__all__ = ["ReconnectingCamera"]

PATIENCE_S: Final = 30.0
PAUSE_S: Final = 2.0

_LOGGER: Final = logging.getLogger(__name__)


class ReconnectingCamera(LiveSource):
    """The frames of a camera, live, in a ``with`` block, also after it was away for a while.

    Args:
        find: Finds the camera; asked again each time, for it may come back under another name.
        patience_s: After so many seconds without a picture it is given up.
        pause_s: Seconds from one attempt to the next.
        stuck_s: After so many seconds without a new picture the camera counts as stuck.

    Raises:
        CameraError: There is no such camera at the start.
    """

    def __init__(
        self,
        find: Callable[[], CameraDevice],
        *,
        patience_s: float = PATIENCE_S,
        pause_s: float = PAUSE_S,
        stuck_s: float = 3.0,
    ) -> None:
        self._find = find
        self._patience_s = patience_s
        self._pause_s = pause_s
        self._stuck_s = stuck_s
        self._camera = self._open()

    @property
    def name(self) -> str:
        """``webcam:0`` and so on."""
        return self._camera.name

    @property
    def frame_interval_s(self) -> float:
        """Seconds from frame to frame."""
        return self._camera.frame_interval_s

    def __iter__(self) -> Iterator[Frame]:
        """Yield the frames as they come; times count from the first.

        Raises:
            CameraError: The camera never gave a picture, or was away for too long.
        """
        start_s: float | None = None
        lost_s, index = 0.0, 0
        while True:
            offset_s: float | None = None
            try:
                for frame in self._camera:
                    lost_s = 0.0
                    now_s = time.monotonic()
                    start_s = now_s if start_s is None else start_s
                    offset_s = now_s - start_s if offset_s is None else offset_s
                    yield replace(frame, index=index, time_s=offset_s + frame.time_s)
                    index += 1
            except CameraError as error:
                if start_s is None:
                    raise
                lost_s = lost_s or time.monotonic()
                self._wait(lost_s, error)

    def close(self) -> None:
        """Let the camera go."""
        self._camera.close()

    def _open(self) -> Camera:
        return Camera(self._find(), stuck_s=self._stuck_s)

    def _wait(self, lost_s: float, error: CameraError) -> None:
        """Open the camera again, or raise when it has been away for too long."""
        self._camera.close()
        _LOGGER.warning("%s; looking for it again", error)
        while time.monotonic() - lost_s < self._patience_s:
            time.sleep(self._pause_s)
            try:
                self._camera = self._open()
            except CameraError:
                continue
            return
        raise CameraError(
            f"the camera did not come back; received no picture for {self._patience_s:g} s after: "
            f"{error}"
        ) from error
