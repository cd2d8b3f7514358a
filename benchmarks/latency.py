"""Measures recognition: one crop, a batch, and photos of several sizes from pixels to faces.

Example:
    python -m benchmarks.latency
    python -m benchmarks.latency --threads 2
"""

from __future__ import annotations

import argparse
from functools import partial

import numpy as np
from PIL import Image

import facial_expressions as fx
from benchmarks.record import astronaut, milliseconds, write_results

PHOTO_SIZES = ((512, 512), (1280, 720))


def main() -> None:
    """Time classifier and recognizer and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="standardized-cnn")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    classifier = fx.load_classifier(options.model, threads=options.threads)
    recognizer = fx.load_recognizer(options.model, threads=options.threads)
    crops = np.random.default_rng(0).integers(0, 256, (256, 48, 48), np.uint8)
    figures: dict[str, object] = {"model": options.model, "threads": options.threads}
    for n in (1, 32, 256):
        timing = milliseconds(partial(classifier.predict_proba, crops[:n]), repeats=200 // n + 20)
        figures[f"{n} crops"] = timing | {"per_crop_ms": round(timing["median_ms"] / n, 4)}
    for width, height in PHOTO_SIZES:
        photo = _photo(width, height)
        timing = milliseconds(partial(recognizer.recognize, photo), repeats=30)
        n_faces = len(recognizer.recognize(photo))
        figures[f"photo {width}x{height}"] = timing | {"faces": n_faces}
    write_results("latency", figures)


def _photo(width: int, height: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """Return the astronaut in a picture of the given size, RGB ``uint8 (H, W, 3)``."""
    with Image.open(astronaut()) as picture:
        side = min(width, height)
        canvas = Image.new("RGB", (width, height), "grey")
        canvas.paste(picture.convert("RGB").resize((side, side)), ((width - side) // 2, 0))
    return np.asarray(canvas)


if __name__ == "__main__":
    main()
