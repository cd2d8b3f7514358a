"""Face crops to probabilities, by one model file that says itself what it needs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from facial_expressions.errors import ModelError
from facial_expressions.inference.contracts import CropClassifier
from facial_expressions.inference.ensemble import EnsembleClassifier
from facial_expressions.inference.model_store import ENSEMBLE, list_models, resolve
from facial_expressions.inference.options import DEFAULT, RecognizerOptions, with_keywords_of
from facial_expressions.inference.runtime import CPU, ModelSession, TensorSpec, open_session
from facial_expressions.inference.views import ViewsClassifier
from facial_expressions.labels import FER2013, LabelSet
from facial_expressions.model_metadata import (
    INPUT_NAME,
    MAPS_NAME,
    OUTPUT_NAME,
    Head,
    ModelMetadata,
)
from facial_expressions.preprocessing import to_batch, to_grey_crops

__all__ = ["ExpressionClassifier", "load_classifier"]

_SUM_TOLERANCE: Final = 1e-3


class ExpressionClassifier:
    """A model that gives each face crop a probability for each expression.

    Made by ``ExpressionClassifier.load`` or ``load_classifier``. It never changes, may be shared
    between threads, and pickles as its path and options.

    Args:
        session: The open model file.
        labels: Name of the label set to answer in, where the model has several; None takes its
            first.

    Attributes:
        metadata: Everything the model file says of itself, as it reads for that label set.

    Raises:
        ModelError: The file is none of ours, or has no such label set.

    Examples:
        >>> classifier = ExpressionClassifier.load("standardized-cnn")
        >>> classifier.predict_proba(np.zeros((2, 48, 48), np.uint8)).shape
        (2, 7)
    """

    def __init__(self, session: ModelSession, labels: str | None = None) -> None:
        self._session = session
        self._asked = labels
        whole = ModelMetadata.from_entries(session.metadata, source=session.path.name)
        self._has_maps = _check_graph(session, whole)
        head = _find_head(whole, labels, session.path.name)
        self._output = head.output if head else OUTPUT_NAME
        self._maps = head.maps if head else MAPS_NAME
        self.metadata: Final = whole.of_head(head) if head else whole
        size = self.metadata.preprocessing.size
        self.predict_proba(np.zeros((1, size, size), np.uint8))

    @classmethod
    def load(
        cls,
        model: str | Path = DEFAULT,
        *,
        threads: int | None = None,
        labels: str | None = None,
        device: str = CPU,
    ) -> ExpressionClassifier:
        """Open a model.

        Args:
            model: A shipped model's name, or the path of a model file.
            threads: Threads for one run; None leaves it to ONNX Runtime.
            labels: Name of the label set to answer in, where the model has several.
            device: Where it runs, see ``runtime.DEVICES``.

        Raises:
            ModelError: The model is missing, changed, damaged or none of ours, has no such label
                set, or does not run on the device.
        """
        found = resolve(model)
        session = open_session(found.path, threads=threads, device=device, sha256=found.sha256)
        return cls(session, labels)

    @property
    def labels(self) -> LabelSet:
        """Label set of the columns that ``predict_proba`` returns."""
        return self.metadata.labels

    @property
    def path(self) -> Path:
        """The model file."""
        return self._session.path

    @property
    def files(self) -> tuple[Path, ...]:
        """The model file, as the only one."""
        return (self.path,)

    @property
    def n_views(self) -> int:
        """Views of a crop that are averaged: the crop as it is."""
        return 1

    def predict_proba(
        self, crops: NDArray[np.uint8], *, batch_size: int = 256
    ) -> NDArray[np.float32]:
        """Return the probability of each expression for each crop.

        Args:
            crops: Grey ``uint8 (N, S, S)`` or RGB ``uint8 (N, S, S, 3)`` of any side S; N may be 0.
            batch_size: Crops in one run of the network; the answers do not depend on it.

        Returns:
            ``float32 (N, K)``, columns in the order of ``labels``; rows sum to 1.

        Raises:
            ImageError: The crops have another shape or dtype.
            ModelError: The network gives something that is no probability.
            ValueError: ``batch_size`` is under 1.
        """
        out = self._run(crops, self._output, (len(self.labels),), batch_size)
        if not np.isfinite(out).all() or (np.abs(out.sum(1) - 1) > _SUM_TOLERANCE).any():
            raise ModelError(
                f"{self.path.name} gives no probabilities; received rows that are not finite or do "
                "not sum to 1; export the model again"
            )
        return out

    @property
    def explains(self) -> bool:
        """Whether the model file can say where in a crop it looked."""
        return self._has_maps

    def explain(self, crops: NDArray[np.uint8], *, batch_size: int = 256) -> NDArray[np.float32]:
        """Return what each place of a crop adds to each expression: class activation maps.

        They are exact: a crop's maps, each averaged over its places, are the logits whose softmax
        ``predict_proba`` returns (Zhou et al. 2016, arXiv:1512.04150), but for the map of
        confidences of a file that has one, which moves the answer's probability and no answer.

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
        if not self._has_maps:
            raise ModelError(
                f"this model cannot say where it looked; received {self.metadata.name!r}, whose "
                "network does not end in pooling over a map; use one that has maps, such as "
                "'compact'"
            )
        spec = next(spec for spec in self._session.outputs if spec.name == self._maps)
        shape = tuple(size or 0 for size in spec.shape[1:])
        return self._run(crops, self._maps, shape, batch_size)

    def _run(
        self, crops: NDArray[np.uint8], output: str, shape: tuple[int, ...], batch_size: int
    ) -> NDArray[np.float32]:
        """Return one output of the graph for all crops, ``float32 (N, *shape)``."""
        if batch_size < 1:
            raise ValueError(f"batch_size needs to be 1 or more; received {batch_size}; use 256")
        preprocessing = self.metadata.preprocessing
        grey = to_grey_crops(crops, preprocessing.size)
        out = np.empty((len(grey), *shape), np.float32)
        for start in range(0, len(grey), batch_size):
            rows = slice(start, start + batch_size)
            feeds = {INPUT_NAME: to_batch(grey[rows], preprocessing)}
            (out[rows],) = self._session.run(feeds, outputs=[output])
        return out

    def __reduce__(self) -> tuple[Any, ...]:
        return (ExpressionClassifier, (self._session, self._asked))

    def __repr__(self) -> str:
        return f"ExpressionClassifier({self.metadata.name!r}, labels={self.labels.name!r})"


@with_keywords_of(RecognizerOptions)
def load_classifier(options: RecognizerOptions) -> CropClassifier:
    """Open a model that takes face crops.

    Args:
        options: How, as one value or as its keywords: ``load_classifier("compact", tta=True)``.
            Those that speak of whole images, such as ``small_faces``, do nothing here. The model
            ``ensemble`` is the mean of every shipped network that answers in the label set (each
            once: a variant of another model is left out).

    Raises:
        ModelError: The model is missing, changed, damaged or none of ours, has no such label set,
            or does not run on the device.
        ValueError: An option is out of its range.

    Examples:
        >>> load_classifier("standardized-cnn").labels.names[3]
        'happy'
    """
    if options.model == ENSEMBLE:
        members = _ensemble_members(options)
        return EnsembleClassifier(
            [ViewsClassifier(one) for one in members] if options.tta else members
        )
    classifier = _open(options)
    return ViewsClassifier(classifier) if options.tta else classifier


def _open(options: RecognizerOptions) -> ExpressionClassifier:
    return ExpressionClassifier.load(
        options.model, threads=options.threads, labels=options.labels, device=options.device
    )


def _ensemble_members(options: RecognizerOptions) -> list[ExpressionClassifier]:
    """Open every shipped model that answers in the label set."""
    labels = options.labels or FER2013.name
    members = []
    for released in list_models():
        if released.variant_of:
            continue
        member = _open(replace(options, model=released.name, labels=None))
        others = [head.labels.name for head in member.metadata.other_heads]
        if labels in others:
            member = _open(replace(options, model=released.name, labels=labels))
        if member.labels.name == labels:
            members.append(member)
    return members


def _find_head(metadata: ModelMetadata, labels: str | None, source: str) -> Head | None:
    """Return the further head of that label set; None for the model's first output."""
    if labels is None or labels == metadata.labels.name:
        return None
    for head in metadata.other_heads:
        if head.labels.name == labels:
            return head
    raise ModelError(
        f"{source} does not answer in the label set {labels!r}; received a model of "
        f"{[one.name for one in metadata.label_sets]}; choose one of these, or another model"
    )


def _check_graph(session: ModelSession, metadata: ModelMetadata) -> bool:
    """Compare the graph's input and outputs with what the metadata says; say if it has maps."""
    preprocessing = metadata.preprocessing
    side, channels = preprocessing.size, preprocessing.channels
    float_type = "tensor(float)"
    expected_input = TensorSpec(INPUT_NAME, float_type, (None, side, side, channels))
    heads = metadata.other_heads
    names = [(OUTPUT_NAME, MAPS_NAME), *((head.output, head.maps) for head in heads)]
    sizes = [len(labels) for labels in metadata.label_sets]
    expected = [
        TensorSpec(name, float_type, (None, size))
        for (name, _), size in zip(names, sizes, strict=True)
    ]
    grids = {spec.shape[2:] for spec in session.outputs if len(spec.shape) == 4}
    grid = next(iter(grids)) if len(grids) == 1 else ()
    if grid and None not in grid:
        expected += [
            TensorSpec(name, float_type, (None, size, *grid))
            for (_, name), size in zip(names, sizes, strict=True)
        ]
    if session.inputs != (expected_input,) or set(session.outputs) != set(expected):
        raise ModelError(
            f"{session.path.name} does not fit its own description; received "
            f"{_shapes(session.inputs)} to {_shapes(session.outputs)}, expected "
            f"{_shapes((expected_input,))} to {_shapes(tuple(expected))}; export it again"
        )
    return bool(grid)


def _shapes(specs: tuple[TensorSpec, ...]) -> str:
    return ", ".join(f"{spec.name} {spec.dtype} {list(spec.shape)}" for spec in specs) or "none"
