"""Draw faces into a copy of an image: frames, labels and small probability panels.

Everything has its own dark ground or rim, so that it reads on light and on dark images, and sizes
follow the image and the face. Shapes are anti-aliased by their distance function; text is set in
the typeface that Pillow carries inside, so that it looks the same everywhere.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from facial_expressions.colors import Color, expression_color
from facial_expressions.image_sources import ImageSource
from facial_expressions.images import load_image
from facial_expressions.media.heat import blend_heat
from facial_expressions.media.placement import Rect, Room
from facial_expressions.results import Explanation, Face, Prediction, TrackedFace

Plane = NDArray[np.float64]

_INK: Final[Color] = (18, 20, 24)
_PAPER: Final[Color] = (255, 255, 255)
_DIM: Final[Color] = (205, 210, 216)
_TRACK: Final[Color] = (72, 77, 86)

_LITTLE_COVERED: Final = 0.06
_MOST_COVERED: Final = 0.18
"""Parts of a face that labels may cover: if possible, and if there is no other way."""

_LEGEND_TEXT: Final = 0.024
_MOST_COLUMNS: Final = 6
_MOST_LABELS: Final = 8
_SMALLER: Final = 0.85
_GROUND: Final = 0.80
_RIM: Final = 0.80
_SMALLEST_TEXT: Final = 8
_SMALLEST_PANEL_TEXT: Final = 9
_HEAD_MARGIN: Final = 0.35
_MOST_PANELS: Final = 6

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont
_Entries = Sequence[tuple[str, Color]]
_Tile = tuple[Rect, _Entries, int, int]
"""Where a tile goes, what it says in which colors, its columns, and the size of its text."""


@dataclass(frozen=True, slots=True)
class _Mark:
    """What is drawn for one face.

    Attributes:
        face: The face.
        frame: The pixels that its box touches.
        color: That of its expression.
        number: What it is called in the rows: its track, or its place from the left.
        texts: What its label may say, the fullest first: reasons, confidence, expression.
        font_px: Height of its text.
        line_px: Width of its frame's line.
        gap_px: Distance of its label from its frame.
    """

    face: Face
    frame: Rect
    color: Color
    number: str
    texts: list[str]
    font_px: int
    line_px: float
    gap_px: int


def draw_faces(
    image: ImageSource, faces: Sequence[Face], explanations: Sequence[Explanation] = ()
) -> Image.Image:
    """Draw a box and a label for each face, and its probabilities where there is room.

    Labels keep clear of all faces; in a crowd they are numbers, with a legend where no face is.

    Args:
        image: The image that the faces were found in, as given to ``recognize``.
        faces: What ``recognize`` returned for it.
        explanations: The heat maps that ``explain`` returned for it; they are drawn in warm
            colours.

    Returns:
        A new RGB image of the same size, without the metadata of the original.

    Raises:
        ImageError: The image cannot be read.

    Examples:
        >>> from facial_expressions.results import Box
        >>> face = Face(Box(10, 10, 50, 60), 0.9, (), Prediction(("happy", "sad"), (0.9, 0.1)))
        >>> draw_faces(np.zeros((80, 100, 3), np.uint8), [face]).size
        (100, 80)
    """
    canvas = blend_heat(load_image(image), explanations)
    marks = [_mark(face, i, canvas.shape[1::-1]) for i, face in enumerate(faces, 1)]
    for mark in marks:
        _draw_frame(canvas, mark)
    image = Image.fromarray(canvas)
    tiles, room = _labels(marks, image.size)
    for spot, entries, columns, size in tiles:
        tile = _text_tile(entries, columns, size)
        image.paste(tile, spot[:2], tile)
    if room is not None:
        _draw_panels(image, marks, room.taken)
    return image


def _mark(face: Face, number: int, image: tuple[int, ...]) -> _Mark:
    """Choose texts and sizes: these follow the face, between bounds that follow the image."""
    name = f"{face.expression}{'?' if face.uncertain else ''}"
    short = f"{name}  {face.confidence:.0%}"
    why = ", ".join(reason for reason in face.reasons if reason != "unsure")
    left, top, right, bottom = face.box.xyxy
    smallest = max(10.0, min(image) * 0.02)
    font_px = min(max(face.box.width * 0.15, smallest), max(smallest, min(image) * 0.045))
    return _Mark(
        face,
        (int(left), int(top), math.ceil(right), math.ceil(bottom)),
        expression_color(face.expression),
        f"#{face.track_id}" if isinstance(face, TrackedFace) else str(number),
        [f"{short}  {why}", short, name] if why else [short, name],
        round(font_px),
        line_px=min(max(font_px * 0.13, 1.5), min(image) * 0.02 + 1),
        gap_px=max(2, round(font_px * 0.35)),
    )


def _labels(marks: Sequence[_Mark], image: tuple[int, int]) -> tuple[list[_Tile], Room | None]:
    """Return a label for each face; in a crowd, where they lack room, numbers and a legend.

    And what is free beside the labels; None where some are missing or are numbers.
    """
    frames = [mark.frame for mark in marks]
    placed: list[_Tile] = []
    for most in (_LITTLE_COVERED, _MOST_COVERED):
        room = Room(image, frames, most)
        placed = _placed(room, marks)
        if len(placed) == len(marks) <= _MOST_LABELS:
            return placed, room
        numbered = Room(image, frames, most)
        numbers = _placed(numbered, [replace(mark, texts=[mark.number]) for mark in marks])
        legend = _placed_legend(numbered, marks, image)
        if legend is not None and len(numbers) == len(marks) > 1:
            return [*numbers, legend], None
    return placed, None


def _placed(room: Room, marks: Sequence[_Mark]) -> list[_Tile]:
    """Return each face's label where there is room: the first of its texts for which there is."""
    placed: list[_Tile] = []
    for mark in marks:
        sizes = (mark.font_px, round(mark.font_px * _SMALLER), _SMALLEST_TEXT)
        # Reasons are left out before the text gets smaller for them.
        tries = [(text, size) for text in mark.texts[-2:] for size in sizes]
        for text, size in ((mark.texts[0], mark.font_px), *tries):
            entries = [(text, mark.color)]
            spot = room.beside(_tile_size(entries, 1, size), mark.frame, mark.gap_px)
            if spot is not None:
                placed.append((spot, entries, 1, size))
                break
    return placed


def _placed_legend(room: Room, marks: Sequence[_Mark], image: tuple[int, int]) -> _Tile | None:
    """Return the legend of all numbers, in the largest text for which there is room."""
    largest = max(_SMALLEST_PANEL_TEXT, round(min(image) * _LEGEND_TEXT))
    for text in (-2, -1):  # with its confidence, or without
        entries = [(f"{mark.number}  {mark.texts[text]}", mark.color) for mark in marks]
        for size in range(largest, _SMALLEST_TEXT - 1, -1):
            for columns in range(1, min(len(marks), _MOST_COLUMNS) + 1):
                spot = room.anywhere(_tile_size(entries, columns, size), max(2, size // 3))
                if spot is not None:
                    return spot, entries, columns, size
    return None


def _draw_panels(image: Image.Image, marks: Sequence[_Mark], taken: list[Rect]) -> None:
    """Draw a probability panel beside each of a few faces that has free room for it."""
    if len(marks) > _MOST_PANELS:
        return
    heads = [_grown(mark.frame, _HEAD_MARGIN) for mark in marks]
    for mark, head in zip(marks, heads, strict=True):
        others = (other for other in heads if other is not head)
        room = Room(image.size, [*taken, mark.frame, *others])
        preferred = max(_SMALLEST_PANEL_TEXT, round(mark.font_px * 0.78))
        for size in range(preferred, _SMALLEST_PANEL_TEXT - 1, -1):
            panel = _panel_tile(mark.face.prediction, size)
            spot = room.aside(panel.size, mark.frame, 2 * mark.gap_px)
            if spot is not None:
                image.paste(panel, spot[:2], panel)
                taken.append(spot)
                break


def _draw_frame(canvas: NDArray[np.uint8], mark: _Mark) -> None:
    """Blend a rounded frame with a dark rim into the canvas."""
    height, width = canvas.shape[:2]
    half = mark.line_px / 2
    margin = int(mark.line_px * 2 + 2)
    left, top, right, bottom = mark.face.box.xyxy
    left, top = max(left, half + 1), max(top, half + 1)
    right, bottom = min(right, width - half - 1), min(bottom, height - half - 1)
    if right - left < 2 or bottom - top < 2:
        return
    x0, y0 = max(int(left) - margin, 0), max(int(top) - margin, 0)
    x1, y1 = min(int(right) + margin, width), min(int(bottom) + margin, height)
    radius = min(right - left, bottom - top) * 0.06 + half
    for ys, xs in _bands((x0, y0, x1, y1), (left, top, right, bottom), radius + margin):
        distance = np.abs(_distance(xs, ys, (left, top, right, bottom), radius))
        area = canvas[int(ys[0]) : int(ys[-1]) + 1, int(xs[0]) : int(xs[-1]) + 1]
        _blend(area, _INK, _cover(distance - half - max(1.0, half * 0.6)) * _RIM)
        _blend(area, mark.color, _cover(distance - half))


def _bands(
    outer: Rect, frame: tuple[float, float, float, float], thick: float
) -> list[tuple[Plane, Plane]]:
    """Return pixel rows and columns of the four strips that a frame can touch, without overlap."""
    x0, y0, x1, y1 = outer
    top, left = min(int(frame[1] + thick), y1), min(int(frame[0] + thick), x1)
    bottom, right = max(int(frame[3] - thick), top), max(int(frame[2] - thick), left)
    strips = [(y0, top, x0, x1), (bottom, y1, x0, x1)]
    strips += [(top, bottom, x0, left), (top, bottom, right, x1)]
    return [
        (np.arange(a, b, dtype=np.float64), np.arange(c, d, dtype=np.float64))
        for a, b, c, d in strips
        if a < b and c < d
    ]


def _distance(xs: Plane, ys: Plane, box: tuple[float, float, float, float], radius: float) -> Plane:
    """Signed distance of pixel middles from a rounded rectangle's edge; negative inside."""
    left, top, right, bottom = box
    dx = np.abs(xs + 0.5 - (left + right) / 2) - (right - left) / 2 + radius
    dy = np.abs(ys + 0.5 - (top + bottom) / 2) - (bottom - top) / 2 + radius
    outside = np.hypot(np.maximum(dx, 0)[None], np.maximum(dy, 0)[:, None])
    inside = np.minimum(np.maximum(dx[None], dy[:, None]), 0)
    distance: Plane = outside + inside - radius
    return distance


def _cover(distance: Plane) -> Plane:
    """Part of each pixel that lies within a shape, from its distance to the edge."""
    cover: Plane = np.clip(0.5 - distance, 0, 1)
    return cover


def _blend(area: NDArray[np.uint8], color: Color, alpha: Plane) -> None:
    ink = np.array(color, np.float64)
    area[:] = np.rint(area + alpha[..., None] * (ink - area)).astype(np.uint8)


def _tile_size(entries: _Entries, columns: int, size: int) -> tuple[int, int]:
    """Return width and height of a tile in text of the given size."""
    font = _font(size)
    cell = max(round(font.getlength(text)) for text, _ in entries) + round(size * 1.4)
    rows = math.ceil(len(entries) / columns)
    return columns * cell + round(size * 0.25), round(size * (1.35 * rows + 0.35))


def _text_tile(entries: _Entries, columns: int, size: int) -> Image.Image:
    """Set texts on a dark ground, each after a stripe of its color, column by column."""
    font, (width, height) = _font(size), _tile_size(entries, columns, size)
    tile = _ground((width, height), size * 0.3)
    draw = ImageDraw.Draw(tile)
    rows, cell = math.ceil(len(entries) / columns), (width - round(size * 0.25)) // columns
    stripe, inset = max(2, round(size * 0.28)), max(2, round(size * 0.3))
    for i, (text, color) in enumerate(entries):
        left, top = i // rows * cell + inset, size * (0.175 + 1.35 * (i % rows))
        bar = (left, round(top + size * 0.125), left + stripe - 1, round(top + size * 1.225) - 1)
        draw.rectangle(bar, fill=(*color, 255))
        middle = top + size * 0.675
        draw.text((left + stripe + round(size * 0.35), middle), text, (*_PAPER, 255), font,
                  anchor="lm")  # fmt: skip
    return tile


def _panel_tile(prediction: Prediction, size: int) -> Image.Image:
    """Draw one row per expression: name, bar, per cent, in text of the given size."""
    font = _font(size)
    pad, row = round(size * 0.7), round(size * 1.45)
    name_width = max(round(font.getlength(name)) for name in prediction.labels)
    bar_width, value_width = round(size * 5.5), round(font.getlength("100%"))
    width = name_width + bar_width + value_width + 4 * pad
    tile = _ground((width, row * len(prediction.labels) + 2 * pad), size * 0.4)
    draw = ImageDraw.Draw(tile)
    for i, (name, value) in enumerate(prediction.probabilities.items()):
        middle = pad + row * (i + 0.5)
        color = _PAPER if name == prediction.expression else _DIM
        draw.text((pad, middle), name, (*color, 255), font, anchor="lm")
        draw.text((width - pad, middle), f"{value:.0%}", (*color, 255), font, anchor="rm")
        start, thick = 2 * pad + name_width, max(1, round(size * 0.22))
        track = (start, middle - thick, start + bar_width, middle + thick)
        draw.rectangle(track, fill=(*_TRACK, 255))
        if value * bar_width >= 1:
            filled = (start, middle - thick, start + round(value * bar_width), middle + thick)
            draw.rectangle(filled, fill=(*expression_color(name), 255))
    return tile


def _ground(size: tuple[int, int], radius: float) -> Image.Image:
    """Return a dark rounded ground, RGBA."""
    width, height = size
    xs, ys = np.arange(width, dtype=np.float64), np.arange(height, dtype=np.float64)
    cover = _cover(_distance(xs, ys, (0, 0, width, height), radius)) * _GROUND
    pixels = np.empty((height, width, 4), np.uint8)
    pixels[..., :3] = _INK
    pixels[..., 3] = np.rint(cover * 255)
    return Image.fromarray(pixels)


def _font(size: int) -> Font:
    return ImageFont.load_default(size)


def _grown(frame: Rect, fraction: float) -> Rect:
    """Return a frame with a margin, for the hair and chin around a face."""
    x, y = (frame[2] - frame[0]) * fraction, (frame[3] - frame[1]) * fraction
    return (int(frame[0] - x), int(frame[1] - y), int(frame[2] + x), int(frame[3] + y))
