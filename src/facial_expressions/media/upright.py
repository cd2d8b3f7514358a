"""Show decoded images of a video as they are meant: upright, of square pixels, in usual colours."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from facial_expressions.media.hdr import HLG, PQ, to_standard_range

if TYPE_CHECKING:
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

Matrix = tuple[int, int, int, int]

_UNKNOWN: Final = 999
"""No rotation in degrees."""

_LIKELY: Final = (Fraction(1, 8), Fraction(8))
"""Pixels of another shape are an error in the file and taken as square."""


class Upright:
    """Shows the images of one stream as its display matrix, pixel shape and transfer ask.

    Pixels that are wider than high make the image wider, others make it higher: none is lost.

    The matrix is read again only where the rotation changes. To read it PyAV makes an object that
    the frame and it hold on to each other by, so that frames would stay in memory until Python
    looks for such pairs, hundreds of frames later; the rotation alone is read without one.

    Args:
        stream: The stream that the images come from; None where pixels are square.
    """

    def __init__(self, stream: VideoStream | None = None) -> None:
        self._rotation = _UNKNOWN
        self._matrix: Matrix | None = None
        self._stream = stream
        self._stated = stream.sample_aspect_ratio if stream else None
        self._coded = stream.codec_context.sample_aspect_ratio if stream else None

    def size(self, frame: VideoFrame) -> tuple[int, int]:
        """Return an image's width and height in square pixels, before it is turned.

        Args:
            frame: A decoded frame.
        """
        shape = self._pixel_shape()
        if shape > 1:
            return round(frame.width * shape), frame.height
        return frame.width, round(frame.height / shape)

    def __call__(self, frame: VideoFrame) -> NDArray[np.uint8]:
        """Return an image's pixels as they are to be shown.

        Args:
            frame: A decoded frame of any pixel format.

        Returns:
            RGB ``uint8 (H, W, 3)``, C-contiguous.
        """
        if frame.rotation != self._rotation:
            self._rotation, self._matrix = frame.rotation, _display_matrix(frame)
        width, height = self.size(frame)
        if frame.color_trc in (HLG, PQ):  # FFmpeg rounds ten bits down to eight by two steps
            wide = frame.to_ndarray(format="rgb48le", width=width, height=height)
            image = (np.asarray(wide, np.uint16) >> 8).astype(np.uint8)
            image = to_standard_range(image, frame.color_trc)
        else:
            # FFmpeg pads rows to the width of its vectors: sometimes PyAV gives a view.
            decoded = frame.to_ndarray(format="rgb24", width=width, height=height)
            image = np.ascontiguousarray(decoded, np.uint8)
        return image if self._matrix is None else _turned(image, self._matrix)

    def _pixel_shape(self) -> Fraction:
        """Return a pixel's width by its height: as the file states it, until the images change."""
        if self._stream is None:
            return Fraction(1)
        coded = self._stream.codec_context.sample_aspect_ratio
        shape = (self._stated if coded == self._coded else coded) or Fraction(1)
        return shape if _LIKELY[0] <= shape <= _LIKELY[1] else Fraction(1)


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
