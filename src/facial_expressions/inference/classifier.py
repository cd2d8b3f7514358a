"""Face crops to probabilities, by one model file that says itself what it needs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from operator import attrgetter
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from facial_expressions.calibration import log_probabilities, softmax
from facial_expressions.errors import ModelError
from facial_expressions.inference.model_store import resolve
from facial_expressions.inference.options import RecognizerOptions, with_keywords_of
from facial_expressions.inference.runtime import ModelSession, TensorSpec, open_session
from facial_expressions.model_metadata import INPUT_NAME, ModelMetadata
from facial_expressions.preprocessing import Crops, to_batch, to_grey_crops

_FLOAT: Final = "tensor(float)"
_SUM_TOLERANCE: Final = 1e-3


_VIEWS: Final = tuple(
    (top, left, step) for top, left in ((1, 1), (2, 1), (0, 1), (1, 2), (1, 0)) for step in (1, -1)
)
"""Where each view begins in crops with a border of one pixel, and how it goes through columns."""


class ExpressionClassifier:
    """Classifies face crops: a probability for each expression.

    Made by ``load_classifier``. Immutable, safe to share between threads, and pickled as its path
    and options.

    With several views of each crop, it averages their logits, not their probabilities: when views
    disagree, a mean of probabilities is underconfident (experiment 16). A head's map of confidences
    is applied once, to the mean.

    Args:
        session: The open model file.
        labels: Name of the head that answers; None takes the file's default.
        tta: Whether to average the answers to ten views of each crop.

    Attributes:
        session: The open model file.
        path: The model file.
        metadata: The metadata of the model file.
        head: The head that answers.
        labels: Label set of the columns that ``predict_proba`` returns.
        n_views: Views of a crop that are averaged.

    Raises:
        ModelError: The file was not exported by this package, or has no such head.

    Examples:
        >>> classifier = load_classifier("standardized-cnn")
        >>> classifier.predict_proba(np.zeros((2, 48, 48), np.uint8)).shape
        (2, 7)
    """

    def __init__(
        self, session: ModelSession, labels: str | None = None, *, tta: bool = False
    ) -> None:
        self.session: Final = session
        self.path: Final = session.path
        self.n_views: Final = len(_VIEWS) if tta else 1
        self.metadata: Final = ModelMetadata.from_entries(session.metadata, source=self.path.name)
        _check_graph(session, self.metadata)
        self.head: Final = self.metadata.head(labels)
        self.labels: Final = self.head.labels
        size = self.metadata.preprocessing.size
        self._answer(np.zeros((1, size, size), np.uint8), 1)

    @property
    def classes_(self) -> NDArray[np.str_]:
        """Names of the columns that ``predict_proba`` returns, as in scikit-learn."""
        return np.array(self.labels.names)

    def predict(self, crops: Crops, *, batch_size: int = 256) -> NDArray[np.str_]:
        """Return the most probable expression of each crop, as in scikit-learn.

        Args:
            crops: As for ``predict_proba``.
            batch_size: Crops in one run of the network.

        Returns:
            Names of expressions, ``str (N,)``.

        Raises:
            ImageError: The crops have another shape or dtype.
            ModelError: The network's output is not a probability.
            ValueError: ``batch_size`` is under 1.

        Examples:
            >>> load_classifier("standardized-cnn").predict(np.zeros((2, 48, 48), np.uint8)).shape
            (2,)
        """
        best = self.predict_proba(crops, batch_size=batch_size).argmax(axis=1)
        return np.asarray(self.classes_[best])

    def predict_proba(self, crops: Crops, *, batch_size: int = 256) -> NDArray[np.float32]:
        """Return the probability of each expression for each crop.

        Args:
            crops: Grey ``uint8 (N, S, S)`` or ``(N, S, S, 1)``, or RGB ``(N, S, S, 3)``, of any
                side S; N may be 0; or one crop of these; or a list of crops, whose sides may
                differ. Arrays, tensors or Pillow images. They are scaled to the network's side
                first, so a view moves by its pixels.
            batch_size: Crops in one run of the network; the answers do not depend on it.

        Returns:
            ``float32 (N, K)``, columns in the order of ``labels``; rows sum to 1.

        Raises:
            ImageError: The crops have another shape or dtype.
            ModelError: The network gives something that is not a probability.
            ValueError: ``batch_size`` is under 1.
        """
        grey = to_grey_crops(crops, self.metadata.preprocessing.size)
        if self.n_views == 1:
            return self._answer(grey, batch_size)
        top_label = self.head.calibration.top_label
        total = np.zeros((len(grey), len(self.labels)), np.float64)
        for view in views_of(grey):
            logits = log_probabilities(self._answer(view, batch_size))
            total += top_label.undo(logits) if top_label else logits
        mean = total / self.n_views
        return softmax(top_label.apply(mean) if top_label else mean).astype(np.float32)

    def _answer(self, crops: NDArray[np.uint8], batch_size: int) -> NDArray[np.float32]:
        """Return the probabilities of crops as they are."""
        out = self._run(crops, self.head.output, (len(self.labels),), batch_size)
        if not np.isfinite(out).all() or (np.abs(out.sum(1) - 1) > _SUM_TOLERANCE).any():
            raise ModelError(
                f"{self.path.name}: gives no probabilities: rows are not finite or do not sum to "
                "1. Export the model again"
            )
        return out

    @property
    def explains(self) -> bool:
        """Whether the model file has heat maps (class activation maps)."""
        return any(spec.name == self.head.maps for spec in self.session.outputs)

    def explain(self, crops: Crops, *, batch_size: int = 256) -> NDArray[np.float32]:
        """Return class activation maps: what each place of a crop adds to each expression.

        They are exact: a crop's maps, each averaged over its places, are the logits whose softmax
        ``predict_proba`` returns (Zhou et al. 2016, arXiv:1512.04150), but for the map of
        confidences of a file that has one, which moves the answer's probability and no answer.
        They are those of the crop as it is; other views differ from it by a pixel or a mirror.

        Args:
            crops: As for ``predict_proba``.
            batch_size: Crops in one run of the network.

        Returns:
            ``float32 (N, K, H, W)``; H and W are a few places over the crop, 6 and 6 for a crop of
            48 pixels. Higher is more.

        Raises:
            ImageError: The crops have another shape or dtype.
            ModelError: The model's network has no such maps.
            ValueError: ``batch_size`` is under 1.
        """
        if not self.explains:
            raise ModelError(
                f"model {self.metadata.name!r}: cannot explain its answers, as its network does "
                "not end in pooling over a map. Use one that does, such as 'compact'"
            )
        spec = next(spec for spec in self.session.outputs if spec.name == self.head.maps)
        shape = tuple(size or 0 for size in spec.shape[1:])
        return self._run(crops, self.head.maps, shape, batch_size)

    def for_labels(self, name: str | None) -> ExpressionClassifier:
        """Return the same loaded model with another of its heads.

        Args:
            name: Name of the head; None takes the file's default.

        Raises:
            ModelError: The model has no such head.

        Examples:
            >>> load_classifier().for_labels("ferplus").labels.names[1]
            'contempt'
        """
        return ExpressionClassifier(self.session, name, tta=self.n_views > 1)

    def _run(
        self, crops: Crops, output: str, shape: tuple[int, ...], batch_size: int
    ) -> NDArray[np.float32]:
        """Return one output of the graph for all crops, ``float32 (N, *shape)``."""
        if batch_size < 1:
            raise ValueError(f"batch_size: must be 1 or more, not {batch_size}")
        preprocessing = self.metadata.preprocessing
        grey = to_grey_crops(crops, preprocessing.size)
        out = np.empty((len(grey), *shape), np.float32)
        batch_size = min(batch_size, self.session.most_crops)  # what they need is bounded
        for start in range(0, len(grey), batch_size):
            rows = slice(start, start + batch_size)
            feeds = {INPUT_NAME: to_batch(grey[rows], preprocessing)}
            (out[rows],) = self.session.run(feeds, outputs=[output])
        return out

    def __reduce__(self) -> tuple[Any, ...]:
        classifier = partial(ExpressionClassifier, tta=self.n_views > 1)
        return (classifier, (self.session, self.head.name))

    def __repr__(self) -> str:
        views = f", {self.n_views} views" if self.n_views > 1 else ""
        return f"ExpressionClassifier({self.metadata.name!r}, labels={self.head.name!r}{views})"


@with_keywords_of(RecognizerOptions)
def load_classifier(options: RecognizerOptions) -> ExpressionClassifier:
    """Load a classifier of face crops.

    Args:
        options: One value, or its keywords: ``load_classifier("compact", tta=True)``.
            Options for whole images, such as ``small_faces``, have no effect here.

    Raises:
        ModelError: The model is missing, changed, damaged or of another kind, has no such head, or
            does not run on the device.
        ValueError: An option is out of its range.

    Examples:
        >>> load_classifier("standardized-cnn").labels.names[3]
        'happy'
    """
    path, sha256 = resolve(options.model)
    check = partial(ModelMetadata.from_entries, source=path.name)
    session = open_session(
        path, threads=options.threads, device=options.device, sha256=sha256, check_metadata=check
    )
    return ExpressionClassifier(session, options.labels, tta=options.tta)


def _check_graph(session: ModelSession, metadata: ModelMetadata) -> None:
    """Compare the graph's input and outputs with what the metadata says.

    Raises:
        ModelError: They differ; a head may have maps of any fixed height and width, or none.
    """
    side, channels = metadata.preprocessing.size, metadata.preprocessing.channels
    expected_input = TensorSpec(INPUT_NAME, _FLOAT, (None, side, side, channels))
    grids = {spec.name: spec.shape[2:] for spec in session.outputs}
    expected = []
    for head in metadata.heads:
        rows = (None, len(head.labels))
        expected.append(TensorSpec(head.output, _FLOAT, rows))
        grid = grids.get(head.maps, ())
        if len(grid) == 2 and None not in grid:
            expected.append(TensorSpec(head.maps, _FLOAT, (*rows, *grid)))
    by_name = attrgetter("name")
    received = sorted(session.outputs, key=by_name)
    if session.inputs != (expected_input,) or received != sorted(expected, key=by_name):
        raise ModelError(
            f"{session.path.name}: does not fit its own description: it takes "
            f"{_shapes(session.inputs)} and returns {_shapes(session.outputs)}, not "
            f"{_shapes((expected_input,))} and {_shapes(expected)}. Export it again"
        )


def _shapes(specs: Sequence[TensorSpec]) -> str:
    return ", ".join(f"{spec.name} {spec.dtype} {list(spec.shape)}" for spec in specs) or "none"


def views_of(crops: NDArray[np.uint8]) -> Iterator[NDArray[np.uint8]]:
    """Yield ten views of grey crops ``(N, S, S)``: still and moved by a pixel, plain and mirrored.

    A face mirrored or moved by one pixel shows the same expression, but a network with a strided
    stem samples it again. What moves in repeats the border. The first view is the crops as they
    are.

    Examples:
        >>> crop = np.array([[[1, 2, 3]]], np.uint8)
        >>> [view.ravel().tolist() for view in views_of(crop)][6:]
        [[2, 3, 3], [2, 1, 1], [1, 1, 2], [3, 3, 2]]
    """
    height, width = crops.shape[1:]
    for top, left, step in _VIEWS:
        bordered = np.pad(crops[:, :, ::step], ((0, 0), (1, 1), (1, 1)), "edge")
        yield np.ascontiguousarray(bordered[:, top : top + height, left : left + width])
