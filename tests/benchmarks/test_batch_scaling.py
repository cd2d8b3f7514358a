"""Batches of this checkout against those of another one."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.batch_scaling import measure_against
from benchmarks.images import write_photos
from benchmarks.record import ROOT


@pytest.mark.slow
def test_each_side_runs_the_package_of_its_own_checkout(tmp_path: Path) -> None:
    """The other checkout is the same package under another path: the same faces are found."""
    (tmp_path / "src").symlink_to(ROOT / "src")
    write_photos(tmp_path / "photos", 2)
    found = measure_against(tmp_path, tmp_path / "photos", rounds=1)
    assert found["faces"]["ours"] == found["faces"]["theirs"] >= 2
    ours, theirs = found["photos_per_s"]["ours"], found["photos_per_s"]["theirs"]
    assert found["ratio"] == pytest.approx(ours / theirs, abs=0.001)


def test_a_folder_that_is_no_checkout_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="no checkout of this repository"):
        measure_against(tmp_path, tmp_path, rounds=1)
