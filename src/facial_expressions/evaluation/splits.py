"""Prepares what is measured: split, subsets, training images, labels of the classifier."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from facial_expressions.data.dataset import Dataset, Split, joined, leaked_rows
from facial_expressions.data.ferplus import strict_majority
from facial_expressions.errors import DatasetError
from facial_expressions.labels import PEOPLE, LabelSet


def choose_split(dataset: Dataset, name: str) -> Split:
    """Return a split by name, ``train``, ``validation`` or ``test``; ``all`` joins the three.

    Raises:
        DatasetError: There is no split of that name, or it has no images.
    """
    splits = {split.name: split for split in dataset.splits()}
    splits["all"] = joined(tuple(splits.values()))
    if name not in splits or len(splits[name]) == 0:
        sizes = ", ".join(f"{key} ({len(split):,})" for key, split in splits.items())
        raise DatasetError(
            f"split {name!r}: no images in data set {dataset.name!r}. Choose one of {sizes}"
        )
    return splits[name]


def training_images(dataset: Dataset, split_name: str) -> Split | None:
    """Return the images that a network may have learnt from, to find copies of them in a split.

    For the test split these are train and that part of validation which was cut out of it: in
    FER-2013 both are of the competition's usage ``Training``. None for ``train`` and ``all``, which
    hold training images themselves, or when there are none.
    """
    pools = [dataset.train]
    if split_name == "test":
        validation = dataset.validation
        pools.append(validation.take(validation.usages == "Training"))
    pool = joined(pools)
    return None if split_name in ("train", "all") or len(pool) == 0 else pool


def align_labels(split: Split, labels: LabelSet, target: LabelSet) -> tuple[Split, tuple[str, ...]]:
    """Return a split whose label ids are those of another label set.

    Images of an expression that the other set lacks are left out.

    Args:
        split: Images with ids in ``labels``.
        labels: The data set's label set.
        target: The classifier's label set.

    Returns:
        The split, and one sentence for each expression that was left out.

    Raises:
        DatasetError: No image is left.

    Examples:
        >>> from facial_expressions.labels import FER2013, FERPLUS
        >>> images = np.zeros((2, 8, 8), np.uint8)
        >>> split = Split("test", images, np.array([1, 4]), np.full(2, ""), ("a", "b"))
        >>> aligned, notes = align_labels(split, FERPLUS, FER2013)  # 1 is contempt, 4 is happy
        >>> aligned.labels.tolist(), notes
        ([3], ("left out, because the model does not know 'contempt': 1",))
    """
    if labels.names == target.names:
        return split, ()
    known = {name: i for i, name in enumerate(target.names)}
    ids = np.array([known.get(name, -1) for name in labels.names], np.int64)
    kept = split.relabelled(ids[split.labels])
    if len(kept) == 0:
        raise DatasetError(
            f"split {split.name!r}: no image shows an expression of the model: its labels are "
            f"{list(labels)}, the model's {list(target)}. Use other data or another model"
        )
    counts = np.bincount(split.labels, minlength=len(labels))
    left_out = {
        name: count
        for name, count in zip(labels, counts, strict=True)
        if name not in known and count
    }
    return kept, unknown_notes(left_out)


def unknown_notes(counts: Mapping[str, int]) -> tuple[str, ...]:
    """Return one sentence for each expression whose images were left out, with their number."""
    return tuple(
        f"left out, because the model does not know {name!r}: {count}"
        for name, count in counts.items()
    )


def majority_split(
    split: Split, votes: NDArray[np.uint8], labels: LabelSet
) -> tuple[Split, NDArray[np.bool_]]:
    """Return the images on which a strict majority agrees, with what it says as their label.

    Args:
        split: Images.
        votes: The votes on them, ``uint8 (N, 10)``, as ``ferplus_votes`` returns them.
        labels: The classifier's label set: FER-2013's seven expressions, in any order.

    Returns:
        The split, and which images of the whole are in it, ``bool (N,)``.

    Raises:
        DatasetError: The classifier has other labels, there are more or fewer votes than images,
            or no image has a strict majority.
    """
    if set(labels) != set(PEOPLE):
        raise DatasetError(
            f"labels {list(labels)}: votes need a classifier of the seven expressions "
            f"{list(PEOPLE)}. Choose another model or head"
        )
    if len(votes) != len(split):
        raise DatasetError(
            f"votes: {len(votes):,} rows for the {len(split):,} images of split {split.name!r}. "
            "Give what ferplus_votes returns for it"
        )
    majority = strict_majority(votes, PEOPLE)
    kept = majority >= 0
    if not kept.any():
        raise DatasetError(
            f"split {split.name!r}: no image has a strict majority for one of the seven "
            f"expressions, in {int(votes.sum()):,} votes on {len(split):,} images. Give "
            "fer2013new.csv"
        )
    id_in_labels = np.array([*map(labels.id_of, PEOPLE), -1], np.int64)
    return split.relabelled(id_in_labels[majority]), kept


def fer2013_subsets(split: Split, train: Split | None) -> dict[str, NDArray[np.bool_]]:
    """Return masks of FER-2013's subsets: ``public``, ``private`` and ``no_train_duplicate``.

    Args:
        split: Images with their usages.
        train: Training images; None leaves ``no_train_duplicate`` out.

    Examples:
        >>> usages = np.array(["PublicTest", "PrivateTest"])
        >>> images = np.zeros((2, 8, 8), np.uint8)
        >>> split = Split("test", images, np.array([0, 1]), usages, ("a", "b"))
        >>> fer2013_subsets(split, None)["public"]
        array([ True, False])
    """
    masks = {"public": split.usages == "PublicTest", "private": split.usages == "PrivateTest"}
    if train is not None:
        masks["no_train_duplicate"] = ~leaked_rows(train.images, split.images)
    return masks
