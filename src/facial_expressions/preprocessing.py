"""From pixels to the classifier's input: one value for training, inference and the model file.

Crops are grey ``uint8 (N, S, S)``; a batch is ``float32 (N, S, S, C)``, channels last. Colour
becomes grey by the weights of ITU-R BT.601 (0.299, 0.587, 0.114), as in Pillow's mode ``L``.

A crop is a square cut from an image by one affine map. Where the square is larger than the crop,
it is sampled more finely and averaged, so that no pixel of a large face is passed over; outside the
image its border is repeated.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from facial_expressions.errors import ImageError
from facial_expressions.image_sources import HasArray, as_array
from facial_expressions.results import Box, Point

_FINEST: Final = 4
"""A large face is first reduced by whole numbers to at least this many pixels per crop pixel."""

_LARGEST_OVERHANG: Final = 4.0
"""A crop's side may be this many times the image's longest side."""

_GRID: Final = 256
"""A crop's side and middle are rounded to this part of the power of two below its side, its turn to
this part of a radian. The last bits of a detector's numbers differ between processors; rounded so,
they change one crop in ten thousand."""


@dataclass(frozen=True, slots=True)
class Framing:
    """How a crop is placed around a detected box, to look like an image of FER-2013.

    Detectors draw their boxes differently, so each has its own framing, measured by
    ``benchmarks/framing.py`` over FER-2013's training images.

    Attributes:
        box_width_fraction: Width of the detector's box, as a fraction of the crop's side.
        box_height_fraction: Height of the box, as a fraction of the crop's side.
        center_x: Where the box's middle lies in the crop, 0 left to 1 right.
        center_y: Where the box's middle lies in the crop, 0 top to 1 bottom.
        max_roll_degrees: Largest tilt of the eye line that the crop keeps; what exceeds it is
            turned back to this. FER-2013's faces are not levelled, so a small tilt is left alone.

    Raises:
        ValueError: A fraction or the roll is out of its range.
    """

    box_width_fraction: float
    box_height_fraction: float
    center_x: float
    center_y: float
    max_roll_degrees: float

    def __post_init__(self) -> None:
        boxes = (self.box_width_fraction, self.box_height_fraction)
        fractions = (*boxes, self.center_x, self.center_y)
        in_range = all(0.05 <= value <= 2 for value in fractions)
        if not in_range or not 0 <= self.max_roll_degrees <= 180:
            raise ValueError(
                f"{self}: framing fractions lie in 0.05 to 2 and the roll in 0 to 180 degrees. "
                "Measure them with benchmarks/framing.py"
            )


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """Everything between a crop and the network's input.

    Attributes:
        size: Side S of a crop in pixels.
        channels: Channels C of the batch: 1, or 3 for the grey value repeated.
        mean: Subtracted after scaling grey values to 0..1.
        std: Divided by, after that.

    Raises:
        ValueError: A value is out of its range.

    Examples:
        >>> Preprocessing(channels=3).to_dict()["size"]
        48
    """

    size: int = 48
    channels: int = 1
    mean: float = 0.5
    std: float = 0.25

    def __post_init__(self) -> None:
        scaled = 0 < self.std < math.inf and math.isfinite(self.mean)
        if not 8 <= self.size <= 512 or self.channels not in (1, 3) or not scaled:
            raise ValueError(
                f"{self}: needs a size of 8 to 512, 1 or 3 channels, a finite mean and std > 0"
            )

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Preprocessing:
        """Rebuild from what ``to_dict`` returned.

        Raises:
            ValueError: A key is unknown, or a value is out of its range.
        """
        try:
            return cls(**data)
        except TypeError as error:
            raise ValueError(
                f"preprocessing {dict(data)}: needs the keys of {asdict(cls())}"
            ) from error


def to_batch(
    crops: NDArray[np.uint8] | NDArray[np.float32], preprocessing: Preprocessing
) -> NDArray[np.float32]:
    """Scale grey crops to the network's input.

    Args:
        crops: Grey ``uint8`` (or float, 0 to 255) ``(N, S, S)``.
        preprocessing: Scaling and channels.

    Returns:
        ``float32 (N, S, S, C)``.

    Examples:
        >>> to_batch(np.full((1, 48, 48), 255, np.uint8), Preprocessing())[0, 0, 0]
        array([2.], dtype=float32)
    """
    scale = np.float32(1 / (255 * preprocessing.std))
    shift = np.float32(preprocessing.mean / preprocessing.std)
    batch = crops.astype(np.float32)[..., None] * scale - shift
    return np.repeat(batch, preprocessing.channels, axis=-1)


Crops = HasArray | Image.Image | Sequence[HasArray | Image.Image]
"""Face crops in one array, or a list of them; see ``to_grey_crops``."""


def to_grey_crops(crops: Crops, size: int) -> NDArray[np.uint8]:
    """Bring face crops of any side and colour to grey crops of one side.

    Args:
        crops: Grey ``uint8 (N, H, H)`` or ``(N, H, H, 1)``, or RGB ``(N, H, H, 3)``; one crop of
            these; or a list of crops, each of its own side. What NumPy can read, such as a tensor
            or a Pillow image, may stand for an array.
        size: Side S of the result in pixels.

    Returns:
        ``uint8 (N, S, S)``; grey crops of that side come back as they are.

    Raises:
        ImageError: Another dtype or shape, for example a crop that is not square.

    Examples:
        >>> to_grey_crops(np.zeros((2, 96, 96, 3), np.uint8), 48).shape
        (2, 48, 48)
    """
    if isinstance(crops, list | tuple):
        arrays = [as_array(crop) for crop in crops]
        if len({array.shape for array in arrays}) > 1:
            return np.concatenate([to_grey_crops(array, size) for array in arrays])
        crops = np.array(arrays) if arrays else np.empty((0, size, size), np.uint8)
    else:
        crops = as_array(crops)
        if crops.ndim == 2 or (crops.ndim == 3 and crops.shape[1] != crops.shape[2] in (1, 3)):
            crops = crops[None]
    if crops.ndim == 4 and crops.shape[3] == 1:
        crops = crops[..., 0]
    shape = crops.shape
    grey_or_rgb = len(shape) == 3 or (len(shape) == 4 and shape[3] == 3)
    if crops.dtype != np.uint8 or not grey_or_rgb or shape[1] != shape[2] or shape[1] == 0:
        found = f"{crops.dtype} {shape}" if crops.dtype.kind in "buif" else "without pixels"
        raise ImageError(
            f"face crops {found}: not supported. Supported: uint8 arrays, tensors and Pillow "
            "images, grey (N, S, S) or RGB (N, S, S, 3). For paths and whole photos use recognize()"
        )
    if len(shape) == 3 and shape[1] == size:
        return crops
    whole = np.eye(2, 3) * (shape[1] / size)
    out = np.empty((shape[0], size, size), np.uint8)
    for i, crop in enumerate(crops):
        out[i] = _sample(np.asarray(Image.fromarray(crop).convert("L")), whole, size)
    return out


def crop_faces(
    image: NDArray[np.uint8],
    boxes: Sequence[Box],
    landmarks: Sequence[Sequence[Point]],
    framing: Framing,
    *,
    size: int,
    full: tuple[int, int] | None = None,
) -> NDArray[np.uint8]:
    """Cut one grey crop per face, framed like an image of FER-2013.

    Args:
        image: RGB ``uint8 (H, W, 3)``, upright; may be a smaller copy.
        boxes: The detector's boxes in image pixels; they may reach over the border.
        landmarks: For each box its landmarks, right and left eye first; empty where there are none,
            and the crop is then not turned.
        framing: That of the detector whose boxes they are.
        size: Side S of a crop in pixels.
        full: Width and height of the image that the boxes are in; None where ``image`` is it.

    Returns:
        ``uint8 (M, S, S)``.

    Raises:
        ImageError: The image is not an RGB array, or a box lies or reaches far outside it.

    Examples:
        >>> photo = np.zeros((100, 100, 3), np.uint8)
        >>> framing = Framing(0.8, 0.9, 0.5, 0.5, 20)
        >>> crop_faces(photo, [Box(20, 20, 60, 70)], [()], framing, size=48).shape
        (1, 48, 48)
    """
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
        raise ImageError(
            f"image array {image.dtype} {image.shape}: not supported. Supported: RGB uint8 (H, W, "
            "3). Read the image with load_image()"
        )
    out = np.empty((len(boxes), size, size), np.uint8)
    width, height = full or (image.shape[1], image.shape[0])
    reduced = np.array([[image.shape[1] / width], [image.shape[0] / height]])
    for i, (box, points) in enumerate(zip(boxes, landmarks, strict=True)):
        _check_reach(box, _crop_side(box, framing), width, height)
        matrix = _crop_matrix(box, points, framing, size) * reduced
        out[i] = _sample(*_cut_window(image, matrix, size), size)
    return out


def is_reduced_for_crops(
    boxes: Sequence[Box], framing: Framing, *, size: int, factor: float
) -> bool:
    """Say whether an image ``factor`` times smaller gives crops of ``size`` pixels as well."""
    return all(_crop_side(box, framing) >= _FINEST * size * factor for box in boxes)


def crop_corners(
    box: Box, landmarks: Sequence[Point], framing: Framing
) -> tuple[Point, Point, Point, Point]:
    """Return where the corners of a face's crop lie, ``(x, y)`` in image pixels.

    They are top left, top right, bottom right, bottom left. Box, landmarks and framing are those of
    ``crop_faces``.

    Examples:
        >>> corners = crop_corners(Box(20, 20, 60, 70), (), Framing(0.8, 0.9, 0.5, 0.5, 20))
        >>> round(corners[1][0] - corners[0][0], 2)
        52.75
    """
    xs, ys = _corners(_crop_matrix(box, landmarks, framing, 1), 1).tolist()
    top_left, top_right, bottom_right, bottom_left = zip(xs, ys, strict=True)
    return top_left, top_right, bottom_right, bottom_left


Matrix = NDArray[np.float64]
"""Affine map ``(2, 3)`` from crop coordinates ``(u, v, 1)`` to image coordinates, both in pixels
from the top left corner (the first pixel's middle is at 0.5)."""


def _corners(matrix: Matrix, size: int) -> NDArray[np.float64]:
    """Return x and y of a crop's corners, clockwise from the top left, ``(2, 4)``."""
    return matrix @ np.array([[0, size, size, 0], [0, 0, size, size], [1, 1, 1, 1]], np.float64)


def _crop_side(box: Box, framing: Framing) -> float:
    """Side of the square: the geometric mean of what the box's width and height ask for."""
    return math.sqrt(
        (box.width / framing.box_width_fraction) * (box.height / framing.box_height_fraction)
    )


def _check_reach(box: Box, side: float, width: int, height: int) -> None:
    outside = box.right <= 0 or box.bottom <= 0 or box.left >= width or box.top >= height
    if outside or side > _LARGEST_OVERHANG * max(width, height):
        raise ImageError(
            f"box {box.xyxy}: outside its image of {width}x{height}. Check the detector's "
            "coordinates"
        )


def _turn(landmarks: Sequence[Point], framing: Framing) -> float:
    """Angle in radians by which the crop is turned: the eye line's tilt beyond the limit."""
    if len(landmarks) < 2:
        return 0.0
    (right_x, right_y), (left_x, left_y) = landmarks[:2]
    roll = math.atan2(left_y - right_y, left_x - right_x)
    limit = math.radians(framing.max_roll_degrees)
    return roll - min(max(roll, -limit), limit)


def _crop_matrix(box: Box, landmarks: Sequence[Point], framing: Framing, size: int) -> Matrix:
    """Return the map of a face's crop, whose side is ``size`` pixels."""
    side, turn = _crop_side(box, framing), round(_turn(landmarks, framing) * _GRID) / _GRID
    cell = 2.0 ** (math.frexp(side)[1] - 1) / _GRID
    side, x, y = (round(value / cell) * cell for value in (side, *box.center))
    cos, sin = math.cos(turn) * side / size, math.sin(turn) * side / size
    u, v = framing.center_x * size, framing.center_y * size
    return np.array([[cos, -sin, x - cos * u + sin * v], [sin, cos, y - sin * u - cos * v]])


def _cut_window(
    image: NDArray[np.uint8], matrix: Matrix, size: int
) -> tuple[NDArray[np.uint8], Matrix]:
    """Return the grey pixels under the crop with a margin, and the map into them."""
    corners = _corners(matrix, size)
    left, top = (math.floor(low) - 2 for low in corners.min(axis=1))
    right, bottom = (math.ceil(high) + 2 for high in corners.max(axis=1))
    height, width = image.shape[:2]
    x0, x1 = min(max(left, 0), width - 1), max(min(right, width), 1)
    y0, y1 = min(max(top, 0), height - 1), max(min(bottom, height), 1)
    grey = np.asarray(Image.fromarray(np.ascontiguousarray(image[y0:y1, x0:x1])).convert("L"))
    overhang = ((y0 - top, bottom - y1), (x0 - left, right - x1))
    window = np.pad(grey, np.maximum(overhang, 0), mode="edge")
    return window, matrix - [[0, 0, left], [0, 0, top]]


def _sample(window: NDArray[np.uint8], matrix: Matrix, size: int) -> NDArray[np.uint8]:
    """Sample a grey window by an affine map, averaging where it shrinks."""
    step = math.hypot(*matrix[:, 0])  # window pixels per crop pixel
    image = Image.fromarray(window)
    reduction = max(1, int(step / _FINEST + 1e-9))
    if reduction > 1:
        image, matrix = image.reduce(reduction), matrix / reduction
    fine = max(1, math.ceil(step / reduction - 1e-9))
    sampled = image.transform(
        (size * fine, size * fine),
        Image.Transform.AFFINE,
        (matrix / (fine, fine, 1)).ravel().tolist(),
        resample=Image.Resampling.BICUBIC,
    )
    return np.asarray(sampled if fine == 1 else sampled.reduce(fine))
