"""The peer for browsers: the real packages, answering in Node."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from benchmarks import peer_web
from benchmarks.images import face_crops, moving_face, photo
from benchmarks.peer import PeerProcess
from facial_expressions.inference.recognizer import load_recognizer
from web.npm import PackageFetchError


@pytest.fixture(scope="module")
def them() -> Iterator[PeerProcess]:
    try:
        started = peer_web.peer()
    except PackageFetchError as error:
        pytest.skip(str(error))
    with started as process:
        yield process


@pytest.mark.parametrize("detector", peer_web.DETECTORS)
def test_the_peer_finds_the_face_of_pixels_and_keeps_no_memory(
    them: PeerProcess, detector: str, tmp_path: Path
) -> None:
    images = np.stack([photo(320, 240), np.zeros((240, 320, 3), np.uint8)])
    images.tofile(tmp_path / "images.raw")
    task = {"path": str(tmp_path / "images.raw"), "width": 320, "height": 240}
    first, second = (them.ask("images", **task, detector=detector, repeats=1) for _ in range(2))
    assert first["faces"] == [["happy"], []]
    assert [one > 0 for one in first["seconds"]] == [True]
    assert first["tensors"] == second["tensors"]


def test_times_are_those_of_all_images_together(them: PeerProcess, tmp_path: Path) -> None:
    """Ten images take ten times as long as one, give or take; the benchmark divides them."""
    least = {}
    for n in (1, 10):
        path = tmp_path / f"{n}.raw"
        np.stack([photo(320, 240)] * n).tofile(path)
        task = {"path": str(path), "width": 320, "height": 240, "detector": peer_web.DETECTORS[1]}
        least[n] = min(them.ask("images", **task, repeats=4)["seconds"])
    assert least[10] > 3 * least[1]


def test_the_peer_classifies_a_crop_on_webassembly_with_one_thread(
    them: PeerProcess, tmp_path: Path
) -> None:
    face_crops(1).tofile(tmp_path / "crop.raw")
    answer = them.ask("crop", path=str(tmp_path / "crop.raw"), size=48, repeats=1)
    assert answer["answer"] == "happy"
    versions = them.ask("versions")
    assert (versions["backend"], versions["threads"], versions["simd"]) == ("wasm", 1, True)
    assert versions["@vladmandic/face-api"] == "1.7.15"


@pytest.mark.parametrize("missing", ["node", "package"])
def test_without_node_or_packages_nothing_is_measured(
    missing: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    which: Callable[[str], str | None] = {"node": {}, "package": {"node": "node"}}[missing].get
    monkeypatch.setattr("shutil.which", which)
    monkeypatch.setattr(peer_web, "KEPT", tmp_path)
    monkeypatch.setenv("npm_config_registry", "http://127.0.0.1:9")
    monkeypatch.setattr("sys.argv", ["peer_web"])
    peer_web.main()
    said = capsys.readouterr()
    first = {"node": "node: not found", "package": "face-api-1.7.15.tgz: cannot be fetched"}
    assert said.err.startswith(f"peer_web: not measured: {first[missing]}")
    assert (said.out, said.err.count("\n")) == ("", 1)


def test_a_video_that_is_watched_has_a_face_in_every_frame() -> None:
    """The moving face of the benchmark, found by ours in the way that is timed."""
    recognizer = load_recognizer(threads=1)
    frames = np.stack(list(moving_face(3)))
    assert peer_web.watch(recognizer, frames) == [1, 1, 1]
    assert peer_web.recognize_each(recognizer, frames[:1]) == [1]
