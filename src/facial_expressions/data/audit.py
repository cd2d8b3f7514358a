"""Audits a data set: duplicates, leaks between splits, blank images, class balance, FER+.

Two images are duplicates when all their pixels are equal. An image leaks when a split that
should be unseen holds a copy of one in another split.

The two files of FER-2013 do not agree on the number of groups: the Kaggle images have 1,516, the
competition file as rebuilt from public copies 1,514: two of its rows have JPEG pixels and no
longer equal their lossless twins.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from facial_expressions.data.dataset import Dataset, Split
from facial_expressions.data.duplicates import duplicate_groups, leaked_rows
from facial_expressions.data.ferplus import strict_majority
from facial_expressions.labels import FERPLUS

SCHEMA: Final = 1
"""Version of the JSON written by ``to_dict``; raised when a field changes its meaning."""


@dataclass(frozen=True, slots=True)
class DuplicateGroup:
    """Images whose pixels are all equal.

    Attributes:
        sources: Where each stands.
        splits: The split of each.
        labels: The label of each.
    """

    sources: tuple[str, ...]
    splits: tuple[str, ...]
    labels: tuple[str, ...]

    @property
    def is_conflicting(self) -> bool:
        """Whether the same image has different labels."""
        return len(set(self.labels)) > 1


@dataclass(frozen=True, slots=True)
class Leak:
    """How many images of one split have a byte-identical copy in another.

    Attributes:
        split: The split whose images are counted.
        copied_in: The split that holds the copies.
        n: Number of images.
    """

    split: str
    copied_in: str
    n: int


@dataclass(frozen=True, slots=True)
class FerPlusAgreement:
    """How often a label is the strict majority of ten people.

    Images without a strict majority, and those whose majority is contempt, which FER-2013 does
    not have, are left out.

    Attributes:
        n: Images compared.
        agreement: Fraction of them whose label is the majority, 0 to 1.
        per_class: The same for the images of each label; None for a label without any.
        n_majority: Images with a strict majority in each split, contempt included.
    """

    n: int
    agreement: float
    per_class: dict[str, float | None]
    n_majority: dict[str, int]


@dataclass(frozen=True, slots=True)
class AuditReport:
    """What an audit found.

    Attributes:
        name: Name of the data set.
        protocol: How it is divided.
        split_names: For each split what it is called in this data set, such as ``PublicTest``.
        balance: Number of images by split, then label.
        groups: Groups of duplicates, in order of their first image.
        leaks: Copies between splits, one entry for each two splits.
        blank: Sources of the images that are one grey value throughout.
        left_out: One sentence for each thing in the file that is in no split.
        ferplus: Agreement with FER+, or None when no votes were given.
    """

    name: str
    protocol: str
    split_names: dict[str, str]
    balance: dict[str, dict[str, int]]
    groups: tuple[DuplicateGroup, ...]
    leaks: tuple[Leak, ...]
    blank: tuple[str, ...]
    left_out: tuple[str, ...]
    ferplus: FerPlusAgreement | None

    @property
    def n(self) -> int:
        """Number of images."""
        return sum(sum(counts.values()) for counts in self.balance.values())

    @property
    def n_duplicates(self) -> int:
        """Number of images that are in a group of duplicates."""
        return sum(len(group.sources) for group in self.groups)

    @property
    def conflicting(self) -> tuple[DuplicateGroup, ...]:
        """The groups whose images have different labels."""
        return tuple(group for group in self.groups if group.is_conflicting)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {
            "schema": SCHEMA,
            "dataset": self.name,
            "protocol": self.protocol,
            "n": self.n,
            "split_names": self.split_names,
            "balance": self.balance,
            "duplicates": {
                "n_groups": len(self.groups),
                "n_images": self.n_duplicates,
                "n_conflicting": len(self.conflicting),
                "groups": [
                    {**asdict(group), "conflicting": group.is_conflicting} for group in self.groups
                ],
            },
            "leaks": [asdict(leak) for leak in self.leaks],
            "blank": {"n": len(self.blank), "sources": list(self.blank)},
            "left_out": list(self.left_out),
            "ferplus": asdict(self.ferplus) if self.ferplus else None,
        }

    def to_text(self) -> str:
        """Return the report for reading, without a line end."""
        return "\n".join(
            [
                f"{self.name}, protocol {self.protocol}: {self.n:,} images",
                "",
                *_balance_lines(self),
                "",
                f"duplicates  {len(self.groups):,} groups of byte-identical images, "
                f"{self.n_duplicates:,} images in them, "
                f"{len(self.conflicting):,} groups with conflicting labels",
                *(self._leak_line(leak) for leak in self.leaks),
                f"blank       {len(self.blank):,} images are one grey value throughout",
                *(f"note        {sentence}" for sentence in self.left_out),
                *_ferplus_lines(self.ferplus),
            ]
        )

    def _leak_line(self, leak: Leak) -> str:
        split, other = self.split_names[leak.split], self.split_names[leak.copied_in]
        return f"leak        {leak.n:,} {split} images have a copy in {other}"


def _balance_lines(report: AuditReport) -> list[str]:
    balance = report.balance
    titles = [f"{report.split_names[name]:>9}" for name in balance]
    rows: list[tuple[str, list[int]]] = [
        (label, [counts[label] for counts in balance.values()])
        for label in next(iter(balance.values()))
    ]
    rows.append(("all", [sum(counts.values()) for counts in balance.values()]))
    return [
        "class       " + "  ".join(titles),
        *(
            f"{name:<12}"
            + "  ".join(f"{n:>{len(title)},}" for n, title in zip(counts, titles, strict=True))
            for name, counts in rows
        ),
    ]


def _ferplus_lines(ferplus: FerPlusAgreement | None) -> list[str]:
    if ferplus is None:
        return []
    kept = " / ".join(f"{n:,}" for n in ferplus.n_majority.values())
    classes = ", ".join(
        f"{label} {100 * value:.0f}"
        for label, value in sorted(ferplus.per_class.items(), key=lambda item: -(item[1] or 0))
        if value is not None
    )
    return [
        f"FER+        strict majority for {kept} images",
        f"FER+        {100 * ferplus.agreement:.1f}% of {ferplus.n:,} labels are the majority's "
        f"({classes})",
    ]


def audit_dataset(
    dataset: Dataset, *, votes: Mapping[str, NDArray[np.uint8]] | None = None
) -> AuditReport:
    """Audit a data set.

    Args:
        dataset: Any data set.
        votes: What ``ferplus.ferplus_votes`` returned for it; None leaves FER+ out.

    Examples:
        >>> report = audit_dataset(load_dataset("fer2013.tar.gz"))  # doctest: +SKIP
        >>> len(report.groups), report.leaks[0].n  # doctest: +SKIP
        (1514, 280)
    """
    splits = [split for split in dataset.splits() if len(split)]
    labels = dataset.labels.names
    return AuditReport(
        name=dataset.name,
        protocol=dataset.protocol,
        split_names={split.name: _split_name(split) for split in splits},
        balance={
            split.name: {
                label: int(np.sum(split.labels == label_id))
                for label_id, label in enumerate(labels)
            }
            for split in splits
        },
        groups=tuple(_groups(dataset)),
        leaks=tuple(
            Leak(
                split=split.name,
                copied_in=other.name,
                n=int(leaked_rows(other.images, split.images).sum()),
            )
            for k, split in enumerate(splits)
            for other in splits[:k]
        ),
        blank=tuple(
            split.sources[row]
            for split in splits
            for row in np.flatnonzero(np.ptp(split.images, axis=(1, 2)) == 0)
        ),
        left_out=dataset.left_out,
        ferplus=None if votes is None else _agreement(dataset, votes),
    )


def _split_name(split: Split) -> str:
    """Return the competition's name of a split when all of it is of one."""
    usages = set(split.usages.tolist())
    return usages.pop() if len(usages) == 1 and "" not in usages else split.name


def _groups(dataset: Dataset) -> list[DuplicateGroup]:
    rows = [(split, i) for split in dataset.splits() for i in range(len(split))]
    return [
        DuplicateGroup(
            sources=tuple(rows[k][0].sources[rows[k][1]] for k in group),
            splits=tuple(rows[k][0].name for k in group),
            labels=tuple(dataset.labels.names[rows[k][0].labels[rows[k][1]]] for k in group),
        )
        for group in duplicate_groups(np.concatenate([s.images for s in dataset.splits()]))
    ]


def _agreement(dataset: Dataset, votes: Mapping[str, NDArray[np.uint8]]) -> FerPlusAgreement:
    names = [split.name for split in dataset.splits()]
    majority = {name: strict_majority(votes[name], FERPLUS) for name in names}
    chosen = np.concatenate(list(majority.values()))
    id_in_ferplus = np.array([FERPLUS.id_of(label) for label in dataset.labels])
    given = id_in_ferplus[np.concatenate([split.labels for split in dataset.splits()])]
    compared = np.isin(chosen, id_in_ferplus)
    agrees = (given == chosen)[compared]
    of_class = {label: agrees[given[compared] == FERPLUS.id_of(label)] for label in dataset.labels}
    return FerPlusAgreement(
        n=int(compared.sum()),
        agreement=float(agrees.mean()) if len(agrees) else 0.0,
        per_class={
            label: float(rows.mean()) if len(rows) else None for label, rows in of_class.items()
        },
        n_majority={name: int(np.sum(ids >= 0)) for name, ids in majority.items() if len(ids)},
    )
