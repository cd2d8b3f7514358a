"""Measure where answers get worse with the quality of a face, and write the table of the docs.

Images of PublicTest that most FER+ raters agree on are spoilt in steps until ten points of
accuracy are lost; there, and on the clean images, it is counted how many are flagged. Poses
cannot be made, so the images are sorted by them instead. Numbers only: no image leaves it.

    python -m benchmarks.quality fer2013/fer2013.tar.gz fer2013/fer2013new.csv
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from facial_expressions.data.ferplus import ferplus_votes, relabelled
from facial_expressions.data.load import load_dataset
from facial_expressions.evaluation.robustness import CORRUPTIONS, Corruption
from facial_expressions.inference.classifier import load_classifier
from facial_expressions.inference.contracts import Classifier, Detection
from facial_expressions.inference.detectors.centerface import SMALL_SIDE, CenterFaceDetector
from facial_expressions.inference.options import RecognizerOptions
from facial_expressions.labels import FERPLUS
from facial_expressions.preprocessing import crop_faces
from facial_expressions.quality import MOST_PITCH, MOST_YAW, Quality, Reason, measure_quality
from scripts.pages import ROOT, fill_blocks, markdown_table

PAGE: Final = ROOT / "docs" / "concepts" / "quality.md"
MODEL: Final = "compact-int8"
LOST: Final = 0.10  # of accuracy, at the step that counts
N_TILTED: Final = 400
_PAD, _ENLARGED, _TILT_PAD = 8, 256, 24
_NOISE: Final = 3.0

Crops = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Images:
    """Crops with their labels, and what the detector finds in each; None where it finds nothing."""

    crops: Crops
    labels: NDArray[np.int64]
    found: tuple[Detection | None, ...]


def shrink(crop: Crops, side: float, _: np.random.Generator) -> Crops:
    """Reduce a crop to this side and enlarge it again, as a small face is."""
    small = (round(side), round(side))
    reduced = Image.fromarray(crop).resize(small, Image.Resampling.BOX)
    return np.asarray(reduced.resize(crop.shape, Image.Resampling.BICUBIC))


def darken(crop: Crops, light: float, generator: np.random.Generator) -> Crops:
    """Leave this share of the light, with the noise of a sensor."""
    noise = generator.normal(0, _NOISE, crop.shape)
    return np.clip(np.rint(crop * light + noise), 0, 255).astype(np.uint8)


_BLUR: Final = next(kind.change for kind in CORRUPTIONS if kind.name == "blur")
_BLURS: Final = (1, 1.2, 1.4, 1.6, 1.7, 1.8, 2, 2.2)
_SIDES: Final = (32, 28, 24, 20, 18, 17, 16, 15, 14, 12)
_LIGHTS: Final = (0.4, 0.3, 0.25, 0.2, 0.17, 0.15, 0.12, 0.1)
SPOILINGS: Final[Mapping[Reason, Corruption]] = {
    "blurred": Corruption("blur", "image", _BLURS, "blur, sigma in pixels of the crop", _BLUR),
    "small": Corruption("size", "image", _SIDES, "side of the crop in pixels", shrink),
    "dark": Corruption("light", "image", _LIGHTS, "share of the light", darken),
}
"""By the flag that should come on, a way to spoil crops in steps, from mild to strong."""


def spoil(crops: Crops, spoiling: Corruption, step: float) -> Crops:
    """Spoil crops ``uint8 (N, 48, 48)`` to a step."""
    generator = np.random.default_rng(1)
    return np.stack([spoiling.change(crop, step, generator) for crop in crops])


def accuracy(classifier: Classifier, crops: Crops, labels: NDArray[np.int64]) -> float:
    """Return the share of right answers."""
    return float((classifier.predict_proba(crops).argmax(1) == labels).mean())


def qualities(images: Images, crops: Crops, scale: float = 1.0) -> list[Quality]:
    """Measure crops with faces ``scale`` as wide; one that is not found has the framing's box."""
    usual = CenterFaceDetector.framing.box_width_fraction * crops.shape[1]
    one_px = _ENLARGED / (crops.shape[1] + 2 * _PAD)
    return [
        measure_quality(scale * found.box.width / one_px, found.landmarks, crop)
        if found
        else measure_quality(scale * usual, (), crop)
        for found, crop in zip(images.found, crops, strict=True)
    ]


def share(all_of: Sequence[Quality], reason: Reason | None = None) -> float:
    """Return the share that has a reason, or any."""
    flagged = [reason in one.reasons if reason else bool(one.reasons) for one in all_of]
    return float(np.mean(flagged))


def enlarge(crop: Crops, pad: int, degrees: float = 0.0) -> Crops:
    """Return a crop as an RGB image four times as large, its border repeated, turned."""
    side = (crop.shape[0] + 2 * pad) * _ENLARGED // (crop.shape[0] + 2 * _PAD)
    big = Image.fromarray(np.pad(crop, pad, mode="edge")).resize((side, side))
    turned = np.asarray(big.rotate(-degrees, Image.Resampling.BICUBIC))
    return np.repeat(turned[..., None], 3, axis=2)


def spoiling_rows(classifier: Classifier, images: Images, clean: float) -> list[str]:
    """Return the table of the first steps that cost ten points, and of what is flagged there."""
    rows = []
    for reason, spoiling in SPOILINGS.items():
        for step in spoiling.levels:
            crops = spoil(images.crops, spoiling, step)
            right = accuracy(classifier, crops, images.labels)
            if right <= clean - LOST:
                break
        else:
            raise ValueError(f"{spoiling.unit}: no step costs {LOST:.0%}. Add stronger ones")
        scale = step / crops.shape[1] if reason == "small" else 1.0
        flagged = share(qualities(images, crops, scale), reason)
        rows.append((f"`{reason}`", spoiling.unit, f"{step:g}", f"{right:.1%}", f"{flagged:.0%}"))
    header = ("reason", "change", "where ten points are lost", "accuracy there", "flagged there")
    return markdown_table(header, rows, left=2)


def clean_lines(right: NDArray[np.bool_], seen: Sequence[Quality]) -> list[str]:
    """Say how many of the clean images are flagged, and how right the answers are."""
    counts = Counter(reason for one in seen for reason in one.reasons)
    flagged = np.array([bool(one.reasons) for one in seen])
    each = ", ".join(f"`{reason}` {n / len(seen):.1%}" for reason, n in counts.most_common())
    return [
        f"Of {len(seen):,} clean images {share(seen):.1%} are flagged ({each}). "
        f"The answer is right for {right[flagged].mean():.1%} of those and for "
        f"{right[~flagged].mean():.1%} of the others."
    ]


def pose_rows(right: NDArray[np.bool_], seen: Sequence[Quality]) -> list[str]:
    """Return the table of poses: the images as they are, sorted."""
    known = np.array([one.yaw is not None and one.pitch is not None for one in seen])
    yaw = np.array([abs(one.yaw or 0) for one in seen])
    pitch = np.array([one.pitch or 0 for one in seen])
    bands: Mapping[str, NDArray[np.bool_]] = {
        "yaw to 0.3": known & (yaw <= 0.3),
        f"yaw 0.3 to {MOST_YAW:g}": known & (yaw > 0.3) & (yaw <= MOST_YAW),
        f"yaw over {MOST_YAW:g}: `turned`": known & (yaw > MOST_YAW),
        "pitch to 0.6": known & (pitch <= 0.6),
        f"pitch 0.6 to {MOST_PITCH:g}": known & (pitch > 0.6) & (pitch <= MOST_PITCH),
        f"pitch over {MOST_PITCH:g}: `turned`": known & (pitch > MOST_PITCH),
        "no landmarks: no face found": ~known,
    }
    rows = [(name, f"{band.sum():,}", f"{right[band].mean():.1%}") for name, band in bands.items()]
    return markdown_table(("pose", "images", "accuracy"), rows)


@cache
def _detector() -> CenterFaceDetector:
    return CenterFaceDetector(RecognizerOptions(threads=1))


def tilt_rows(classifier: Classifier, images: Images) -> list[str]:
    """Return the lines of the table of tilts: images turned, searched, and levelled as usual."""
    detector, lines = _detector(), []
    for degrees in (0, 30, 60, 90):
        crops, rows, seen = [], [], []
        for row, crop in enumerate(images.crops[:N_TILTED]):
            image = enlarge(crop, _TILT_PAD, degrees if row % 2 else -degrees)
            for found in detector.detect_at(image, SMALL_SIDE)[:1]:
                boxes = ([found.box], [found.landmarks])
                (cut,) = crop_faces(image, *boxes, detector.framing, size=crop.shape[0])
                crops.append(cut)
                rows.append(row)
                seen.append(measure_quality(found.box.width, found.landmarks, cut))
        right = accuracy(classifier, np.stack(crops), images.labels[rows])
        unturned = accuracy(classifier, images.crops[rows], images.labels[rows])
        tilted = f"{share(seen, 'tilted'):.0%}"
        lines.append((f"{degrees}°", str(len(rows)), f"{right:.1%}", f"{unturned:.1%}", tilted))
    n_found = f"faces found, of {N_TILTED}"
    header = ("turned by", n_found, "accuracy on them", "unturned", "`tilted`")
    return markdown_table(header, lines, left=0)


def load_images(data: Path, votes: Path, n: int | None = None) -> Images:
    """Return the images of PublicTest that a strict majority of FER+ raters agree on, or n."""
    dataset = load_dataset(data, protocol="competition")
    agreed = relabelled(dataset, ferplus_votes(dataset, votes), FERPLUS).validation
    rows = np.sort(np.random.default_rng(0).permutation(len(agreed))[:n])
    crops = agreed.images[rows]
    faces = (_detector().detect_at(enlarge(crop, _PAD), SMALL_SIDE) for crop in crops)
    return Images(crops, agreed.labels[rows], tuple(next(iter(found), None) for found in faces))


def main() -> None:
    """Measure, and write the tables into the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path, help="the competition file of FER-2013")
    parser.add_argument("votes", type=Path, help="the file of FER+ votes")
    classifier = load_classifier(MODEL, labels="ferplus", threads=1)
    images = load_images(**vars(parser.parse_args()))
    right = classifier.predict_proba(images.crops).argmax(1) == images.labels
    seen = qualities(images, images.crops)
    parts = [
        [f"`{MODEL}`, head `ferplus`: {right.mean():.1%} of the clean images right."],
        spoiling_rows(classifier, images, float(right.mean())),
        clean_lines(right, seen),
        pose_rows(right, seen),
        tilt_rows(classifier, images),
    ]
    lines = "\n\n".join("\n".join(part) for part in parts).splitlines()
    page = fill_blocks(PAGE.read_text(encoding="utf-8"), "quality", lambda *_: lines)
    PAGE.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
