"""Label sets: the only place that knows class names and their order.

FER-2013's seven expressions stand in alphabetical order. The competition file numbers
them differently, FER+ uses nouns and an eighth class, other data sets have spellings of their own:
all of that is mapped here, when data is read.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final


@dataclass(frozen=True, slots=True)
class LabelSet:
    """Ordered class names; a label's position is its id.

    Attributes:
        name: Short name of the set, for example ``fer2013``.
        names: Class names in order of their ids.

    Raises:
        ValueError: A name is empty or appears twice, or there are fewer than two.

    Examples:
        >>> FER2013.id_of("happy"), FER2013.names[4], len(FER2013)
        (3, 'neutral', 7)
    """

    name: str
    names: tuple[str, ...]

    def __post_init__(self) -> None:
        names = {name for name in self.names if name and isinstance(name, str)}
        if len(self.names) < 2 or len(names) < len(self.names):
            raise ValueError(
                f"label set {self.name!r}: needs two or more different, non-empty names, not "
                f"{list(self.names)}"
            )

    def __len__(self) -> int:
        return len(self.names)

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def id_of(self, label: str) -> int:
        """Return the id of a label.

        Raises:
            ValueError: The label is not in this set; the message lists those that are.
        """
        if label not in self.names:
            raise ValueError(
                f"label {label!r}: not in label set {self.name!r}. Use one of {list(self.names)}"
            )
        return self.names.index(label)


FER2013: Final = LabelSet(
    "fer2013", ("angry", "disgust", "fear", "happy", "neutral", "sad", "surprise")
)
"""The seven expressions of FER-2013, in the order of its folders and of the seed."""

FERPLUS: Final = LabelSet(
    "ferplus", ("angry", "contempt", "disgust", "fear", "happy", "neutral", "sad", "surprise")
)
"""The eight expressions of FER+, in alphabetical order."""

PEOPLE: Final = LabelSet("people", FER2013.names)
"""The seven expressions of FER-2013 as people see them: the truth is FER+'s votes."""

LABEL_SETS: Final = {labels.name: labels for labels in (FER2013, FERPLUS, PEOPLE)}
"""Label sets by name."""

COMPETITION_ORDER: Final = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
"""Names behind the codes 0 to 6 of the competition file's column ``emotion``.

It is not the order of ``FER2013``.
"""

FERPLUS_COLUMNS: Final = (
    "neutral", "happy", "surprise", "sad", "angry", "disgust", "fear", "contempt", "unknown",
    "not a face",
)  # fmt: skip
"""Names behind the ten vote columns of ``fer2013new.csv``, in file order."""

_SYNONYMS: Final = {
    "anger": "angry", "disgusted": "disgust", "fearful": "fear", "afraid": "fear",
    "scared": "fear", "happiness": "happy", "joy": "happy", "sadness": "sad",
    "surprised": "surprise", "calm": "neutral", "contemptuous": "contempt",
}  # fmt: skip


def canonical_label(text: str) -> str | None:
    """Return the standard name of an expression in another spelling or case, None for other words.

    Examples:
        >>> canonical_label("Anger"), canonical_label("03_happiness"), canonical_label("smirk")
        ('angry', 'happy', None)
    """
    word = _word(text)
    word = _SYNONYMS.get(word, word)
    return word if word in FERPLUS.names else None


def nearest_label(text: str) -> str | None:
    """Return our name for what may be a misspelt expression, to be suggested and never applied.

    Examples:
        >>> nearest_label("suprise"), nearest_label("Hapiness"), nearest_label("bored")
        ('surprise', 'happy', None)
    """
    near = get_close_matches(_word(text), (*FERPLUS.names, *_SYNONYMS), n=1, cutoff=0.8)
    return canonical_label(near[0]) if near else None


def _word(text: str) -> str:
    return text.strip().lower().lstrip("0123456789").strip(" _-.")
