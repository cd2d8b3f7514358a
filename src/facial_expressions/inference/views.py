"""Test-time views: small variants of a crop, and a classifier that averages what it says of them.

A face mirrored or moved by one pixel shows the same expression, but a network with a strided stem
samples it anew. Borders are repeated, not wrapped.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from facial_expressions.inference.contracts import CropClassifier
from facial_expressions.inference.probabilities import log_probabilities, softmax
from facial_expressions.inference.top_label import top_label_map_of
from facial_expressions.labels import LabelSet
from facial_expressions.model_metadata import ModelMetadata
from facial_expressions.preprocessing import to_grey_crops

__all__ = ["TEST_TIME_VIEWS", "View", "ViewsClassifier", "apply_view"]


@dataclass(frozen=True, slots=True)
class View:
    """One variant of a crop.

    Attributes:
        down_px: Pixels that the content moves down; negative is up.
        right_px: Pixels that the content moves to the right; negative is left.
        mirrored: Whether left and right are swapped, before moving.
    """

    down_px: int = 0
    right_px: int = 0
    mirrored: bool = False


TEST_TIME_VIEWS: Final = tuple(
    View(down_px, right_px, mirrored)
    for down_px, right_px in ((0, 0), (-1, 0), (1, 0), (0, -1), (0, 1))
    for mirrored in (False, True)
)
"""Ten views: still and moved by one pixel in each direction, each as it is and mirrored."""


def apply_view(crops: NDArray[np.uint8], view: View) -> NDArray[np.uint8]:
    """Return crops as one view shows them.

    Args:
        crops: ``uint8 (N, S, S)`` or ``(N, S, S, 3)``.
        view: What to do.

    Returns:
        Crops of the same shape; pixels that move in repeat the border.

    Examples:
        >>> crop = np.array([[[1, 2, 3]]], np.uint8)
        >>> apply_view(crop, View(right_px=1)).tolist()
        [[[1, 1, 2]]]
        >>> apply_view(crop, View(mirrored=True)).tolist()
        [[[3, 2, 1]]]
    """
    moved = crops[:, :, ::-1] if view.mirrored else crops
    for axis, shift in ((1, view.down_px), (2, view.right_px)):
        if shift:
            index = np.clip(np.arange(crops.shape[axis]) - shift, 0, crops.shape[axis] - 1)
            moved = np.take(moved, index, axis=axis)
    return np.ascontiguousarray(moved)


class ViewsClassifier:
    """A classifier that looks at each crop several times and answers with the mean of its logits.

    Made by ``load_classifier(..., tta=True)``. Logits are averaged, not probabilities: views that
    disagree make a mean of probabilities less sure than it is right (experiment 16). Where the
    model file has a map of confidences, the mean is taken before the map and goes through it once:
    the map says how often an answer of one confidence is right, and the mean is that answer. It
    never changes, may be shared between threads, and pickles as its member.

    Args:
        member: Who answers, once for each view.
        views: What it is shown; one view or more.

    Raises:
        ValueError: There is no view.

    Examples:
        >>> from facial_expressions.inference.classifier import load_classifier
        >>> twice = ViewsClassifier(load_classifier(), (View(), View(mirrored=True)))
        >>> crop = np.arange(48 * 48, dtype=np.uint16).reshape(1, 48, 48).astype(np.uint8)
        >>> there, back = (twice.predict_proba(one) for one in (crop, crop[:, :, ::-1]))
        >>> bool(np.allclose(there, back, atol=1e-6))
        True
    """

    def __init__(self, member: CropClassifier, views: Sequence[View] = TEST_TIME_VIEWS) -> None:
        if not views:
            raise ValueError("a mean over views needs one view or more; received none; pass View()")
        self._member = member
        self._views = tuple(views)
        self._map = top_label_map_of(member.metadata.figures, member.labels)

    @property
    def metadata(self) -> ModelMetadata:
        """What is known of the member."""
        return self._member.metadata

    @property
    def labels(self) -> LabelSet:
        """Label set of the columns that ``predict_proba`` returns."""
        return self._member.labels

    @property
    def files(self) -> tuple[Path, ...]:
        """The member's model files."""
        return self._member.files

    @property
    def n_views(self) -> int:
        """Views that are averaged."""
        return len(self._views)

    def predict_proba(
        self, crops: NDArray[np.uint8], *, batch_size: int = 256
    ) -> NDArray[np.float32]:
        """Return the probability of each expression by the mean logits over the views of a crop.

        Args:
            crops: Grey ``uint8 (N, S, S)`` or RGB ``uint8 (N, S, S, 3)`` of any side S; N may be 0.
                They are scaled to the network's side first, so a view moves by its pixels.
            batch_size: Crops in one run of the network; the answers do not depend on it.

        Returns:
            ``float32 (N, K)``, columns in the order of ``labels``; rows sum to 1.

        Raises:
            ImageError: The crops have another shape or dtype.
            ModelError: The network gives something that is no probability.
            ValueError: ``batch_size`` is under 1.
        """
        grey = to_grey_crops(crops, self.metadata.preprocessing.size)
        total = np.zeros((len(grey), len(self.labels)), np.float64)
        for view in self._views:
            answers = self._member.predict_proba(apply_view(grey, view), batch_size=batch_size)
            total += self._without_map(log_probabilities(answers))
        return np.asarray(softmax(self._with_map(total / self.n_views)), np.float32)

    @property
    def explains(self) -> bool:
        """Whether the member can say where in a crop it looked."""
        return self._member.explains

    def explain(self, crops: NDArray[np.uint8], *, batch_size: int = 256) -> NDArray[np.float32]:
        """Return the member's class activation maps of the crops as they are.

        They explain the answer for one view; the others differ from it by a pixel or a mirror.

        Args:
            crops: As for ``predict_proba``.
            batch_size: Crops in one run of the network.

        Returns:
            ``float32 (N, K, H, W)``.

        Raises:
            ImageError: The crops have another shape or dtype.
            ModelError: The member has no such maps.
        """
        return self._member.explain(crops, batch_size=batch_size)

    def _without_map(self, logits: NDArray[np.floating[Any]]) -> NDArray[np.floating[Any]]:
        return logits if self._map is None else self._map.undo(logits)

    def _with_map(self, logits: NDArray[np.float64]) -> NDArray[np.float64]:
        return logits if self._map is None else self._map.apply(logits)

    def __reduce__(self) -> tuple[Any, ...]:
        return (ViewsClassifier, (self._member, self._views))

    def __repr__(self) -> str:
        return f"ViewsClassifier({self._member!r}, {self.n_views} views)"
