"""Search the next frames for faces while earlier ones are followed, several at once.

A detector's network gains little from a second thread; two frames on a thread each gain much more.
Frames are read in the caller's thread and come out in order, so nothing else has to know.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from facial_expressions.inference.contracts import Detection
    from facial_expressions.media.frames import Frame

__all__ = ["detect_ahead"]

Search = Callable[[], "list[Detection]"]


def detect_ahead(
    frames: Iterable[Frame], searches: Callable[[Frame], Search | None], ahead: int
) -> Iterator[tuple[Frame, list[Detection] | None]]:
    """Give each frame with its detections, while the next frames are being searched.

    Args:
        frames: In order; read by whoever takes the results, at most ``ahead`` in advance.
        searches: Asked once for each frame, in order: what finds its faces, called in a thread;
            None where nothing is to be searched.
        ahead: Frames in advance, and threads.

    Yields:
        Frame and detections, in order; None for detections where nothing was searched.

    Raises:
        ValueError: ``ahead`` is under 1.
        Exception: What reading or searching a frame raises comes when it is that frame's turn.
    """
    if ahead < 1:
        raise ValueError(f"frames are searched 1 or more ahead; received {ahead}; use 0 for none")
    waiting: deque[tuple[Frame, Future[list[Detection]] | None]] = deque()
    reader, trouble = iter(frames), None
    executor = ThreadPoolExecutor(ahead, thread_name_prefix="detect")
    try:
        while trouble is None or waiting:
            while trouble is None and len(waiting) <= ahead:
                try:
                    frame = next(reader)
                except Exception as error:  # noqa: BLE001 - comes after the frames before it
                    trouble = error
                    break
                search = searches(frame)
                waiting.append((frame, executor.submit(search) if search else None))
            if waiting:
                frame, future = waiting.popleft()
                yield frame, future.result() if future else None
        if not isinstance(trouble, StopIteration):
            raise trouble
    finally:
        executor.shutdown(wait=True, cancel_futures=True)
