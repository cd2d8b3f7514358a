"""Compares with an earlier commit of this repository, in turns on the same files.

By default the last commit that searched every frame of a video and every photo as a whole. Its
package is taken out of the repository's history into ``build/``; nothing is installed. Photos of
12 megapixels and of 1280x720, a video of two faces that cross, and the command ``batch`` with two
processes, its start included.

Example:
    python -m benchmarks.against
    python -m benchmarks.against --photos 5000
    python -m benchmarks.against --commit HEAD~10 --quick
"""

from __future__ import annotations

import argparse
import io
import subprocess
import sys
import tarfile
import tempfile
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Final

from PIL import Image

from benchmarks.batch_scaling import PHOTOS
from benchmarks.clips import write_crossing_clip
from benchmarks.images import photo, write_photos
from benchmarks.peer import Figures, PeerProcess, running
from benchmarks.record import ROOT, compare, write_results

BEFORE: Final = "0db8363"
SIZES: Final = ((1280, 720), (4000, 3000))


def main() -> None:
    """Compare and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--commit", default=BEFORE)
    parser.add_argument("--photos", type=int, default=1000, help="of the batch")
    parser.add_argument("--seconds", type=float, default=20, help="of the video")
    parser.add_argument("--quick", action="store_true", help="a short trial; nothing is written")
    options = parser.parse_args()
    if options.quick:
        options.photos, options.seconds = 24, 1
    source = ROOT / "build" / f"before-{options.commit}" / "src"
    try:
        take_out(options.commit, source.parent)
    except subprocess.CalledProcessError as error:
        print(f"against: not measured: {error.stderr.decode().strip()}", file=sys.stderr)
        return
    with (
        tempfile.TemporaryDirectory() as folder,
        side(ROOT / "src") as ours,
        side(source) as theirs,
    ):
        files = make_files(Path(folder), options.photos, options.seconds)
        figures = measure(ours, theirs, files, rounds=1 if options.quick else 2)
    write_results(
        "against", {"peer": {"commit": options.commit}, **figures}, keep=not options.quick
    )


def take_out(commit: str, folder: Path) -> None:
    """Write the package of a commit into a folder.

    Args:
        commit: Its name for git.
        folder: Which gets ``src``.

    Raises:
        CalledProcessError: There is no such commit here.
    """
    words = ["git", "-C", str(ROOT), "archive", commit, "src"]
    done = subprocess.run(words, capture_output=True, check=True)
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        archive.extractall(folder, filter="data")


def side(source: Path) -> AbstractContextManager[PeerProcess]:
    """Start the package of a folder.

    Args:
        source: Which has ``facial_expressions``.
    """
    runner = Path(__file__).with_name("against_runner.py")
    return running([sys.executable, runner, source], ROOT)


def make_files(folder: Path, n_photos: int, seconds: float) -> dict[str, Path]:
    """Return by task and what it is the files that both sides read.

    Args:
        folder: Where they are written; the photos of the batch are kept in ``build/``.
        n_photos: Of the batch.
        seconds: Of the video.
    """
    files = {}
    for width, height in SIZES:
        path = folder / f"{width}x{height}.jpg"
        Image.fromarray(photo(width, height)).save(path, quality=92)
        files[f"photo {width}x{height}"] = path
    files["video 640x480, two faces"] = write_crossing_clip(folder / "clip.mp4", seconds=seconds)
    files["batch, 2 processes"] = PHOTOS / str(n_photos)
    write_photos(files["batch, 2 processes"], n_photos)
    return files


def measure(ours: PeerProcess, theirs: PeerProcess, files: dict[str, Path], rounds: int) -> Figures:
    """Compare on each file; times are per photo or frame.

    Args:
        ours: The package of this checkout.
        theirs: That of the other commit.
        files: What ``make_files`` returned.
        rounds: How often both sides are measured; photos three times as often.
    """
    figures: Figures = {}
    for what, path in files.items():
        task = what.split()[0].strip(",")
        fields = {"path": str(path)}
        faces: dict[str, int] = {}
        sides = (
            partial(_ask, process, task, fields, faces, who)
            for who, process in (("our_faces", ours), ("their_faces", theirs))
        )
        compared = compare(*sides, rounds=rounds * 3 if task == "photo" else rounds)
        figures[what] = compared | faces
    return figures


def _ask(
    process: PeerProcess, task: str, fields: dict[str, str], faces: dict[str, int], who: str
) -> list[float]:
    """Have a task done; note how many faces were found, and return the seconds."""
    answer = process.ask(task, **fields)
    faces[who] = answer["faces"]
    seconds: list[float] = answer["seconds"]
    return seconds


if __name__ == "__main__":
    main()
