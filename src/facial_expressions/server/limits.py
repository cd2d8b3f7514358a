"""What one server allows a request to cost."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Final

MEBIBYTE: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class ServerLimits:
    """Bounds of a server; all of them positive.

    Attributes:
        body_bytes: Largest request body, counted as it arrives.
        buffered_bytes: All bodies held at one time.
        pixels: Pixels of the largest image that is decoded.
        receive_s: Time in which a whole request has to arrive.
        answer_s: Time from a request's last byte to its answer.
        decode_s: Processor time that decoding one image may take before its process is ended; by
            the clock three times as much, or as much where the system cannot measure it.
        write_s: Time a client may leave an answer unread.
        workers: Images worked on at one time.
        waiting: Images that may wait for a worker.
        connections: Connections beyond which only the state of health is answered.
        stop_s: Time that requests get to finish when the server stops.

    Raises:
        ValueError: A bound is not positive.

    Examples:
        >>> ServerLimits().body_bytes // MEBIBYTE, ServerLimits(workers=1).workers
        (10, 1)
    """

    body_bytes: int = 10 * MEBIBYTE
    buffered_bytes: int = 256 * MEBIBYTE
    pixels: int = 50_000_000
    receive_s: float = 10.0
    answer_s: float = 5.0
    decode_s: float = 4.0
    write_s: float = 30.0
    workers: int = 2
    waiting: int = 32
    connections: int = 800
    stop_s: int = 10

    def __post_init__(self) -> None:
        wrong = {f.name: v for f in fields(self) if not (v := getattr(self, f.name)) > 0}
        if wrong:
            raise ValueError(f"server limits: must be positive, not {wrong}")
