"""The time since a video's start, which continues where the stream's own clock begins again."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from av.packet import Packet

_LEAST_JUMP_S = 0.1
_INTERVALS = 3
"""Times that go back by less than so many frames are out of order, not a new beginning."""


class Clock:
    """Says what to add to the times of a stream's packets to get the time since the video's start.

    Where a stream begins again (files joined end to end, a camera that was restarted), the times go
    on one interval after the last frame.

    Args:
        start_s: The container's first time, which players show as 0.
        interval_s: Seconds from frame to frame.

    Attributes:
        shifts_s: What to add, one value for each run of rising times.
    """

    def __init__(self, start_s: float, interval_s: float) -> None:
        self.shifts_s = [-start_s]
        self._interval_s = interval_s
        self._last_s = self._end_s = -math.inf

    def shift_s(self, packet: Packet[Any]) -> float:
        """Take the next packet of the video stream; return what to add to its time.

        Args:
            packet: In the order of the file.
        """
        order, time_s = packet_time_s(packet, in_order=True), packet_time_s(packet)
        if order is None or time_s is None:
            return self.shifts_s[-1]
        if self.goes_back(order, self._last_s):
            end_s = self._end_s + self.shifts_s[-1]
            self.shifts_s.append(end_s + self._interval_s - time_s)
            self._end_s = -math.inf
        self._last_s, self._end_s = order, max(self._end_s, time_s)
        return self.shifts_s[-1]

    def goes_back(self, time_s: float, last_s: float) -> bool:
        """Say whether a time is so far before the one ahead of it that the stream began again."""
        return time_s < last_s - max(_LEAST_JUMP_S, _INTERVALS * self._interval_s)


def packet_time_s(packet: Packet[Any], *, in_order: bool = False) -> float | None:
    """Return when a packet is to be shown, or decoded; None where it does not say.

    Args:
        packet: Any packet.
        in_order: Whether the time of decoding is asked for, which rises from packet to packet.
    """
    first, second = (packet.dts, packet.pts) if in_order else (packet.pts, packet.dts)
    tick = second if first is None else first
    return None if tick is None or not packet.time_base else float(tick * packet.time_base)
