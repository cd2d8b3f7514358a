"""Robustness: corruptions of face crops in five severities, and a classifier's accuracy under them.

Eleven kinds, as detectors and cameras cause them. Those of the group ``box`` imitate a face box
that is slightly off; those of the group ``image`` imitate a poor photo. What is random depends on
the seed, the kind and the image's own pixels only: not on its place, its neighbours or the batch.
The severities of a kind share their draws, so that a face is moved the same way, only further.

Where a moved box looks beyond the crop, its border is repeated.
"""

from __future__ import annotations

import hashlib
import io
import math
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from facial_expressions.data.dataset import Split
from facial_expressions.evaluation.predictions import EvaluationSettings, OnProgress, predict_split
from facial_expressions.inference.contracts import Classifier

SEVERITIES: Final = (1, 2, 3, 4, 5)
"""From mild to strong."""

_REFERENCE_PX: Final = 48
_MARGIN_FRACTION: Final = 0.3

Crop = NDArray[np.uint8]
Change = Callable[[Crop, float, np.random.Generator], Crop]


@dataclass(frozen=True, slots=True)
class Corruption:
    """One kind of corruption.

    Attributes:
        name: What the report calls it.
        group: ``box`` for a face box that is off, ``image`` for a poor photo.
        levels: The amount at each severity.
        unit: What the amounts are.
        change: Changes one grey crop ``uint8 (S, S)`` by an amount, with a generator of its own.
    """

    name: str
    group: Literal["box", "image"]
    levels: tuple[float, ...]
    unit: str
    change: Change


def corrupt(
    crops: NDArray[np.uint8], corruption: Corruption, *, severity: int, seed: int = 0
) -> NDArray[np.uint8]:
    """Return crops as they look after a corruption.

    Args:
        crops: Grey ``uint8 (N, S, S)``.
        corruption: One of ``CORRUPTIONS``.
        severity: 1 to 5.
        seed: Another seed gives other draws.

    Examples:
        >>> dark = next(kind for kind in CORRUPTIONS if kind.name == "low_light")
        >>> corrupt(np.full((1, 48, 48), 200, np.uint8), dark, severity=5)[0, 0, 0]
        np.uint8(40)
    """
    level = corruption.levels[severity - 1]
    kind = zlib.crc32(corruption.name.encode())
    out = np.empty_like(crops)
    for row, crop in enumerate(crops):
        digest = hashlib.blake2b(np.ascontiguousarray(crop).data, digest_size=8).digest()
        generator = np.random.default_rng([seed, kind, int.from_bytes(digest, "big")])
        out[row] = corruption.change(crop, level, generator)
    return out


def _shift(crop: Crop, percent: float, generator: np.random.Generator) -> Crop:
    """Move the box by exactly this share of the side, in any direction."""
    angle = generator.uniform(0, 2 * math.pi)
    amount = percent / 100
    return _reframe(crop, right=amount * math.cos(angle), down=amount * math.sin(angle))


def _scale(crop: Crop, percent: float, generator: np.random.Generator) -> Crop:
    """Make the box larger or smaller by exactly this share."""
    return _reframe(crop, scale=1 + _sign(generator) * percent / 100)


def _rotation(crop: Crop, degrees: float, generator: np.random.Generator) -> Crop:
    """Turn the box by exactly this angle, either way."""
    return _reframe(crop, degrees=_sign(generator) * degrees)


def _box(crop: Crop, level: float, generator: np.random.Generator) -> Crop:
    """Shift both ways, scale and turn at once, each by a uniform share of the level."""
    right, down, scale, turn = (level * generator.uniform(-1, 1, 4)).tolist()
    return _reframe(crop, right=right / 100, down=down / 100, scale=1 + scale / 100, degrees=turn)


def _low_light(crop: Crop, percent: float, _: np.random.Generator) -> Crop:
    return _to_bytes(crop * (percent / 100))


def _contrast(crop: Crop, percent: float, _: np.random.Generator) -> Crop:
    mean = crop.mean()
    return _to_bytes(mean + (crop - mean) * (percent / 100))


def _noise(crop: Crop, levels: float, generator: np.random.Generator) -> Crop:
    return _to_bytes(crop + generator.normal(0, levels, crop.shape))


def _blur(crop: Crop, sigma_px: float, _: np.random.Generator) -> Crop:
    radius = sigma_px * crop.shape[0] / _REFERENCE_PX
    return np.asarray(Image.fromarray(crop).filter(ImageFilter.GaussianBlur(radius)))


def _jpeg(crop: Crop, quality: float, _: np.random.Generator) -> Crop:
    buffer = io.BytesIO()
    Image.fromarray(crop).save(buffer, format="JPEG", quality=int(quality))
    with Image.open(buffer) as image:
        return np.asarray(image)


def _resolution(crop: Crop, percent: float, _: np.random.Generator) -> Crop:
    """Scale down, averaging, and up again."""
    side = crop.shape[0]
    few = max(1, round(side * percent / 100))
    small = Image.fromarray(crop).resize((few, few), Image.Resampling.BILINEAR)
    return np.asarray(small.resize((side, side), Image.Resampling.BICUBIC))


def _occlusion(crop: Crop, percent: float, generator: np.random.Generator) -> Crop:
    """Cover a rectangle of this share of the area, one to two in shape, with one grey."""
    side = crop.shape[0]
    shape, left, top, grey = generator.random(4).tolist()
    area = percent / 100 * side * side
    height = max(1, min(side, round(math.sqrt(area * 2 ** (2 * shape - 1)))))
    width = max(1, min(side, int(area / height)))
    x, y = round(left * (side - width)), round(top * (side - height))
    covered = crop.copy()
    covered[y : y + height, x : x + width] = round(255 * grey)
    return covered


def _reframe(
    crop: Crop, *, right: float = 0, down: float = 0, scale: float = 1, degrees: float = 0
) -> Crop:
    """Return the crop of a box that is off by shares of the side, a factor and an angle."""
    side = crop.shape[0]
    margin = math.ceil(side * _MARGIN_FRACTION)
    wide = Image.fromarray(np.pad(crop, margin, mode="edge"))
    cos = scale * math.cos(math.radians(degrees))
    sin = scale * math.sin(math.radians(degrees))
    middle = side / 2
    x = margin + middle + right * side - (cos - sin) * middle
    y = margin + middle + down * side - (sin + cos) * middle
    seen = wide.transform(
        (side, side),
        Image.Transform.AFFINE,
        (cos, -sin, x, sin, cos, y),
        resample=Image.Resampling.BICUBIC,
    )
    return np.asarray(seen)


def _sign(generator: np.random.Generator) -> float:
    return 1.0 if generator.random() < 0.5 else -1.0


def _to_bytes(values: NDArray[np.floating]) -> Crop:
    return np.asarray(np.clip(np.rint(values), 0, 255), np.uint8)


CORRUPTIONS: Final = (
    Corruption("shift", "box", (2, 4, 6, 8, 10), "% of the side", _shift),
    Corruption("scale", "box", (2, 4, 6, 8, 10), "% larger or smaller", _scale),
    Corruption("rotation", "box", (2, 4, 6, 8, 10), "degrees", _rotation),
    Corruption("box_jitter", "box", (2, 4, 6, 8, 10), "% and degrees at most, all at once", _box),
    Corruption("low_light", "image", (75, 60, 45, 30, 20), "% of the light", _low_light),
    Corruption("contrast", "image", (75, 60, 45, 30, 20), "% of the contrast", _contrast),
    Corruption("noise", "image", (2, 4, 6, 8, 10), "grey levels, sigma", _noise),
    Corruption("blur", "image", (0.5, 0.75, 1, 1.25, 1.5), "px in 48, sigma", _blur),
    Corruption("jpeg", "image", (80, 65, 50, 40, 30), "JPEG quality", _jpeg),
    Corruption("resolution", "image", (90, 80, 70, 60, 50), "% of the side", _resolution),
    Corruption("occlusion", "image", (4, 8, 12, 16, 20), "% of the area", _occlusion),
)
"""Every kind, in the order of the report."""


@dataclass(frozen=True, slots=True)
class Robustness:
    """The corruption table of one classifier on one split.

    Attributes:
        clean_accuracy: Accuracy on the images as they are, 0 to 1.
        accuracies: For each kind the share of right answers, 0 to 1, at each severity.
    """

    clean_accuracy: float
    accuracies: Mapping[Corruption, tuple[float, ...]]

    @property
    def mean_accuracy(self) -> float:
        """Mean accuracy over the whole table, every cell alike."""
        return float(np.mean(list(self.accuracies.values())))

    @property
    def relative_accuracy(self) -> float:
        """Mean accuracy over the table as a share of the clean one; 0 when that is 0."""
        return self.mean_accuracy / self.clean_accuracy if self.clean_accuracy else 0.0

    @property
    def box_loss(self) -> float:
        """Clean accuracy less the mean over the kinds of the group ``box``; 0.01 is one point."""
        box = [shares for kind, shares in self.accuracies.items() if kind.group == "box"]
        return self.clean_accuracy - float(np.mean(box)) if box else 0.0

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON, not rounded."""
        return {
            "clean_accuracy": self.clean_accuracy,
            "mean_accuracy": self.mean_accuracy,
            "relative_accuracy": self.relative_accuracy,
            "box_loss": self.box_loss,
            "severities": list(SEVERITIES),
            "kinds": {
                kind.name: {
                    "group": kind.group,
                    "levels": list(kind.levels),
                    "unit": kind.unit,
                    "accuracy": list(shares),
                    "mean": float(np.mean(shares)),
                }
                for kind, shares in self.accuracies.items()
            },
        }


def measure_robustness(
    classifier: Classifier,
    split: Split,
    *,
    settings: EvaluationSettings,
    clean_accuracy: float,
    progress: OnProgress | None = None,
) -> Robustness:
    """Ask a classifier for every image under every corruption.

    Args:
        classifier: What to ask, 55 times the split.
        split: Grey crops ``uint8 (N, S, S)``; labels are ids in the classifier's label set.
        settings: Crops per call, and the seed of what is random in the corruptions.
        clean_accuracy: Its accuracy on the split as it is.
        progress: Called with corrupted images done and corrupted images in all.
    """
    n_images = len(CORRUPTIONS) * len(SEVERITIES) * len(split)
    n_done, accuracies = 0, {}
    for kind in CORRUPTIONS:
        shares = []
        for severity in SEVERITIES:
            images = corrupt(split.images, kind, severity=severity, seed=settings.seed)
            changed, batch_size = replace(split, images=images), settings.batch_size
            shares.append(predict_split(classifier, changed, batch_size=batch_size).accuracy)
            n_done += len(split)
            if progress is not None:
                progress(n_done, n_images)
        accuracies[kind] = tuple(shares)
    return Robustness(clean_accuracy, accuracies)
