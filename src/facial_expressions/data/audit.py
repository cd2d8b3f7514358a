"""Audits a data set: duplicates, leaks between splits, blank images, class balance, FER+.

Two images are duplicates when all their pixels are equal. An image leaks when a split that
should be unseen holds a copy of one in another split.

The two files of FER-2013 do not agree on the number of groups: the Kaggle images have 1,516, the
competition file as rebuilt from public copies 1,514: two of its rows have JPEG pixels and no
longer equal their lossless twins.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from facial_expressions.data.dataset import Dataset, Split, duplicate_groups, joined, leaked_rows
from facial_expressions.data.ferplus import Votes, strict_majority
from facial_expressions.labels import FERPLUS

Audit = dict[str, Any]
"""What an audit found, as plain values: the object of ``audit.json``."""


def audit_dataset(dataset: Dataset, *, votes: Votes | None = None) -> Audit:
    """Audit a data set.

    Args:
        dataset: Any data set.
        votes: What ``ferplus.ferplus_votes`` returned for it; None leaves FER+ out.

    Returns:
        For each split its name in this data set, such as ``PublicTest``, and the images of each
        class; groups of duplicates in the order of their first image; copies between every two
        splits; the sources of images of one grey value; and the agreement with FER+, or None.

    Examples:
        >>> found = audit_dataset(load_dataset("fer2013.tar.gz"))  # doctest: +SKIP
        >>> found["duplicates"]["n_groups"], found["leaks"][0]["n"]  # doctest: +SKIP
        (1514, 280)
    """
    splits = [split for split in dataset.splits() if len(split)]
    groups = _groups(dataset)
    blank = [
        split.sources[row]
        for split in splits
        for row in np.flatnonzero(np.ptp(split.images, axis=(1, 2)) == 0)
    ]
    return {
        "schema": 1,
        "dataset": dataset.name,
        "protocol": dataset.protocol,
        "n": sum(map(len, splits)),
        "split_names": {split.name: _split_name(split) for split in splits},
        "balance": {
            split.name: {
                label: int(np.sum(split.labels == k)) for k, label in enumerate(dataset.labels)
            }
            for split in splits
        },
        "duplicates": {
            "n_groups": len(groups),
            "n_images": sum(len(group["sources"]) for group in groups),
            "n_conflicting": sum(group["conflicting"] for group in groups),
            "groups": groups,
        },
        "leaks": [
            {
                "split": split.name,
                "copied_in": other.name,
                "n": int(leaked_rows(other.images, split.images).sum()),
            }
            for k, split in enumerate(splits)
            for other in splits[:k]
        ],
        "blank": {"n": len(blank), "sources": blank},
        "left_out": list(dataset.left_out),
        "ferplus": None if votes is None else _agreement(dataset, votes),
    }


def audit_text(audit: Audit) -> str:
    """Return what ``audit_dataset`` found for reading, without a line end."""
    names, counts = audit["split_names"], list(audit["balance"].values())
    duplicates = audit["duplicates"]
    titles = [f"{names[split]:>9}" for split in audit["balance"]]
    rows = [(label, [one[label] for one in counts]) for label in counts[0]]
    rows.append(("all", [sum(one.values()) for one in counts]))
    lines = [f"{audit['dataset']}, protocol {audit['protocol']}: {audit['n']:,} images", ""]
    lines.append("class       " + "  ".join(titles))
    for label, numbers in rows:
        cells = [f"{n:>{len(title)},}" for n, title in zip(numbers, titles, strict=True)]
        lines.append(f"{label:<12}" + "  ".join(cells))
    return "\n".join(
        [
            *lines,
            "",
            f"duplicates  {duplicates['n_groups']:,} groups of byte-identical images, "
            f"{duplicates['n_images']:,} images in them, "
            f"{duplicates['n_conflicting']:,} groups with conflicting labels",
            *(
                f"leak        {leak['n']:,} {names[leak['split']]} images have a copy in "
                f"{names[leak['copied_in']]}"
                for leak in audit["leaks"]
            ),
            f"blank       {audit['blank']['n']:,} images are one grey value throughout",
            *(f"note        {sentence}" for sentence in audit["left_out"]),
            *_ferplus_lines(audit["ferplus"] or {}),
        ]
    )


def _ferplus_lines(ferplus: dict[str, Any]) -> list[str]:
    if not ferplus:
        return []
    kept = " / ".join(f"{n:,}" for n in ferplus["n_majority"].values())
    shares = {label: share for label, share in ferplus["per_class"].items() if share is not None}
    ordered = sorted(shares, key=lambda label: -shares[label])
    classes = ", ".join(f"{label} {100 * shares[label]:.0f}" for label in ordered)
    return [
        f"FER+        strict majority for {kept} images",
        f"FER+        {100 * ferplus['agreement']:.1f}% of {ferplus['n']:,} labels are the "
        f"majority's ({classes})",
    ]


def _split_name(split: Split) -> str:
    """Return the competition's name of a split when all of it is of one."""
    usages = set(split.usages.tolist())
    return usages.pop() if len(usages) == 1 and "" not in usages else split.name


def _groups(dataset: Dataset) -> list[dict[str, Any]]:
    """Return where the images of each group stand, in which split, and with which label."""
    everything = joined(tuple(dataset.splits()))
    split_of = [split.name for split in dataset.splits() for _ in split.sources]
    groups = []
    for rows in duplicate_groups(everything.images):
        labels = [dataset.labels.names[everything.labels[row]] for row in rows]
        sources, splits = ([names[row] for row in rows] for names in (everything.sources, split_of))
        conflicting = len(set(labels)) > 1
        groups.append(
            {"sources": sources, "splits": splits, "labels": labels, "conflicting": conflicting}
        )
    return groups


def _agreement(dataset: Dataset, votes: Votes) -> dict[str, Any]:
    """Return how often a label is the strict majority of ten people, in all and for each class.

    Images without a strict majority, and those whose majority is contempt, which FER-2013 does
    not have, are left out; ``n_majority`` counts the latter too.
    """
    majority = {
        split.name: strict_majority(votes[split.name], FERPLUS) for split in dataset.splits()
    }
    chosen = np.concatenate(list(majority.values()))
    id_in_ferplus = np.array([FERPLUS.id_of(label) for label in dataset.labels])
    labels = np.concatenate([split.labels for split in dataset.splits()])
    compared = np.isin(chosen, id_in_ferplus)
    agrees = (id_in_ferplus[labels] == chosen)[compared]
    of_class = {label: agrees[labels[compared] == k] for k, label in enumerate(dataset.labels)}
    return {
        "n": int(compared.sum()),
        "agreement": float(agrees.mean()) if len(agrees) else 0.0,
        "per_class": {
            label: float(rows.mean()) if len(rows) else None for label, rows in of_class.items()
        },
        "n_majority": {name: int(np.sum(ids >= 0)) for name, ids in majority.items() if len(ids)},
    }
