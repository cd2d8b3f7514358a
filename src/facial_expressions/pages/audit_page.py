"""The page of an audit: what it found in words, conflicting duplicates and blank images."""

from __future__ import annotations

from collections import Counter
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
        (found[group["sources"][0]][0], Counter(group["labels"]), sorted(set(group["splits"])))
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
