"""Draws what an audit found as one image: conflicting duplicates, then blank images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from facial_expressions.data.audit import AuditReport, DuplicateGroup
from facial_expressions.data.dataset import Dataset

_COLUMNS: Final = 8
_MAX_CARDS: Final = 100
_IMAGE_PX: Final = 128
_CARD_PX: Final = (160, 180)
_MARGIN_PX: Final = 24
_TITLE_PX: Final = 44
_PAPER: Final = (250, 250, 248)
_INK: Final = (28, 30, 34)
_FAINT: Final = (96, 100, 108)


_Card = tuple[NDArray[np.uint8], str, str]
"""One image and two lines under it."""


def draw_audit(report: AuditReport, dataset: Dataset) -> Image.Image:
    """Draw the groups of duplicates with conflicting labels, then the blank images.

    Args:
        report: What ``audit_dataset`` returned.
        dataset: The data set it was given.

    Returns:
        An RGB image, each kind under its own heading; at most 100 images of either.
    """
    found: dict[str, tuple[NDArray[np.uint8], str]] = {
        source: (split.images[row], dataset.labels.names[int(split.labels[row])])
        for split in dataset.splits()
        for row, source in enumerate(split.sources)
    }
    conflicts = [
        (found[group.sources[0]][0], _votes(group), _where(report, group))
        for group in report.conflicting
    ]
    blank = [(*found[source], source.rpartition("/")[2]) for source in report.blank]
    sections = [
        (f"{len(conflicts):,} images that are there with different labels", conflicts),
        (f"{len(blank):,} blank images", blank),
    ]
    return _draw_sections(sections)


def _votes(group: DuplicateGroup) -> str:
    counts = Counter(group.labels).most_common()
    return ", ".join(f"{label} x{n}" if n > 1 else label for label, n in counts)


def _where(report: AuditReport, group: DuplicateGroup) -> str:
    return ", ".join(sorted({report.split_names[split] for split in group.splits}))


def _draw_sections(sections: Sequence[tuple[str, Sequence[_Card]]]) -> Image.Image:
    rows = [-(-min(len(cards), _MAX_CARDS) // _COLUMNS) for _, cards in sections]
    width = 2 * _MARGIN_PX + _COLUMNS * _CARD_PX[0]
    height = 2 * _MARGIN_PX + sum(_TITLE_PX + n * _CARD_PX[1] for n in rows)
    sheet = Image.new("RGB", (width, height), _PAPER)
    draw = ImageDraw.Draw(sheet)
    top = _MARGIN_PX
    for (title, cards), n_rows in zip(sections, rows, strict=True):
        hidden = len(cards) - _MAX_CARDS
        more = f" (the first {_MAX_CARDS} are shown)" if hidden > 0 else ""
        draw.text((_MARGIN_PX, top), title + more, fill=_INK, font=ImageFont.load_default(20))
        top += _TITLE_PX
        for k, card in enumerate(cards[:_MAX_CARDS]):
            left = _MARGIN_PX + k % _COLUMNS * _CARD_PX[0]
            _draw_card(sheet, draw, card, (left, top + k // _COLUMNS * _CARD_PX[1]))
        top += n_rows * _CARD_PX[1]
    return sheet


def _draw_card(
    sheet: Image.Image, draw: ImageDraw.ImageDraw, card: _Card, corner: tuple[int, int]
) -> None:
    left, top = corner
    pixels, title, note = card
    image = Image.fromarray(pixels).resize((_IMAGE_PX, _IMAGE_PX), Image.Resampling.BICUBIC)
    sheet.paste(image.convert("RGB"), corner)
    frame = (left - 1, top - 1, left + _IMAGE_PX, top + _IMAGE_PX)
    draw.rectangle(frame, outline=(190, 192, 196))
    for text, offset, color in ((title, 4, _INK), (note, 20, _FAINT)):
        font = ImageFont.load_default(13)
        shown = text
        while draw.textlength(shown, font=font) > _CARD_PX[0] - 10:
            shown = shown.rstrip("…")[:-1] + "…"
        draw.text((left, top + _IMAGE_PX + offset), shown, fill=color, font=font)
