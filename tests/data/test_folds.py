"""Parts by pixels: copies together, sizes alike, the same whatever the order."""

from __future__ import annotations

import numpy as np
import pytest

from facial_expressions.data.folds import content_folds


def _pictures(n: int) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (n, 8, 8)).astype(np.uint8)


def test_copies_of_a_picture_are_in_one_part() -> None:
    pictures = _pictures(50)
    folds = content_folds(np.concatenate([pictures, pictures[::-1]]), 5)
    np.testing.assert_array_equal(folds[:50], folds[50:][::-1])


def test_parts_are_of_about_the_same_size() -> None:
    counts = np.bincount(content_folds(_pictures(5000), 5), minlength=5)
    assert counts.sum() == 5000
    assert np.abs(counts - 1000).max() < 4 * np.sqrt(5000 * 0.2 * 0.8)


def test_a_part_depends_on_the_pixels_alone() -> None:
    pictures = _pictures(30)
    order = np.random.default_rng(2).permutation(30)
    whole = content_folds(pictures, 4)
    np.testing.assert_array_equal(content_folds(pictures[order], 4), whole[order])
    np.testing.assert_array_equal(content_folds(pictures[:3], 4), whole[:3])


@pytest.mark.parametrize("n_folds", [1, 2, 20])
def test_parts_are_numbered_from_zero(n_folds: int) -> None:
    folds = content_folds(_pictures(400), n_folds)
    assert set(folds.tolist()) == set(range(n_folds))
