"""What a model file says of itself: the text entries in an ONNX file's metadata.

A file holds one graph from ``crops``, ``float32 (N, S, S, C)``, to ``probabilities``, ``float32
(N, K)``, and these entries. ``export`` writes them, the classifier reads them; nothing about a
model is guessed from its name or its shapes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from facial_expressions.errors import ModelError
from facial_expressions.labels import LabelSet
from facial_expressions.preprocessing import Preprocessing

__all__ = ["FORMAT", "INPUT_NAME", "OUTPUT_NAME", "ModelMetadata"]

FORMAT: Final = "facial-expressions-model/1"
"""Value of the entry ``format``; a reader refuses any other."""

INPUT_NAME: Final = "crops"
OUTPUT_NAME: Final = "probabilities"


@dataclass(frozen=True, slots=True)
class ModelMetadata:
    """Everything about a model that its graph does not say.

    Attributes:
        name: Name of the model, for example ``standardized-cnn``.
        architecture: Registered architecture it was built from.
        labels: Label set of its output, in order.
        preprocessing: How its input is made.
        temperature: Divisor of the logits, fitted on validation; already inside the graph.
        uncertain_below: Confidence under which an answer counts as uncertain, 0 to 1.
        licence: SPDX id of the weights' licence.
        data: Name of the training data.
        data_digest: SHA-256 of the training data, as hexadecimal digits.
        figures: Measured figures, for example ``{"validation_accuracy": 0.64}``.
        created_with: Version of this package that wrote the file.
    """

    name: str
    architecture: str
    labels: LabelSet
    preprocessing: Preprocessing
    temperature: float = 1.0
    uncertain_below: float = 0.0
    licence: str = "MIT"
    data: str = ""
    data_digest: str = ""
    figures: Mapping[str, float] = field(default_factory=dict)
    created_with: str = ""

    def to_entries(self) -> dict[str, str]:
        """Return the text entries that go into the file."""
        return {
            "format": FORMAT,
            "name": self.name,
            "architecture": self.architecture,
            "labels": json.dumps({"name": self.labels.name, "names": list(self.labels.names)}),
            "preprocessing": json.dumps(self.preprocessing.to_dict()),
            "temperature": repr(self.temperature),
            "uncertain_below": repr(self.uncertain_below),
            "licence": self.licence,
            "data": self.data,
            "data_digest": self.data_digest,
            "figures": json.dumps(dict(self.figures), sort_keys=True),
            "created_with": self.created_with,
        }

    @classmethod
    def from_entries(cls, entries: Mapping[str, str], *, source: str) -> ModelMetadata:
        """Read the entries of a file.

        Args:
            entries: The file's metadata.
            source: Name of the file, for messages.

        Raises:
            ModelError: An entry is missing or malformed, or the format is another.
        """
        received = entries.get("format")
        if received != FORMAT:
            raise ModelError(
                f"{source} is not a facial-expressions model: its metadata entry 'format' should "
                f"be {FORMAT!r}; received {received!r}; export it with 'facial-expressions export'"
            )
        try:
            labels: dict[str, Any] = json.loads(entries["labels"])
            return cls(
                name=entries["name"],
                architecture=entries["architecture"],
                labels=LabelSet(labels["name"], tuple(labels["names"])),
                preprocessing=Preprocessing.from_dict(json.loads(entries["preprocessing"])),
                temperature=float(entries["temperature"]),
                uncertain_below=float(entries["uncertain_below"]),
                licence=entries["licence"],
                data=entries["data"],
                data_digest=entries["data_digest"],
                figures=json.loads(entries["figures"]),
                created_with=entries["created_with"],
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ModelError(
                f"{source} has damaged metadata: entry {error} is missing or malformed; "
                f"received the entries {sorted(entries)}; export the model again"
            ) from error
