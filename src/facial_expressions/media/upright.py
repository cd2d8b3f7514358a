"""Turn decoded images of a video the way they are to be shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

__all__ = ["Upright"]

Matrix = tuple[int, int, int, int]

_UNKNOWN: Final = 999
"""No rotation in degrees."""


class Upright:
    """Turns and mirrors the images of one stream as their display matrix asks.

    The matrix is read again only where the rotation changes. To read it PyAV makes an object that
    the frame and it hold on to each other by, so that frames would stay in memory until Python
    looks for such pairs, hundreds of frames later; the rotation alone is read without one.
    """

    def __init__(self) -> None:
        self._rotation = _UNKNOWN
        self._matrix: Matrix | None = None

    def __call__(self, frame: VideoFrame) -> NDArray[np.uint8]:
        """Return an image's pixels as they are to be shown.

        Args:
            frame: A decoded frame of any pixel format.

        Returns:
            RGB ``uint8 (H, W, 3)``, C-contiguous.
        """
        if frame.rotation != self._rotation:
            self._rotation, self._matrix = frame.rotation, _display_matrix(frame)
        # FFmpeg pads rows to the width of the processor's vectors: sometimes PyAV gives a view.
        image = np.ascontiguousarray(frame.to_ndarray(format="rgb24"), np.uint8)
        return image if self._matrix is None else _turned(image, self._matrix)


def _turned(image: NDArray[np.uint8], matrix: Matrix) -> NDArray[np.uint8]:
    a, b, c, d = matrix  # right is (a, b), down is (c, d)
    if abs(a) + abs(d) < abs(b) + abs(c):
        image = image.transpose(1, 0, 2)
        right, down = c, b
    else:
        right, down = a, d
    turned = image[:: -1 if down < 0 else 1, :: -1 if right < 0 else 1]
    return np.ascontiguousarray(turned)


def _display_matrix(frame: VideoFrame) -> Matrix | None:
    data: Any = frame.side_data.get("DISPLAYMATRIX")
    if data is None:
        return None
    a, b, _, c, d, *_ = (int(value) for value in np.frombuffer(bytes(data), np.int32))
    return a, b, c, d
