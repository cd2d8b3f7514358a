"""Compares with the peer ``fer`` 25.10.3, in an environment of its own that this installs.

One crop on one thread, a batch of crops on all cores, one photo and one video from file to answer.
Crops go in as 8-bit pixels and come out as probabilities on both sides. For the peer that is its
resizing, scaling and network, without the padding that it does to whole images.

Example:
    python -m benchmarks.peer
    python -m benchmarks.peer --quick
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
from PIL import Image

import facial_expressions as fx
from benchmarks.images import face_crops, photo, write_video
from benchmarks.record import ROOT, Timed, compare, seconds, write_results

ENVIRONMENT: Final = ROOT / "build" / "peer-fer"
PEER: Final = "fer==25.10.3"
NEEDS: Final = (
    "opencv-contrib-python-headless<5", "setuptools<81", "moviepy<2", "tensorflow-cpu",
    "matplotlib", "pandas", "ffmpeg-python", "requests", "Pillow", "tqdm",
)  # fmt: skip
"""What the peer imports; its own list brings an old PyTorch, and an OpenCV that needs libGL."""

MODELS: Final = ("compact", "compact-int8", "standardized-cnn", "standardized-cnn-int8")
Figures = dict[str, Any]


def main() -> None:
    """Compare and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a short trial; nothing is written")
    rounds = 2 if parser.parse_args().quick else 12
    install()
    with tempfile.TemporaryDirectory() as folder:
        figures: Figures = {}
        with peer(threads=1) as one_thread:
            figures["peer"] = one_thread.ask("versions")
            figures["one crop, one thread"] = measure_crops(one_thread, Path(folder), 1, 1, rounds)
        with peer(threads=0) as all_cores:
            figures["256 crops, all cores"] = measure_crops(
                all_cores, Path(folder), 256, None, rounds
            )
            figures["photo 1280x720"] = measure_photo(all_cores, Path(folder), rounds)
            n_frames = 20 * rounds
            figures["video 640x480"] = measure_video(all_cores, Path(folder), n_frames, rounds // 2)
    write_results("peer", figures, keep=rounds > 2)


def install() -> None:
    """Make the peer's environment; the second time this does nothing."""
    stamp = ENVIRONMENT / "stamp"
    if stamp.exists():
        return
    print(f"installing {PEER} into {ENVIRONMENT}: about 1.9 GB", file=sys.stderr)
    subprocess.run([sys.executable, "-m", "venv", ENVIRONMENT], check=True)
    pip = [str(_python()), "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    subprocess.run([*pip, *NEEDS], check=True)
    subprocess.run([*pip, "--no-deps", PEER], check=True)
    stamp.touch()


class PeerProcess:
    """A peer, running.

    Args:
        process: Its runner, for example ``benchmarks/peer_runner.py`` in the peer's environment.
    """

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def ask(self, task: str, **fields: object) -> Figures:
        """Have a task done.

        Args:
            task: Name of a method of the runner's peer.
            **fields: Its arguments.
        """
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps({"task": task, **fields}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"the peer ended at the task {task!r}; its own message is above")
        answer: Figures = json.loads(line)
        return answer

    def timed(self, task: str, **fields: object) -> Timed:
        """Return a task as a side of a comparison.

        Args:
            task: Name of a method of the runner's peer.
            **fields: Its arguments.
        """
        return lambda: self.ask(task, **fields)["seconds"]


def peer(threads: int) -> AbstractContextManager[PeerProcess]:
    """Start the peer.

    Args:
        threads: Of its networks; 0 leaves it to them.
    """
    runner = Path(__file__).with_name("peer_runner.py")
    return running([_python(), runner, str(threads)], ENVIRONMENT)


@contextmanager
def running(command: Sequence[str | Path], folder: Path) -> Iterator[PeerProcess]:
    """Start a runner, which answers one line of JSON to each that it is sent.

    Args:
        command: Words of its command.
        folder: In which it runs.
    """
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8", cwd=folder
    ) as process:
        yield PeerProcess(process)
        assert process.stdin
        process.stdin.close()


def measure_crops(
    them: PeerProcess, folder: Path, n: int, threads: int | None, rounds: int
) -> Figures:
    """Compare our models with both of the peer's networks on the same crops.

    Args:
        them: The peer.
        folder: For the crops.
        n: How many crops.
        threads: Of our network; None leaves it to ONNX Runtime.
        rounds: How often both sides are measured.
    """
    crops = face_crops(n)
    path = folder / f"{n}.npy"
    np.save(path, crops)
    repeats = 30 if n == 1 else 2
    figures: Figures = {}
    for model in MODELS:
        classify = partial(fx.load_classifier(model, threads=threads).predict_proba, crops)
        for network in ("keras", "tflite"):
            task = {"path": str(path), "network": network, "repeats": repeats}
            figures[f"{model} against {network}"] = compare(
                partial(seconds, classify, repeats=repeats),
                them.timed("crops", **task),
                rounds=rounds,
                per=n,
            )
    return figures


def measure_photo(them: PeerProcess, folder: Path, rounds: int) -> Figures:
    """Compare from the file of a photo to its faces.

    Args:
        them: The peer.
        folder: For the photo.
        rounds: How often both sides are measured.
    """
    path = folder / "photo.jpg"
    Image.fromarray(photo(1280, 720)).save(path, quality=92)
    recognizer = fx.load_recognizer()
    figures = compare(
        partial(seconds, partial(recognizer.recognize, path), repeats=5),
        them.timed("photo", path=str(path), repeats=5),
        rounds=rounds,
    )
    theirs = them.ask("photo", path=str(path), repeats=1)["faces"]
    return figures | {"our_faces": len(recognizer.recognize(path)), "their_faces": theirs}


def measure_video(them: PeerProcess, folder: Path, n_frames: int, rounds: int) -> Figures:
    """Compare from the file of a video to the faces of its frames, per frame.

    Args:
        them: The peer.
        folder: For the video.
        n_frames: Its length.
        rounds: How often both sides are measured.
    """
    from facial_expressions.media.analysis import analyze_video

    path = folder / "video.mp4"
    write_video(path, n_frames)
    recognizer = fx.load_recognizer()
    figures: Figures = {"frames": n_frames}
    for every in (1, 5):

        def watch(every: int = every) -> int:
            frames = analyze_video(path, recognizer=recognizer, every=every)
            return sum(bool(frame.faces) for frame in frames)

        def ours(watch: Any = watch) -> list[float]:  # noqa: ANN401 - the function above
            return [one / n_frames for one in seconds(watch, repeats=1)]

        compared = compare(ours, them.timed("video", path=str(path)), rounds=max(1, rounds))
        figures[f"detection on every {every}"] = compared | {
            "frames_per_s": round(1000 / compared["ours_ms"], 1),
            "our_frames_with_a_face": watch(),
        }
    figures["their_frames_with_a_face"] = them.ask("video", path=str(path))["frames_with_a_face"]
    return figures


def _python() -> Path:
    return ENVIRONMENT / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")


if __name__ == "__main__":
    main()
