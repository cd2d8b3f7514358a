"""Show decoded images of a video as they are meant: upright, of square pixels, in usual colours.

Video of high dynamic range (PQ and HLG, ITU-R BT.2100) becomes what a screen without it shows. Its
light is measured in nits of a 1,000-nit display; the white of paper, 203 nits (BT.2408), is white.
Colours go from BT.2020 to BT.709, and what is brighter than three quarters of white is compressed,
so that highlights keep their shape. The mapping of all colours is a table, made once a transfer.
"""

from __future__ import annotations

import functools
from fractions import Fraction
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from facial_expressions.media.pyav import av

Matrix = tuple[int, int, int, int]
Values = NDArray[np.float64]

PQ: Final = 16
"""FFmpeg's number of SMPTE ST 2084."""

HLG: Final = 18
"""FFmpeg's number of ARIB STD-B67."""

_WHITE_NITS: Final = 203.0
_KNEE: Final = 0.75
_DISPLAY_GAMMA: Final = 2.4  # BT.1886
_TABLE_SIDE: Final = 65

_TO_BT709: Final = np.array(
    [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]]
)
_LUMINANCE: Final = np.array([0.2627, 0.6780, 0.0593])

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
    """

    def __init__(self, stream: av.VideoStream) -> None:
        self._rotation = _UNKNOWN
        self._matrix: Matrix | None = None
        self._stream = stream
        self._stated = stream.sample_aspect_ratio
        self._coded = stream.codec_context.sample_aspect_ratio

    def size(self, frame: av.VideoFrame) -> tuple[int, int]:
        """Return an image's width and height in square pixels, before it is turned."""
        shape = self._pixel_shape()
        if shape > 1:
            return round(frame.width * shape), frame.height
        return frame.width, round(frame.height / shape)

    def __call__(self, frame: av.VideoFrame) -> NDArray[np.uint8]:
        """Return an image's pixels as they are to be shown, RGB ``uint8 (H, W, 3)``."""
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


def _display_matrix(frame: av.VideoFrame) -> Matrix | None:
    data: Any = frame.side_data.get("DISPLAYMATRIX")
    if data is None:
        return None
    a, b, _, c, d, *_ = (int(value) for value in np.frombuffer(bytes(data), np.int32))
    return a, b, c, d


def to_standard_range(image: NDArray[np.uint8], transfer: int) -> NDArray[np.uint8]:
    """Return an image of PQ or HLG, BT.2020, as one of standard dynamic range, BT.709."""
    return np.array(Image.fromarray(image).filter(_table(transfer)))


@functools.cache
def _table(transfer: int) -> ImageFilter.Color3DLUT:
    steps = np.linspace(0, 1, _TABLE_SIDE)
    blue, green, red = np.meshgrid(steps, steps, steps, indexing="ij")  # red runs fastest
    colors = standard_colors(np.stack([red, green, blue], -1).reshape(-1, 3), transfer)
    return ImageFilter.Color3DLUT(_TABLE_SIDE, colors.ravel().tolist())


def standard_colors(colors: Values, transfer: int) -> Values:
    """Map colours ``(N, 3)``, 0 to 1, of BT.2020 by PQ or HLG to BT.709 with display gamma."""
    nits = _pq_nits(colors) if transfer == PQ else _hlg_nits(colors)
    light = np.maximum(nits / _WHITE_NITS @ _TO_BT709.T, 0)
    brightest = np.maximum(light.max(-1, keepdims=True), 1e-9)
    over = np.maximum(brightest - _KNEE, 0) / (1 - _KNEE)
    shown = np.minimum(brightest, _KNEE) + (1 - _KNEE) * (1 - np.exp(-over))
    return np.asarray(np.clip(light * shown / brightest, 0, 1) ** (1 / _DISPLAY_GAMMA))


def _pq_nits(colors: Values) -> Values:
    """Apply the electro-optical transfer function of BT.2100, table 4."""
    m1, m2 = 2610 / 16_384, 2523 / 4096 * 128
    c1, c2, c3 = 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32
    power = colors ** (1 / m2)
    return np.asarray(10_000 * (np.maximum(power - c1, 0) / (c2 - c3 * power)) ** (1 / m1))


def _hlg_nits(colors: Values) -> Values:
    """Apply the inverse OETF and, for a display of 1,000 nits, the OOTF of BT.2100, table 5."""
    a = 0.17883277
    b, c = 1 - 4 * a, 0.5 - a * np.log(4 * a)
    scene = np.where(colors <= 0.5, colors**2 / 3, (np.exp((colors - c) / a) + b) / 12)
    luminance = (scene @ _LUMINANCE)[..., None]
    return np.asarray(1000 * luminance**0.2 * scene)
