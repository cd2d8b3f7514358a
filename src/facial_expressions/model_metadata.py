"""What a model file says of itself: the text entries in an ONNX file's metadata.

A file holds one graph from ``crops``, ``float32 (N, S, S, C)``, to ``probabilities``, ``float32
(N, K)``, and these entries. ``export`` writes them, the classifier reads them; nothing about a
model is guessed from its name or its shapes.

A network may have a further head with a label set of its own, whose output is named after that set:
``ferplus_probabilities``. A network that pools over its last map also gives each head's class
activation maps, ``maps`` and ``ferplus_maps``, ``float32 (N, K, H, W)``: their means over H and W
are the head's logits, so they say exactly what each place adds to each class. The probabilities are
the softmax of these, after the map of confidences that a file may have (its figures
``confidence_...``).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from facial_expressions.errors import ModelError
from facial_expressions.labels import LabelSet
from facial_expressions.preprocessing import Preprocessing

__all__ = ["FORMAT", "INPUT_NAME", "MAPS_NAME", "OUTPUT_NAME", "Head", "ModelMetadata"]

FORMAT: Final = "facial-expressions-model/1"
"""Value of the entry ``format``; a reader refuses any other."""

INPUT_NAME: Final = "crops"
OUTPUT_NAME: Final = "probabilities"
MAPS_NAME: Final = "maps"


@dataclass(frozen=True, slots=True)
class Head:
    """A further output of a model, with a label set of its own.

    Attributes:
        labels: Label set of the output, in order.
        temperature: Divisor of the logits, fitted on validation; already inside the graph.
        uncertain_below: Confidence under which an answer counts as uncertain, 0 to 1.
        figures: Measured figures, for example ``{"validation_accuracy": 0.84}``.

    Examples:
        >>> from facial_expressions.labels import FERPLUS
        >>> Head(FERPLUS).output, Head(FERPLUS).maps
        ('ferplus_probabilities', 'ferplus_maps')
    """

    labels: LabelSet
    temperature: float = 1.0
    uncertain_below: float = 0.0
    figures: Mapping[str, float] = field(default_factory=dict)

    @property
    def output(self) -> str:
        """Name of the output in the graph."""
        return f"{self.labels.name}_{OUTPUT_NAME}"

    @property
    def maps(self) -> str:
        """Name of the output with the class activation maps, where the graph has them."""
        return f"{self.labels.name}_{MAPS_NAME}"

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {
            "labels": {"name": self.labels.name, "names": list(self.labels.names)},
            "temperature": self.temperature,
            "uncertain_below": self.uncertain_below,
            "figures": dict(self.figures),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Head:
        """Rebuild from what ``to_dict`` returned.

        Raises:
            KeyError: A key is missing.
            ValueError: A value is malformed.
        """
        labels = LabelSet(data["labels"]["name"], tuple(data["labels"]["names"]))
        values = (float(data["temperature"]), float(data["uncertain_below"]))
        return cls(labels, *values, figures=dict(data["figures"]))


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
        other_heads: Further outputs, each with a label set of its own.
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
    other_heads: tuple[Head, ...] = ()

    @property
    def label_sets(self) -> tuple[LabelSet, ...]:
        """Label sets of all outputs, the first output's first."""
        return (self.labels, *(head.labels for head in self.other_heads))

    def of_head(self, head: Head) -> ModelMetadata:
        """Return the metadata as they read for one of the further outputs."""
        return replace(
            self,
            labels=head.labels,
            temperature=head.temperature,
            uncertain_below=head.uncertain_below,
            figures=head.figures,
        )

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
            "other_heads": json.dumps([head.to_dict() for head in self.other_heads]),
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
                other_heads=_read_heads(entries.get("other_heads", "[]")),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ModelError(
                f"{source} has damaged metadata: entry {error} is missing or malformed; "
                f"received the entries {sorted(entries)}; export the model again"
            ) from error


def _read_heads(text: str) -> tuple[Head, ...]:
    """Read the entry ``other_heads``; files of networks with one head may lack it."""
    heads = tuple(Head.from_dict(data) for data in json.loads(text))
    names = [head.labels.name for head in heads]
    if len(set(names)) < len(names):
        raise ValueError(f"label sets {names} are not distinct")
    return heads
