"""Search the next frames of a video for faces in threads, while the present one is written."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from facial_expressions.media.frames import Frame

Found = TypeVar("Found")
Followed = TypeVar("Followed")
Plan = tuple[Callable[[], Found] | None, Callable[[Found | None], Followed]]
"""What is to be done with a frame: a search, in any thread; then what follows, in order."""


def look_ahead(
    frames: Iterable[Frame],
    plan: Callable[[Frame], Plan[Found, Followed]],
    ahead: int,
    *,
    threads: int,
) -> Iterator[tuple[Frame, Followed]]:
    """Give each frame with what its plan gave, while the next frames are being worked on.

    Frames are read in the caller's thread and come out in order. What follows a search runs in one
    thread, frame by frame.

    Args:
        frames: In order; read by whoever takes the results, at most ``ahead`` in advance.
        plan: Asked once for each frame, in order; its search is None where there is nothing to be
            searched, and the answer is then None.
        ahead: Frames in advance.
        threads: Searches at once.

    Yields:
        Frame and what followed, in order.

    Raises:
        ValueError: ``ahead`` is under 1.
        Exception: What reading or searching a frame raises comes when it is that frame's turn.
    """
    if ahead < 1:
        raise ValueError(f"ahead: must be 1 or more, not {ahead}")
    waiting: deque[tuple[Frame, Future[Followed]]] = deque()
    reader, trouble = iter(frames), None
    searching = ThreadPoolExecutor(threads, thread_name_prefix="detect")
    following = ThreadPoolExecutor(1, thread_name_prefix="detect-in-order")
    try:
        while trouble is None or waiting:
            while trouble is None and len(waiting) <= ahead:
                try:
                    frame = next(reader)
                except Exception as error:  # noqa: BLE001 - comes after the frames before it
                    trouble = error
                    break
                search, follow = plan(frame)
                found = searching.submit(search) if search else None
                waiting.append((frame, following.submit(_follow, found, follow)))
            if waiting:
                frame, followed = waiting.popleft()
                yield frame, followed.result()
        if not isinstance(trouble, StopIteration):
            raise trouble
    finally:
        searching.shutdown(wait=False, cancel_futures=True)
        following.shutdown(wait=True, cancel_futures=True)
        searching.shutdown(wait=True)


def _follow(found: Future[Found] | None, follow: Callable[[Found | None], Followed]) -> Followed:
    return follow(found.result() if found else None)
