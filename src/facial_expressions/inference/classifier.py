"""Face crops to probabilities, by one model file that says itself what it needs."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from facial_expressions.errors import ModelError
from facial_expressions.inference.ensemble import CropClassifier, EnsembleClassifier
from facial_expressions.inference.model_store import DEFAULT, ENSEMBLE, list_models, resolve
from facial_expressions.inference.runtime import ModelSession, TensorSpec, open_session
from facial_expressions.labels import FER2013, LabelSet
from facial_expressions.model_metadata import INPUT_NAME, OUTPUT_NAME, ModelMetadata
from facial_expressions.preprocessing import to_batch, to_grey_crops

__all__ = ["ExpressionClassifier", "load_classifier"]

_SUM_TOLERANCE: Final = 1e-3


class ExpressionClassifier:
    """A model that gives each face crop a probability for each expression.

    Made by ``ExpressionClassifier.load`` or ``load_classifier``. It never changes, may be shared
    between threads, and pickles as its path and options.

    Attributes:
        metadata: Everything the model file says of itself.

    Example:
        >>> classifier = ExpressionClassifier.load("standardized-cnn")
        >>> classifier.predict_proba(np.zeros((2, 48, 48), np.uint8)).shape
        (2, 7)
    """

    def __init__(self, session: ModelSession) -> None:
        self._session = session
        self.metadata: Final = ModelMetadata.from_entries(
            session.metadata, source=session.path.name
        )
        _check_graph(session, self.metadata)
        size = self.metadata.preprocessing.size
        self.predict_proba(np.zeros((1, size, size), np.uint8))

    @classmethod
    def load(
        cls, model: str | Path = DEFAULT, *, threads: int | None = None
    ) -> ExpressionClassifier:
        """Open a model.

        Args:
            model: A shipped model's name, or the path of a model file.
            threads: Threads for one run; None leaves it to ONNX Runtime.

        Raises:
            ModelError: The model is missing, changed, damaged or none of ours.
        """
        found = resolve(model)
        return cls(open_session(found.path, threads=threads, sha256=found.sha256))

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
        if batch_size < 1:
            raise ValueError(f"batch_size needs to be 1 or more; received {batch_size}; use 256")
        preprocessing = self.metadata.preprocessing
        grey = to_grey_crops(crops, preprocessing.size)
        out = np.empty((len(grey), len(self.labels)), np.float32)
        for start in range(0, len(grey), batch_size):
            rows = slice(start, start + batch_size)
            feeds = {INPUT_NAME: to_batch(grey[rows], preprocessing)}
            (out[rows],) = self._session.run(feeds, outputs=[OUTPUT_NAME])
        if not np.isfinite(out).all() or (np.abs(out.sum(1) - 1) > _SUM_TOLERANCE).any():
            raise ModelError(
                f"{self.path.name} gives no probabilities; received rows that are not finite or do "
                "not sum to 1; export the model again"
            )
        return out

    def __reduce__(self) -> tuple[Any, ...]:
        return (ExpressionClassifier, (self._session,))

    def __repr__(self) -> str:
        return f"ExpressionClassifier({self.metadata.name!r}, labels={self.labels.name!r})"


def load_classifier(model: str | Path = DEFAULT, *, threads: int | None = None) -> CropClassifier:
    """Open a model that takes face crops.

    Args:
        model: A shipped model's name, ``default``, the path of a model file, or ``ensemble`` for
            the mean of every shipped network of FER-2013's seven expressions.
        threads: Threads for one run; None leaves it to ONNX Runtime.

    Raises:
        ModelError: The model is missing, changed, damaged or none of ours.

    Example:
        >>> load_classifier("standardized-cnn").labels.names[3]
        'happy'
    """
    if model != ENSEMBLE:
        return ExpressionClassifier.load(model, threads=threads)
    shipped = (ExpressionClassifier.load(m.name, threads=threads) for m in list_models())
    return EnsembleClassifier([member for member in shipped if member.labels == FER2013])


def _check_graph(session: ModelSession, metadata: ModelMetadata) -> None:
    """Compare the graph's input and output with what the metadata says of them."""
    preprocessing = metadata.preprocessing
    side, channels = preprocessing.size, preprocessing.channels
    float_type = "tensor(float)"
    expected_input = TensorSpec(INPUT_NAME, float_type, (None, side, side, channels))
    expected_output = TensorSpec(OUTPUT_NAME, float_type, (None, len(metadata.labels)))
    if session.inputs != (expected_input,) or session.outputs != (expected_output,):
        raise ModelError(
            f"{session.path.name} does not fit its own description; received "
            f"{_shapes(session.inputs)} to {_shapes(session.outputs)}, expected "
            f"{_shapes((expected_input,))} to {_shapes((expected_output,))}; export it again"
        )


def _shapes(specs: tuple[TensorSpec, ...]) -> str:
    return ", ".join(f"{spec.name} {spec.dtype} {list(spec.shape)}" for spec in specs) or "none"
