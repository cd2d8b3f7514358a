"""The page of an audit: what it found in words, conflicting duplicates and blank images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

from facial_expressions.data.audit import Audit, audit_text
from facial_expressions.data.dataset import Dataset
from facial_expressions.pages.templating import render

_MOST_SHOWN: Final = 100


def audit_page(audit: Audit, dataset: Dataset) -> str:
    """Return the page, with at most 100 images of either kind.

    Args:
        audit: What ``audit_dataset`` returned.
        dataset: The data set it was given.

    Raises:
        MissingExtraError: Jinja2 is not installed.
    """
    found = {
        source: (split.images[row], dataset.labels.names[split.labels[row]])
        for split in dataset.splits()
        for row, source in enumerate(split.sources)
    }
    conflicts = [
        (found[group["sources"][0]][0], _counts(group["labels"]), _names(audit, group["splits"]))
        for group in audit["duplicates"]["groups"]
        if group["conflicting"]
    ]
    blank = [(*found[source], source) for source in audit["blank"]["sources"]]
    return render(
        "audit.html",
        audit=audit,
        text=audit_text(audit),
        conflicts=conflicts[:_MOST_SHOWN],
        blank=blank[:_MOST_SHOWN],
    )


def _counts(labels: Sequence[str]) -> str:
    """Return labels in words, the most frequent first: ``angry x2, fear``."""
    counts = Counter(labels).most_common()
    return ", ".join(f"{label} x{n}" if n > 1 else label for label, n in counts)


def _names(audit: Audit, splits: Sequence[str]) -> str:
    return ", ".join(name for split, name in audit["split_names"].items() if split in splits)
