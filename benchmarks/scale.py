"""Measures how cost grows: with pixels and faces of a photo, faces of a frame, inputs of a batch.

Photos are JPEGs of one to twelve megapixels with one face, and of two megapixels with up to fifty;
frames are 1280x720 with up to eight faces that move. Batches are of a face crop under many names,
with two workers: listing, rows and shards weigh most where an image takes least. The memory of the
command and of its workers is read as rows come.

Example:
    python -m benchmarks.scale
    python -m benchmarks.scale --inputs 100 1000
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import tempfile
import time
from functools import partial
from math import ceil, sin, sqrt
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

import facial_expressions as fx
from benchmarks.images import face_crops, head, photo
from benchmarks.record import milliseconds, write_results
from benchmarks.server_process import resident_mb
from facial_expressions.distributed.batch import BatchOptions, WorkerOptions, run_batch
from facial_expressions.inference.options import RecognizerOptions
from facial_expressions.inference.recognizer import ExpressionRecognizer
from facial_expressions.media.analysis import FrameAnalyzer
from facial_expressions.media.frames import Frame

SIZES: Final = ((1280, 800), (2000, 1500), (2828, 2121), (4000, 3000))
"""1, 3, 6 and 12 megapixels."""
CROWD: Final = (1920, 1080)
PHOTO_FACES: Final = (1, 5, 10, 20, 50)
FRAME: Final = (1280, 720)
FRAME_FACES: Final = (0, 1, 2, 4, 8)
RATE: Final = 25
INPUTS: Final = (100, 1000, 10_000, 100_000)
LINKS: Final = 10_000
"""Names of one file; file systems allow some ten thousand."""


def main() -> None:
    """Measure and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, nargs="+", default=list(INPUTS))
    parser.add_argument("--quick", action="store_true", help="a short trial; nothing is written")
    options = parser.parse_args()
    repeats = 3 if options.quick else 15
    recognizer = fx.load_recognizer()
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        figures["photo by megapixels"] = {
            f"{round(width * height / 1e6)}": photo_ms(
                recognizer, photo(width, height), folder, repeats
            )
            for width, height in SIZES
        }
        figures["photo by faces"] = {
            str(n): photo_ms(recognizer, crowd(n, CROWD), folder, repeats) for n in PHOTO_FACES
        }
        figures["frame by faces"] = {
            str(n): frame_ms(recognizer, n, seconds=1 if options.quick else 4) for n in FRAME_FACES
        }
        sizes = [20] if options.quick else options.inputs
        figures["batch by inputs"] = {str(n): batch(n, folder / f"batch-{n}") for n in sizes}
    write_results("scale", figures, keep=not options.quick)


def photo_ms(
    recognizer: ExpressionRecognizer, image: NDArray[np.uint8], folder: Path, repeats: int
) -> dict[str, float]:
    """Return what a photo takes from its file to its faces, and how many were found."""
    path = folder / "photo.jpg"
    Image.fromarray(image).save(path, quality=92)
    faces = len(recognizer.recognize(path))
    return milliseconds(partial(recognizer.recognize, path), repeats=repeats) | {"faces": faces}


def frame_ms(recognizer: ExpressionRecognizer, n: int, *, seconds: float) -> dict[str, float]:
    """Return the time of a frame with ``n`` faces that move, full searches included."""
    images = [crowd(n, FRAME, shift=round(20 * sin(index / 8))) for index in range(RATE)]
    analyzer, times, faces = FrameAnalyzer(recognizer), [], []
    for index in range(round(seconds * RATE)):
        frame = Frame(index, index / RATE, images[index % len(images)])
        start = time.perf_counter()
        faces.append(len(analyzer.analyze(frame).faces))
        times.append(1000 * (time.perf_counter() - start))
    return {
        "mean_ms": round(statistics.mean(times), 2),
        "median_ms": round(statistics.median(times), 2),
        "faces": statistics.median(faces),
    }


def crowd(n: int, size: tuple[int, int], *, shift: int = 0) -> NDArray[np.uint8]:
    """Return an image of ``n`` equal faces in rows, RGB ``uint8 (H, W, 3)``.

    Args:
        n: How many; the more, the smaller.
        size: Width and height.
        shift: Pixels by which they have moved to the right.
    """
    canvas = Image.new("RGB", size, (90, 110, 130))
    columns = ceil(sqrt(n * size[0] / size[1]))
    rows = ceil(n / columns) if n else 0
    side = min(size[0] // max(columns, 1), size[1] // max(rows, 1), 360)
    face = head().resize((round(side * 0.75), round(side * 0.84)))
    for number in range(n):
        row, column = divmod(number, columns)
        canvas.paste(face, (column * side + side // 8 + shift, row * side + side // 12))
    return np.asarray(canvas)


def batch(n: int, folder: Path) -> dict[str, Any]:
    """Run a batch over ``n`` names of one face crop.

    Returns:
        Seconds, also per input, and the memory of this process and its children in MB: after a
        tenth of the rows, and how much more it is at most after it.
    """
    folder.mkdir()
    first = folder / "0.png"
    Image.fromarray(face_crops(1)[0]).save(first)
    for number in range(1, n):
        if number % LINKS == 0:
            first = Path(shutil.copy(first, folder / f"{number}.png"))
        else:
            os.link(first, folder / f"{number}.png")
    memory: list[tuple[int, float]] = []

    def note(n_done: int, n_inputs: int | None) -> None:
        if n_inputs is not None and n_done >= len(memory) * max(1, n // 50):
            memory.append((n_done, resident_mb(os.getpid())))

    options = BatchOptions(recognizer=RecognizerOptions(crops=True))
    workers = WorkerOptions(n_workers=2)
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as output:
        summary = run_batch(folder, output, options=options, workers=workers, on_progress=note)
    took_s = time.perf_counter() - start
    early = next(mb for done, mb in memory if done >= n / 10)
    return {
        "seconds": round(took_s, 2),
        "ms_per_input": round(1000 * took_s / n, 3),
        "ok": summary.counts["ok"],
        "memory_mb": round(early, 1),
        "memory_growth_mb": round(max(mb for done, mb in memory if done >= n / 10) - early, 1),
    }


if __name__ == "__main__":
    main()
