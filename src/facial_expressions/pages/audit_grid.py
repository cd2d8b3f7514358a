"""Draws what an audit found as one image: conflicting duplicates, then blank images."""

from __future__ import annotations

from collections import Counter
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from facial_expressions.data.audit import Audit
from facial_expressions.data.dataset import Dataset

_COLUMNS: Final = 8
_MAX_CARDS: Final = 100
_IMAGE_PX: Final = 128
_CARD_PX: Final = (160, 180)
_MARGIN_PX: Final = 24
_TITLE_PX: Final = 44
_INK: Final = (28, 30, 34)
_LETTERS: Final = 23
"""So many fit under an image."""

_Card = tuple[NDArray[np.uint8], str, str]
"""One image and two lines under it."""


def draw_audit(audit: Audit, dataset: Dataset) -> Image.Image:
    """Draw the groups of duplicates with conflicting labels, then the blank images.

    Args:
        audit: What ``audit_dataset`` returned.
        dataset: The data set it was given.

    Returns:
        An RGB image, each kind under its own heading; at most 100 images of either.
    """
    found = {
        source: (split.images[row], dataset.labels.names[int(split.labels[row])])
        for split in dataset.splits()
        for row, source in enumerate(split.sources)
    }
    conflicts: list[_Card] = []
    for group in audit["duplicates"]["groups"]:
        if group["conflicting"]:
            places = {audit["split_names"][split] for split in group["splits"]}
            image, _ = found[group["sources"][0]]
            conflicts.append((image, _votes(group["labels"]), ", ".join(sorted(places))))
    blank = [(*found[source], source.rpartition("/")[2]) for source in audit["blank"]["sources"]]
    return _draw_sections(
        {
            f"{len(conflicts):,} images that are there with different labels": conflicts,
            f"{len(blank):,} blank images": blank,
        }
    )


def _votes(labels: list[str]) -> str:
    counts = Counter(labels).most_common()
    return ", ".join(f"{label} x{n}" if n > 1 else label for label, n in counts)


def _draw_sections(sections: dict[str, list[_Card]]) -> Image.Image:
    heights = [
        -(-min(len(cards), _MAX_CARDS) // _COLUMNS) * _CARD_PX[1] for cards in sections.values()
    ]
    width = 2 * _MARGIN_PX + _COLUMNS * _CARD_PX[0]
    height = 2 * _MARGIN_PX + len(sections) * _TITLE_PX + sum(heights)
    sheet = Image.new("RGB", (width, height), (250, 250, 248))
    top = _MARGIN_PX
    for (title, cards), height in zip(sections.items(), heights, strict=True):
        more = f" (the first {_MAX_CARDS} are shown)" if len(cards) > _MAX_CARDS else ""
        font = ImageFont.load_default(20)
        ImageDraw.Draw(sheet).text((_MARGIN_PX, top), title + more, fill=_INK, font=font)
        top += _TITLE_PX
        for k, card in enumerate(cards[:_MAX_CARDS]):
            left = _MARGIN_PX + k % _COLUMNS * _CARD_PX[0]
            _draw_card(sheet, card, left, top + k // _COLUMNS * _CARD_PX[1])
        top += height
    return sheet


def _draw_card(sheet: Image.Image, card: _Card, left: int, top: int) -> None:
    pixels, title, note = card
    image = Image.fromarray(pixels).resize((_IMAGE_PX, _IMAGE_PX), Image.Resampling.BICUBIC)
    sheet.paste(image.convert("RGB"), (left, top))
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(13)
    frame = (left - 1, top - 1, left + _IMAGE_PX, top + _IMAGE_PX)
    draw.rectangle(frame, outline=(190, 192, 196))
    for text, offset, color in ((title, 4, _INK), (note, 20, (96, 100, 108))):
        short = text if len(text) <= _LETTERS else text[: _LETTERS - 1] + "…"
        draw.text((left, top + _IMAGE_PX + offset), short, fill=color, font=font)
