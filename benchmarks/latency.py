"""Measures recognition: one crop, a batch, and photos of several sizes from pixels to faces.

Example:
    python -m benchmarks.latency
    python -m benchmarks.latency --threads 2
"""

from __future__ import annotations

import argparse
from functools import partial

import facial_expressions as fx
from benchmarks.images import face_crops, photo
from benchmarks.record import milliseconds, write_results

PHOTO_SIZES = ((512, 512), (1280, 720))


def main() -> None:
    """Time classifier and recognizer and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="standardized-cnn")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    classifier = fx.load_classifier(options.model, threads=options.threads)
    recognizer = fx.load_recognizer(options.model, threads=options.threads)
    crops = face_crops(256)
    figures: dict[str, object] = {"model": options.model, "threads": options.threads}
    for n in (1, 32, 256):
        timing = milliseconds(partial(classifier.predict_proba, crops[:n]), repeats=200 // n + 20)
        figures[f"{n} crops"] = timing | {"per_crop_ms": round(timing["median_ms"] / n, 4)}
    for width, height in PHOTO_SIZES:
        image = photo(width, height)
        timing = milliseconds(partial(recognizer.recognize, image), repeats=30)
        n_faces = len(recognizer.recognize(image))
        figures[f"photo {width}x{height}"] = timing | {"faces": n_faces}
    write_results("latency", figures)


if __name__ == "__main__":
    main()
