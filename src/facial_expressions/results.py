"""Results: frozen values that know nothing of files, screens or pixels.

Boxes are ``xyxy`` in pixels of the upright image, floats, origin top left, right and bottom
exclusive.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import isfinite
from typing import Any, Literal

from PIL.Image import Image

from facial_expressions.quality import Quality, Reason
from facial_expressions.rows import EXPLANATION, FACE, FRAME, IMAGE, TRACKED_FACE, as_row
from facial_expressions.shown import Shown, Tabular, count_expressions, draw

SCHEMA = 1
"""Version of the JSON written by ``to_dict``; raised when a field changes its meaning."""

MAX_FACES = 100
"""Of an image with more faces those with the highest detection scores are kept."""

Point = tuple[float, float]
Status = Literal["ok", "rejected", "failed", "skipped"]


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in image pixels.

    Attributes:
        left: First column.
        top: First row.
        right: Column after the last.
        bottom: Row after the last.

    Raises:
        ValueError: A coordinate is not finite, or the box is empty or inside out.

    Examples:
        >>> Box(10, 20, 40, 60).width, Box(10, 20, 40, 60).center
        (30, (25.0, 40.0))
    """

    left: float
    top: float
    right: float
    bottom: float

    def __post_init__(self) -> None:
        if (
            not all(isfinite(value) for value in self.xyxy)
            or self.right <= self.left
            or self.bottom <= self.top
        ):
            raise ValueError(f"box {self.xyxy}: needs finite left < right and top < bottom")

    @property
    def xyxy(self) -> tuple[float, float, float, float]:
        """Left, top, right, bottom."""
        return (self.left, self.top, self.right, self.bottom)

    @property
    def width(self) -> float:
        """Width in pixels."""
        return self.right - self.left

    @property
    def height(self) -> float:
        """Height in pixels."""
        return self.bottom - self.top

    @property
    def area(self) -> float:
        """Area in pixels."""
        return self.width * self.height

    @property
    def center(self) -> Point:
        """Middle of the box, ``(x, y)``."""
        return ((self.left + self.right) / 2, (self.top + self.bottom) / 2)


@dataclass(frozen=True, slots=True)
class Prediction:
    """The classifier's answer for one face.

    Attributes:
        labels: Class names, in the order of ``values``.
        values: Probability of each class; they sum to 1.
        uncertain_below: Confidence under which the answer counts as uncertain, 0 to 1.

    Raises:
        ValueError: Lengths differ, a value is outside 0 to 1, or the sum is not 1.

    Examples:
        >>> p = Prediction(("happy", "sad"), (0.9, 0.1), uncertain_below=0.5)
        >>> p.expression, p.confidence, p.uncertain
        ('happy', 0.9, False)
    """

    labels: tuple[str, ...]
    values: tuple[float, ...]
    uncertain_below: float = 0.0

    def __post_init__(self) -> None:
        if len(self.labels) != len(self.values) or not self.values:
            raise ValueError(
                f"prediction: {len(self.values)} values for {len(self.labels)} labels. Give one "
                "per label"
            )
        if (
            not all(-1e-6 <= value <= 1 + 1e-6 for value in self.values)
            or abs(sum(self.values) - 1) > 1e-3
        ):
            raise ValueError(f"probabilities {self.values}: must lie in 0 to 1 and sum to 1")

    @property
    def expression(self) -> str:
        """The most probable label; the first of equals."""
        return self.labels[self.values.index(max(self.values))]

    @property
    def confidence(self) -> float:
        """Probability of the predicted class, 0 to 1."""
        return max(self.values)

    @property
    def uncertain(self) -> bool:
        """Whether the confidence is under the threshold."""
        return self.confidence < self.uncertain_below

    @property
    def probabilities(self) -> dict[str, float]:
        """Probability by label."""
        return dict(zip(self.labels, self.values, strict=True))

    def __repr__(self) -> str:
        return f"Prediction({self.expression} {self.confidence:.0%})"


@dataclass(frozen=True, slots=True)
class Face:
    """One detected face with its prediction.

    Attributes:
        box: Where the face is.
        detection_score: Score of the detector, 0 to 1; not a confidence in the expression.
        landmarks: Right eye, left eye, nose, right and left corner of the mouth (the person's own
            right, which is on the left of the image), in image pixels; empty when the
            detector gives none.
        prediction: The classifier's answer.
        quality: How well the face can be seen; None where it was not measured.
    """

    box: Box
    detection_score: float
    landmarks: tuple[Point, ...]
    prediction: Prediction
    quality: Quality | None = field(default=None, kw_only=True)

    def __repr__(self) -> str:
        box = ", ".join(f"{value:.0f}" for value in self.box.xyxy)
        why = f", uncertain: {', '.join(self.reasons)}" if self.reasons else ""
        return f"{type(self).__name__}({self.expression} {self.confidence:.0%}, box {box}{why})"

    @property
    def expression(self) -> str:
        """The most probable expression."""
        return self.prediction.expression

    @property
    def confidence(self) -> float:
        """Probability of ``expression``, 0 to 1."""
        return self.prediction.confidence

    @property
    def uncertain(self) -> bool:
        """Whether the confidence is under the threshold, or the face is hard to see."""
        return bool(self.reasons)

    @property
    def reasons(self) -> tuple[Reason, ...]:
        """Why the answer is uncertain: what is wrong with the view of the face, else ``unsure``.

        Examples:
            >>> answer = Prediction(("happy", "sad"), (0.75, 0.25), uncertain_below=0.8)
            >>> Face(Box(0, 0, 40, 50), 0.9, (), answer).reasons
            ('unsure',)
            >>> tiny = Quality(width_px=8, sharpness=0.6, light=200)
            >>> Face(Box(0, 0, 8, 10), 0.9, (), answer, quality=tiny).reasons
            ('small',)
        """
        seen = self.quality.reasons if self.quality else ()
        return seen or (("unsure",) if self.prediction.uncertain else ())

    @property
    def uncertain_below(self) -> float:
        """Confidence under which the answer counts as uncertain, 0 to 1."""
        return self.prediction.uncertain_below

    @property
    def probabilities(self) -> dict[str, float]:
        """Probability by expression; they sum to 1."""
        return self.prediction.probabilities

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON, unrounded."""
        return as_row(FACE, self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Face:
        """Rebuild a face from what ``to_dict`` returned."""
        probabilities = data["probabilities"]
        return cls(
            box=Box(*data["box"]),
            detection_score=data["detection_score"],
            landmarks=tuple((point[0], point[1]) for point in data["landmarks"]),
            prediction=Prediction(
                tuple(probabilities), tuple(probabilities.values()), data["uncertain_below"]
            ),
            quality=Quality(**data["quality"]) if "quality" in data else None,
        )


@dataclass(frozen=True, slots=True)
class Explanation:
    """A heat map: which parts of a face led to the answer.

    Attributes:
        expression: The expression that is explained: the answer.
        heat: How much each place of the face supports that expression over the average one, as
            logits: rows of a grid over the crop, top first. Below 0 counts against it.
        corners: Where the corners of that grid lie in the image: top left, top right, bottom right,
            bottom left, in pixels; they may lie outside.
    """

    expression: str
    heat: tuple[tuple[float, ...], ...] = field(repr=False)
    corners: tuple[Point, Point, Point, Point] = field(repr=False)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON, unrounded."""
        return as_row(EXPLANATION, self)


@dataclass(frozen=True, slots=True)
class ImageResult(Shown):
    """The result for one input: exactly one per input, with one of four statuses.

    Attributes:
        source: Path or name of the input.
        status: ``ok`` (any number of faces), ``rejected`` (the input's fault), ``failed`` (our
            fault) or ``skipped`` (not attempted).
        width: Width of the upright image in pixels, 0 when it was not read.
        height: Height of the upright image in pixels, 0 when it was not read.
        faces: The faces, from left to right; empty when there is none.
        error: One sentence for ``rejected``, ``failed`` and ``skipped``; empty for ``ok``.
        explanations: One for each face if they were asked for; otherwise empty.
        drawn: File with the faces marked; empty where none was saved.
    """

    source: str
    status: Status
    width: int = 0
    height: int = 0
    faces: tuple[Face, ...] = ()
    error: str = ""
    explanations: tuple[Explanation, ...] = ()
    drawn: str = ""

    @property
    def truncated(self) -> bool:
        """Whether the image may show more faces than the maximum that is kept."""
        return len(self.faces) >= MAX_FACES

    def __repr__(self) -> str:
        return f"ImageResult({self.source!r}, {self.status}, {self._caption()})"

    def _caption(self) -> str:
        return self.error or count_expressions(face.expression for face in self.faces)

    def _marked(self) -> Image:
        return draw(self.source, self.faces, self.explanations)

    def to_dict(self) -> dict[str, Any]:
        """Return the row that ``predict --format json`` prints, unrounded."""
        unread = {} if self.status == "ok" else dict.fromkeys(("width", "height", "faces"))
        row = as_row(IMAGE, self, schema=SCHEMA, **unread)
        for face, explanation in zip(row.get("faces", ()), self.explanations, strict=False):
            face["explanation"] = explanation.to_dict()
        return row


class Faces(list[Face], Shown):
    """The faces of one image: a list that can be shown, saved and made a table.

    Args:
        faces: From left to right.
        image: The image as it was given; kept, not copied.
        result: The faces with the image's name and size.

    Attributes:
        image: The image as it was given.
        result: The faces with the image's name and size.

    Examples:
        >>> import numpy as np
        >>> from facial_expressions import recognize
        >>> faces = recognize(np.zeros((64, 64, 3), np.uint8))
        >>> faces, faces.to_dataframe().loc[0, "width"]
        ([], np.int64(64))
    """

    def __init__(self, faces: Iterable[Face], image: object, result: ImageResult) -> None:
        super().__init__(faces)
        self.image = image
        self.result = result

    def _marked(self) -> Image:
        return draw(self.image, self)

    def _caption(self) -> str:
        return count_expressions(face.expression for face in self)


@dataclass(frozen=True, slots=True, repr=False)
class TrackedFace(Face):
    """One face of a video's frame, with the number that it keeps from frame to frame.

    Attributes:
        track_id: Number of the track, counted from 1; the same face keeps it.
        is_detected: True where the detector found the box on this very frame, False where it was
            carried on from earlier ones.
    """

    track_id: int
    is_detected: bool = True

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON, unrounded."""
        return as_row(TRACKED_FACE, self)


@dataclass(frozen=True, slots=True)
class FrameResult(Tabular):
    """The result for one frame of a video: exactly one per frame, also without a face.

    Attributes:
        frame: Number of the frame, counted from 0.
        time_s: Seconds since the video's start, as players show it; never goes back.
        width: Width of the upright frame in square pixels.
        height: Height of the upright frame in square pixels.
        faces: The faces, from left to right; empty when there is none.
        is_cut: Whether a new shot begins with the frame.
        pts_s: Presentation time in seconds as the stream has it; None where it has none.
    """

    frame: int
    time_s: float
    width: int
    height: int
    faces: tuple[TrackedFace, ...] = ()
    is_cut: bool = field(default=False, kw_only=True)
    pts_s: float | None = field(default=None, kw_only=True)

    def to_dict(self, source: str | None = None) -> dict[str, Any]:
        """Return plain values for JSON, unrounded.

        Args:
            source: What the row calls the video; None leaves it out.
        """
        return as_row(FRAME, self, schema=SCHEMA, source=source)

    def __repr__(self) -> str:
        said = count_expressions(face.expression for face in self.faces)
        return f"FrameResult({self.frame}, {self.time_s:.3f} s, {said})"
