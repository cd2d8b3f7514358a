"""Follow the faces of clients' cameras: a client that names its session waits for less.

A camera's frames come one by one. Those of a session share what is known of where its faces are, so
that most are searched only there (``media/analysis.py``). A session holds boxes and no image; it is
forgotten after ten seconds without a frame, or when there are too many.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from facial_expressions.inference.recognizer import ExpressionRecognizer
from facial_expressions.media.analysis import FrameAnalyzer
from facial_expressions.media.frames import Frame
from facial_expressions.results import TrackedFace

_MOST_SESSIONS: Final = 100
_KEPT_S: Final = 10.0
"""Seconds without a frame after which a session is forgotten."""


@dataclass(slots=True)
class _Session:
    """One camera. Its frames take turns, in the order in which they come to the lock."""

    analyzer: FrameAnalyzer
    used_s: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)
    n_frames: int = 0


class CameraSessions:
    """The cameras of a server's clients; used by many threads.

    Args:
        recognizer: What finds and names faces.
        clock: Gives the time in seconds.
    """

    def __init__(
        self, recognizer: ExpressionRecognizer, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._recognizer = recognizer
        self._clock = clock
        self._sessions: dict[str, _Session] = {}
        self._lock = threading.Lock()

    def recognize(self, key: str, image: NDArray[np.uint8]) -> tuple[TrackedFace, ...]:
        """Find the faces of a camera's newest frame.

        Args:
            key: Names the session; a new one begins with a search of the whole frame.
            image: RGB ``uint8 (H, W, 3)``.

        Returns:
            The faces, from left to right.

        Raises:
            ModelError: The network cannot be run.
        """
        session = self._session(key)
        with session.lock:
            frame = Frame(session.n_frames, self._clock(), image)
            session.n_frames += 1
            return session.analyzer.analyze(frame).faces

    def _session(self, key: str) -> _Session:
        with self._lock:
            now_s = self._clock()
            sessions = self._sessions.items()
            self._sessions = {name: one for name, one in sessions if now_s - one.used_s <= _KEPT_S}
            session = self._sessions.pop(key, None) or _Session(FrameAnalyzer(self._recognizer))
            session.used_s = now_s
            self._sessions[key] = session  # the one used last stands last
            if len(self._sessions) > _MOST_SESSIONS:
                del self._sessions[next(iter(self._sessions))]
            return session
