"""This checkout against another commit: here the same one, by the same runner."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from benchmarks.against import main, measure, side, take_out
from benchmarks.images import write_photos, write_video
from benchmarks.record import ROOT


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="not a clone of the repository")
def test_a_commit_is_taken_out_of_the_history(tmp_path: Path) -> None:
    take_out("HEAD", tmp_path)
    written = tmp_path / "src" / "facial_expressions" / "labels.py"
    there = subprocess.run(
        ["git", "-C", ROOT, "show", "HEAD:src/facial_expressions/labels.py"],
        capture_output=True, check=True,
    )  # fmt: skip
    assert written.read_bytes() == there.stdout


def test_a_commit_that_is_not_there_is_not_measured(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["against", "--commit", "no-such-commit"])
    main()
    said = capsys.readouterr()
    assert said.err.startswith("against: not measured: ")
    assert said.out == ""


@pytest.mark.slow
def test_each_side_runs_its_own_package_on_the_same_files(tmp_path: Path) -> None:
    """The other commit is the same package under another path: the same faces are found."""
    (tmp_path / "src").symlink_to(ROOT / "src")
    write_photos(tmp_path / "photos", 2)
    write_video(tmp_path / "clip.mp4", 3)
    files = {
        "photo": next((tmp_path / "photos").iterdir()),
        "video, one face": tmp_path / "clip.mp4",
        "batch": tmp_path / "photos",
    }
    with side(ROOT / "src") as ours, side(tmp_path / "src") as theirs:
        found = measure(ours, theirs, files, rounds=1)
    assert found["video, one face"]["our_faces"] == 3
    for one in found.values():
        assert one["our_faces"] == one["their_faces"] >= 1
        assert one["ratio"] == pytest.approx(one["theirs_ms"] / one["ours_ms"], abs=0.01)


def test_a_package_that_is_not_the_one_asked_for_is_noticed(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with side(tmp_path) as process, pytest.raises(SystemExit, match="the peer ended"):
        process.ask("photo", path="photo.jpg")
    assert f"imported in place of {tmp_path}" in capfd.readouterr().err
