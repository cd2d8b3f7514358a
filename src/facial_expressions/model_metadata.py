"""What a model file says of itself: the text entries in an ONNX file's metadata.

Its graph goes from ``crops``, ``float32 (N, S, S, C)``, to ``NAME_probabilities``, ``float32
(N, K)``, of each head, and where the network pools over its last map to ``NAME_maps``, ``float32
(N, K, H, W)``, whose means over H and W are the head's logits after biases and temperature. The
probabilities are the softmax of these, after the map of confidences that a head may have.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Final

from facial_expressions.calibration import Calibration, TopLabelMap
from facial_expressions.errors import ModelError, parsed
from facial_expressions.labels import LabelSet
from facial_expressions.preprocessing import Preprocessing

_FORMATS: Final = "facial-expressions-model/"
FORMAT: Final = f"{_FORMATS}2"
"""Value of the entry ``format``; a reader refuses any other."""

INPUT_NAME: Final = "crops"


@dataclass(frozen=True, slots=True)
class Head:
    """One output of a model.

    Attributes:
        name: What it is asked for by, and what its outputs in the graph are named after. Two heads
            of a file may have equal label sets, never one name.
        labels: Label set of the output, in order.
        calibration: What is done to its logits; already inside the graph.
        figures: Measured figures, for example ``{"validation_accuracy": 0.84}``.

    Raises:
        ValueError: The name is empty, or the calibration is for another number of classes.

    Examples:
        >>> from facial_expressions.labels import FERPLUS
        >>> Head("ferplus", FERPLUS).output, Head("ferplus", FERPLUS).maps
        ('ferplus_probabilities', 'ferplus_maps')
    """

    name: str
    labels: LabelSet
    calibration: Calibration = field(default_factory=Calibration)
    figures: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        calibration, top_label = self.calibration, self.calibration.top_label
        per_class = [calibration.biases] if calibration.biases else []
        per_class += [top_label.slopes, top_label.offsets] if top_label else []
        if not self.name or any(len(values) != len(self.labels) for values in per_class):
            raise ValueError(
                f"head {self.name!r}: needs a name, and a bias, slope and offset for each of its "
                f"{len(self.labels)} classes, not {[len(values) for values in per_class]}"
            )

    @property
    def output(self) -> str:
        """Name of the output with the probabilities in the graph."""
        return f"{self.name}_probabilities"

    @property
    def maps(self) -> str:
        """Name of the output with the class activation maps, where the graph has them."""
        return f"{self.name}_maps"


@dataclass(frozen=True, slots=True)
class ModelMetadata:
    """Everything about a model that its graph does not say.

    Attributes:
        name: Name of the model, for example ``standardized-cnn``.
        architecture: Registered architecture it was built from.
        heads: Its outputs, one or more.
        default_head: Name of the head that answers where none is asked for.
        preprocessing: How its input is made.
        licence: SPDX id of the weights' licence.
        data: Name of the training data.
        data_digest: SHA-256 of the training data, as hexadecimal digits.
        created_with: Version of this package that wrote the file.

    Raises:
        ValueError: There is no head, two have one name, or none has that of the default.
    """

    name: str
    architecture: str
    heads: tuple[Head, ...]
    default_head: str
    preprocessing: Preprocessing
    licence: str = "MIT"
    data: str = ""
    data_digest: str = ""
    created_with: str = ""

    def __post_init__(self) -> None:
        names = self.head_names
        if len(set(names)) < len(names) or self.default_head not in names:
            raise ValueError(
                f"heads {list(names)}, default {self.default_head!r}: a model's heads need "
                "different names, and one of them is the default"
            )

    @property
    def head_names(self) -> tuple[str, ...]:
        """Names of the heads, in the order of the file."""
        return tuple(head.name for head in self.heads)

    def head(self, name: str | None = None) -> Head:
        """Return one head.

        Args:
            name: Its name; None takes the default.

        Raises:
            ModelError: There is no such head; the message lists those that there are.
        """
        wanted = self.default_head if name is None else name
        for head in self.heads:
            if head.name == wanted:
                return head
        raise ModelError(
            f"model {self.name!r}: does not answer in the labels {name!r}, only in "
            f"{', '.join(self.head_names)}. Choose one of these, or another model"
        )

    def with_head(self, head: Head) -> ModelMetadata:
        """Return the metadata with a head in the place of that of the same name."""
        heads = tuple(head if one.name == head.name else one for one in self.heads)
        return replace(self, heads=heads)

    def to_entries(self) -> dict[str, str]:
        """Return the text entries that go into the file."""
        return {
            "format": FORMAT,
            **{one.name: getattr(self, one.name) for one in fields(self)},
            "heads": json.dumps([asdict(head) for head in self.heads]),
            "preprocessing": json.dumps(self.preprocessing.to_dict()),
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
        _check_format(entries.get("format"), source)
        try:
            values: dict[str, Any] = {one.name: entries[one.name] for one in fields(cls)}
            values["heads"] = tuple(_read_head(one) for one in parsed(json.loads, values["heads"]))
            scaling = parsed(json.loads, values["preprocessing"])
            values["preprocessing"] = Preprocessing.from_dict(scaling)
            return cls(**values)
        except (KeyError, TypeError, ValueError) as error:
            what = f"{error} is missing" if isinstance(error, KeyError) else error
            raise ModelError(
                f"{source}: damaged metadata: {what}. Export the model again"
            ) from error


def _read_head(data: Mapping[str, Any]) -> Head:
    """Rebuild a head from the plain values that ``asdict`` makes of it."""
    labels, given = data["labels"], data["calibration"]
    top_label = None
    if (lines := given["top_label"]) is not None:
        slopes, offsets = (tuple(map(float, lines[name])) for name in ("slopes", "offsets"))
        top_label = TopLabelMap(slopes, offsets)
    calibration = Calibration(
        biases=tuple(map(float, given["biases"])),
        temperature=float(given["temperature"]),
        top_label=top_label,
        uncertain_below=float(given["uncertain_below"]),
    )
    named = LabelSet(labels["name"], tuple(labels["names"]))
    return Head(data["name"], named, calibration, dict(data["figures"]))


def _check_format(received: str | None, source: str) -> None:
    """Refuse any format but ours, and say what to do about earlier and later ones."""
    if received == FORMAT:
        return
    if received == f"{_FORMATS}1":
        problem = (
            "a model file of format 1, which is no longer read. Convert it: python "
            "examples/convert_model.py OLD NEW"
        )
    elif received and received.startswith(_FORMATS):
        problem = (
            f"a model file of a later format, {received!r}; this version reads {FORMAT!r}. Update "
            "facial-expressions"
        )
    else:
        problem = (
            f"not a facial-expressions model: its metadata entry 'format' is {received!r}, not "
            f"{FORMAT!r}. Export it with 'facial-expressions export'"
        )
    raise ModelError(f"{source}: {problem}")
