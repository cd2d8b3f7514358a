"""Draw faces into a copy of an image: frames, labels and small probability panels.

Everything has its own dark ground or rim, so that it reads on light and on dark images, and sizes
follow the image and the face. Shapes are anti-aliased by their distance function; text is set in
the typeface that Pillow carries inside, so that it looks the same everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from facial_expressions.images import ImageSource, load_image
from facial_expressions.media.heat import blend_heat
from facial_expressions.media.placement import Rect, overlap, panel_spots, place
from facial_expressions.results import Box, Explanation, Face, Prediction, TrackedFace

__all__ = ["draw_faces", "expression_color"]

Color = tuple[int, int, int]
Plane = NDArray[np.float64]

_COLORS: Final[dict[str, Color]] = {
    "angry": (240, 84, 60),
    "contempt": (190, 140, 110),
    "disgust": (120, 180, 80),
    "fear": (170, 130, 240),
    "happy": (250, 196, 40),
    "neutral": (190, 200, 210),
    "sad": (80, 160, 240),
    "surprise": (250, 130, 190),
}
_OTHER: Final[Color] = (90, 210, 200)
_INK: Final[Color] = (18, 20, 24)
_PAPER: Final[Color] = (255, 255, 255)
_DIM: Final[Color] = (205, 210, 216)
_TRACK: Final[Color] = (72, 77, 86)

_GROUND: Final = 0.80
_RIM: Final = 0.80
_SMALLEST_TEXT: Final = 8
_SMALLEST_PANEL_TEXT: Final = 9
_HEAD_MARGIN: Final = 0.35
_MOST_PANELS: Final = 6

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


@dataclass(frozen=True, slots=True)
class _Style:
    """Sizes for one face, in pixels."""

    font_px: int
    line_px: float
    gap_px: int


def draw_faces(
    image: ImageSource, faces: Sequence[Face], explanations: Sequence[Explanation] = ()
) -> Image.Image:
    """Draw a frame and a label for each face, and its probabilities where there is room.

    The label of a tracked face begins with its number.

    Args:
        image: The image that the faces were found in: a path, bytes, RGB ``uint8 (H, W, 3)``
            array or Pillow image.
        faces: What ``recognize`` returned for it.
        explanations: What ``explain`` returned for it: warm colours lie where the faces speak for
            their answers.

    Returns:
        A new RGB image of the same size, made from pixels alone: no metadata of the original.

    Raises:
        ImageError: The image cannot be read.

    Examples:
        >>> face = Face(Box(10, 10, 50, 60), 0.9, (), Prediction(("happy", "sad"), (0.9, 0.1)))
        >>> draw_faces(np.zeros((80, 100, 3), np.uint8), [face]).size
        (100, 80)
    """
    canvas = blend_heat(load_image(image), explanations)
    height, width = canvas.shape[:2]
    styles = [_style(face.box, width, height) for face in faces]
    for face, style in zip(faces, styles, strict=True):
        _draw_frame(canvas, face, style)
    image = Image.fromarray(canvas)
    frames = [_rect(face.box) for face in faces]
    taken: list[Rect] = []
    for face, style, frame in zip(faces, styles, frames, strict=True):
        others = [other for other in frames if other is not frame]
        label = _label_tile(face, style, width)
        if label is not None and label.height <= height:
            spot = place(label.size, frame, (width, height), style.gap_px, others, taken)
            image.paste(label, spot[:2], label)
            taken.append(spot)
    _draw_panels(image, faces, styles, taken)
    return image


def _style(box: Box, width: int, height: int) -> _Style:
    """Choose sizes: text follows the face, between bounds that follow the image."""
    shorter = min(width, height)
    smallest = max(10.0, shorter * 0.02)
    largest = max(smallest, shorter * 0.045)
    font_px = min(max(box.width * 0.15, smallest), largest)
    line_px = min(max(font_px * 0.13, 1.5), shorter * 0.02 + 1)
    return _Style(round(font_px), line_px, max(2, round(font_px * 0.35)))


def _draw_panels(
    image: Image.Image, faces: Sequence[Face], styles: Sequence[_Style], taken: list[Rect]
) -> None:
    """Draw a probability panel beside each of a few faces that has free room for it."""
    if len(faces) > _MOST_PANELS:
        return
    frames = [_rect(face.box) for face in faces]
    heads = [_grown(frame, _HEAD_MARGIN) for frame in frames]
    for face, style, frame, head in zip(faces, styles, frames, heads, strict=True):
        blocked = [*taken, frame, *(other for other in heads if other is not head)]
        preferred = max(_SMALLEST_PANEL_TEXT, round(style.font_px * 0.78))
        for size in range(preferred, _SMALLEST_PANEL_TEXT - 1, -1):
            panel = _panel_tile(face.prediction, size)
            spots = panel_spots(panel.size, frame, image.size, 2 * style.gap_px)
            free = (spot for spot in spots if not any(overlap(spot, other) for other in blocked))
            spot = next(free, None)
            if spot is not None:
                image.paste(panel, spot[:2], panel)
                taken.append(spot)
                break


def _draw_frame(canvas: NDArray[np.uint8], face: Face, style: _Style) -> None:
    """Blend a rounded frame with a dark rim into the canvas."""
    height, width = canvas.shape[:2]
    half = style.line_px / 2
    margin = int(style.line_px * 2 + 2)
    left, top, right, bottom = face.box.xyxy
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
        _blend(area, expression_color(face.expression), _cover(distance - half))


def _bands(
    outer: Rect, frame: tuple[float, float, float, float], thick: float
) -> list[tuple[Plane, Plane]]:
    """Return pixel rows and columns of the four strips that a frame can touch, without overlap."""
    x0, y0, x1, y1 = outer
    top, bottom = min(int(frame[1] + thick), y1), max(int(frame[3] - thick), y0)
    left, right = min(int(frame[0] + thick), x1), max(int(frame[2] - thick), x0)
    if top >= bottom or left >= right:
        strips = [(y0, y1, x0, x1)]
    else:
        strips = [(y0, top, x0, x1), (bottom, y1, x0, x1)]
        strips += [(top, bottom, x0, left), (top, bottom, right, x1)]
    return [
        (np.arange(a, b, dtype=np.float64), np.arange(c, d, dtype=np.float64))
        for a, b, c, d in strips
        if a < b and c < d
    ]


def _distance(
    xs: Plane,
    ys: Plane,
    box: tuple[float, float, float, float],
    radius: float,
) -> Plane:
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


def _label_tile(face: Face, style: _Style, width: int) -> Image.Image | None:
    """Set the label on a dark ground; None when even the smallest would not fit the image."""
    mark = "?" if face.uncertain else ""
    number = f"#{face.track_id} " if isinstance(face, TrackedFace) else ""
    name = f"{number}{face.expression}{mark}"
    short = f"{name}  {face.confidence:.0%}"
    why = ", ".join(reason for reason in face.reasons if reason != "unsure")
    # The reasons are left out before the text gets smaller for them.
    texts = ((f"{short}  {why}".rstrip(), style.font_px), (short, _SMALLEST_TEXT))
    for text, smallest in (*texts, (name, _SMALLEST_TEXT)):
        for size in range(style.font_px, smallest - 1, -1):
            font = _font(size)
            pad = max(2, round(size * 0.45))
            stripe = max(2, round(size * 0.28))
            tile_width = round(font.getlength(text)) + 2 * pad + stripe + round(size * 0.25)
            if tile_width <= width:
                tile = _ground((tile_width, round(size * 1.7)), size * 0.3)
                draw = ImageDraw.Draw(tile)
                inset = max(2, round(size * 0.3))
                bar = (inset, inset, inset + stripe - 1, tile.height - inset - 1)
                draw.rectangle(bar, fill=(*expression_color(face.expression), 255))
                middle = tile.height / 2
                start = inset + stripe + round(size * 0.35)
                draw.text((start, middle), text, (*_PAPER, 255), font, anchor="lm")
                return tile
    return None


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


def expression_color(expression: str) -> Color:
    """Return the color in which an expression is drawn everywhere, RGB.

    Args:
        expression: Its name; all that are not known share one color.
    """
    return _COLORS.get(expression, _OTHER)


def _rect(box: Box) -> Rect:
    left, top, right, bottom = box.xyxy
    return (int(left), int(top), int(np.ceil(right)), int(np.ceil(bottom)))


def _grown(frame: Rect, fraction: float) -> Rect:
    """Return a frame with a margin, for the hair and chin around a face."""
    x, y = (frame[2] - frame[0]) * fraction, (frame[3] - frame[1]) * fraction
    return (int(frame[0] - x), int(frame[1] - y), int(frame[2] + x), int(frame[3] + y))
