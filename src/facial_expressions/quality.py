"""Quality of a face as a classifier sees it, and the reasons why an answer may be anything.

Each limit was set on real crops that were degraded in steps: ``docs/concepts/quality.md``.
"""

from __future__ import annotations

from cmath import phase
from collections.abc import Sequence
from dataclasses import dataclass
from math import degrees, isfinite, nan, sqrt
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

CROP_SIDE: Final = 48
"""Side in pixels of the crops that the limits hold for."""

Reason = Literal["small", "blurred", "dark", "turned", "tilted", "unsure"]
"""Why an answer is uncertain; ``unsure`` where only the confidence is low."""

SMALLEST_WIDTH_PX: Final = 16.0
"""A narrower box is ``small``."""

LEAST_SHARPNESS: Final = 0.37
"""A crop under this is ``blurred``."""

LEAST_LIGHT: Final = 40.0
"""A crop under this is ``dark``."""

MOST_YAW: Final = 0.7
"""A head turned further, to either side, is ``turned``."""

MOST_PITCH: Final = 0.66
"""A head that looks down further is ``turned``."""

MOST_ROLL_DEGREES: Final = 45.0
"""An eye line steeper than this, to either side, is ``tilted``."""

_LIGHT_PERCENTILE: Final = 90
_FAR: Final = 3
"""Pixels between the grey values that neighbours are compared with."""


@dataclass(frozen=True, slots=True)
class Quality:
    """How well a face can be seen.

    Attributes:
        width_px: Width of the detector's box in pixels of the image.
        sharpness: How much neighbouring pixels of the crop differ, relative to pixels three apart:
            about 1/3 where all is smooth, 0.6 in a usual face, 1 in noise; 0 in a flat crop.
        light: The grey value that a tenth of the crop's pixels exceed, 0 to 255.
        yaw: How far the nose lies from the middle between the eyes, along the eye line and in units
            of the eyes' distance: 0 from the front, above 0 with the nose towards the image's
            right; None without landmarks.
        pitch: How far the nose lies below the eyes, as a fraction of the way to the mouth: 0.56
            in a usual face, more where the head looks down; None without landmarks.
        roll_degrees: Angle of the eye line: 0 upright, above 0 turned clockwise; None without
            landmarks.

    Examples:
        >>> Quality(width_px=120, sharpness=0.6, light=15, yaw=0.9).reasons
        ('dark', 'turned')
    """

    width_px: float
    sharpness: float
    light: float
    yaw: float | None = None
    pitch: float | None = None
    roll_degrees: float | None = None

    @property
    def reasons(self) -> tuple[Reason, ...]:
        """Why an answer about this face is uncertain; what is not known is not a reason."""
        found: dict[Reason, bool] = {
            "small": self.width_px < SMALLEST_WIDTH_PX,
            "blurred": self.sharpness < LEAST_SHARPNESS,
            "dark": self.light < LEAST_LIGHT,
            "turned": abs(self.yaw or 0) > MOST_YAW or (self.pitch or 0) > MOST_PITCH,
            "tilted": abs(self.roll_degrees or 0) > MOST_ROLL_DEGREES,
        }
        return tuple(reason for reason, applies in found.items() if applies)


def measure_quality(
    width_px: float, landmarks: Sequence[tuple[float, float]], crop: NDArray[np.uint8]
) -> Quality:
    """Measure how well a face can be seen.

    Args:
        width_px: Width of the detector's box in pixels of the image.
        landmarks: Right eye, left eye, nose, right and left corner of the mouth, in pixels of the
            image; what missing ones would tell is None.
        crop: The grey crop that the classifier sees, ``uint8 (48, 48)``.

    Examples:
        >>> import numpy as np
        >>> marks = [(10, 20), (30, 20), (20, 30), (13, 40), (27, 40)]
        >>> quality = measure_quality(40, marks, np.full((48, 48), 200, np.uint8))
        >>> quality.light, quality.yaw, quality.pitch, quality.roll_degrees
        (200.0, 0.0, 0.5, 0.0)
    """
    light = float(np.percentile(crop, _LIGHT_PERCENTILE))
    return Quality(width_px, _sharpness(crop), light, *_pose(landmarks))


def _sharpness(crop: NDArray[np.uint8]) -> float:
    """Return the root of the mean squared difference of neighbours by that of pixels far apart."""
    grey = crop.astype(np.float64)

    def mean_square(step: int) -> float:
        down, across = grey[step:] - grey[:-step], grey[:, step:] - grey[:, :-step]
        return float(np.mean(down**2) + np.mean(across**2))

    far = mean_square(_FAR)
    return sqrt(mean_square(1) / far) if far > 0 else 0.0


def _pose(
    landmarks: Sequence[tuple[float, float]],
) -> tuple[float | None, float | None, float | None]:
    """Return yaw, pitch and roll in degrees; None for what the landmarks do not tell."""
    if len(landmarks) < 2:
        return None, None, None
    right, left, *others = (complex(x, y) for x, y in landmarks)
    if not isfinite(abs(left - right)) or left == right:
        return None, None, None
    # In this frame the middle between the eyes is 0 and the left eye 0.5.
    nose, *mouth = ((point - (right + left) / 2) / (left - right) for point in others[:3] or [nan])
    depth = sum(point.imag for point in mouth) / 2
    pitch = nose.imag / depth if len(mouth) == 2 and depth > 0 else nan
    return _known(nose.real), _known(pitch), degrees(phase(left - right))


def _known(value: float) -> float | None:
    return value if isfinite(value) else None
