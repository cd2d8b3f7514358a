"""Compares with the peer ``@vladmandic/face-api`` 1.7.15, on WebAssembly in Node.

Its weights come inside its npm package. Both sides get pixels: decoding is a browser's there and
Pillow's here. One face crop, one photo, and frames of a moving face, with the detector that it uses
by default and with its small one. TensorFlow.js runs WebAssembly on one thread in Node, so our side
is measured on one thread and as it comes. Packages are fetched from npm once (46 MB); without Node
nothing is measured.

Example:
    python -m benchmarks.peer_web
    python -m benchmarks.peer_web --quick
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

import facial_expressions as fx
from benchmarks.images import face_crops, moving_face, photo
from benchmarks.peer import Figures, PeerProcess, running
from benchmarks.record import ROOT, compare, seconds, write_results
from facial_expressions.inference.recognizer import ExpressionRecognizer
from facial_expressions.media.analysis import FrameAnalyzer
from facial_expressions.media.frames import Frame
from web.npm import NpmPackage, PackageFetchError

ENVIRONMENT: Final = ROOT / "build" / "peer-face-api"
KEPT: Final = ROOT / "build" / "npm"

_WEIGHTS: Final = ("ssd_mobilenetv1", "tiny_face_detector", "face_expression")
PACKAGES: Final = {
    NpmPackage(
        "@vladmandic/face-api",
        "1.7.15",
        "WDMmK3CfNLo8jylWqMoQgf4nIst3M0fzx1dnac96wv/dvMTN4DxC/Pq1DGtduDk1lktCamQ3MIDXFnvrdHTXDw==",
    ): (
        "dist/face-api.node-wasm.js",
        *(f"model/{name}_model.bin" for name in _WEIGHTS),
        *(f"model/{name}_model-weights_manifest.json" for name in _WEIGHTS),
    ),
    NpmPackage(
        "@tensorflow/tfjs",
        "4.22.0",
        "0TrIrXs6/b7FLhLVNmfh8Sah6JgjBPH4mZ8JGb7NU6WW+cx00qK5BcAZxw7NCzxj6N8MRAIfHq+oNbPUNG5VAg==",
    ): ("dist/tf.min.js",),
    NpmPackage(
        "@tensorflow/tfjs-backend-wasm",
        "4.22.0",
        "/IYhReRIp4jg/wYW0OwbbJZG8ON87mbz0PgkiP3CdcACRSvUN0h8rvC0O3YcDtkTQtFWF/tcXq/KlVDyV49wmA==",
    ): ("dist/tf-backend-wasm.min.js", "dist/tfjs-backend-wasm-simd.wasm"),
}
"""What the peer runs on, and the files of each that are used."""

_ENTRIES: Final = {
    "@tensorflow/tfjs": "dist/tf.min.js",
    "@tensorflow/tfjs-core": "../tfjs/dist/tf.min.js",
    "@tensorflow/tfjs-backend-wasm": "dist/tf-backend-wasm.min.js",
}
"""The files that stand for the packages: builds that need no others."""

DETECTORS: Final = ("ssd_mobilenetv1", "tiny_face_detector")
"""Those of the peer; the first is its default."""

THREADS: Final = {"one thread": 1, "all cores": None}
RATE: Final = 25
Pixels = NDArray[np.uint8]


def main() -> None:
    """Compare and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a short trial; nothing is written")
    rounds = 1 if parser.parse_args().quick else 4
    try:
        with tempfile.TemporaryDirectory() as folder, peer() as them:
            figures = measure(them, Path(folder), rounds, n_frames=10 * rounds)
    except PackageFetchError as error:
        print(f"peer_web: not measured: {error}", file=sys.stderr)
        return
    write_results("peer_web", figures, keep=rounds > 1)


def peer() -> AbstractContextManager[PeerProcess]:
    """Start the peer.

    Raises:
        PackageFetchError: There is no Node, or a package cannot be had.
    """
    node = shutil.which("node")
    if not node:
        raise PackageFetchError("node: not found. Install Node.js 18 or later")
    install()
    runner = Path(__file__).with_name("peer_web_runner.cjs")
    return running([node, runner, ENVIRONMENT], ENVIRONMENT)


def install() -> None:
    """Lay the peer's files out as npm does.

    Raises:
        PackageFetchError: A package cannot be had.
    """
    modules = ENVIRONMENT / "node_modules"
    for package, names in PACKAGES.items():
        for name, content in package.read(KEPT, names).items():
            path = modules / package.name / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    for name, entry in _ENTRIES.items():
        (modules / name).mkdir(exist_ok=True)
        (modules / name / "package.json").write_text(f'{{"main": "{entry}"}}\n')


def measure(them: PeerProcess, folder: Path, rounds: int, n_frames: int) -> Figures:
    """Compare crop, photo and frames.

    Args:
        them: The peer.
        folder: For the pixels that it reads.
        rounds: How often both sides are measured.
        n_frames: How many frames there are.
    """
    figures: Figures = {
        "peer": them.ask("versions"),
        "one crop, one thread": measure_crop(them, folder, 2 * rounds),
    }
    images = {
        "photo 1280x720, pixels": (photo(1280, 720)[None], recognize_each),
        "frame 640x480, pixels": (np.stack(list(moving_face(n_frames))), watch),
    }
    for what, (pixels, look) in images.items():
        figures[what] = {"images": len(pixels)}
        for name, threads in THREADS.items():
            ours = partial(look, fx.load_recognizer(threads=threads), pixels)
            for detector in DETECTORS:
                figures[what][f"{name}, {detector}"] = measure_images(
                    them, folder, pixels, ours, detector, rounds
                )
    return figures


def measure_crop(them: PeerProcess, folder: Path, rounds: int) -> Figures:
    """Compare from the 8-bit pixels of a grey face to its probabilities.

    Args:
        them: The peer.
        folder: For the crop.
        rounds: How often both sides are measured.
    """
    crops = face_crops(1)
    path = folder / "crop.raw"
    crops.tofile(path)
    classify = partial(fx.load_classifier(threads=1).predict_proba, crops)
    task = {"path": str(path), "size": crops.shape[1]}
    figures = compare(
        partial(seconds, classify, repeats=30),
        them.timed("crop", **task, repeats=30),
        rounds=rounds,
    )
    return figures | {"their_answer": them.ask("crop", **task, repeats=1)["answer"]}


def measure_images(
    them: PeerProcess,
    folder: Path,
    images: Pixels,
    ours: Callable[[], list[int]],
    detector: str,
    rounds: int,
) -> Figures:
    """Compare from pixels to faces with their expressions, per image.

    Args:
        them: The peer.
        folder: For the pixels.
        images: RGB ``uint8 (N, H, W, 3)``.
        ours: Returns how many faces each has.
        detector: Of the peer.
        rounds: How often both sides are measured.
    """
    path = folder / "images.raw"
    images.tofile(path)
    n, height, width, _ = images.shape
    task = {"path": str(path), "width": width, "height": height, "detector": detector}
    repeats = 5 if n == 1 else 1
    figures = compare(
        partial(seconds, ours, repeats=repeats),
        them.timed("images", **task, repeats=repeats),
        rounds=rounds,
        per=n,
    )
    theirs = them.ask("images", **task, repeats=1)["faces"]
    return figures | {
        "our_images_with_a_face": sum(map(bool, ours())),
        "their_images_with_a_face": sum(map(bool, theirs)),
    }


def recognize_each(recognizer: ExpressionRecognizer, images: Pixels) -> list[int]:
    """Return how many faces each image has, looked at by itself.

    Args:
        recognizer: Ours.
        images: RGB ``uint8 (N, H, W, 3)``.
    """
    return [len(recognizer.recognize(image)) for image in images]


def watch(recognizer: ExpressionRecognizer, images: Pixels) -> list[int]:
    """Return how many faces each frame of a video has.

    Args:
        recognizer: Ours.
        images: RGB ``uint8 (N, H, W, 3)``, 25 a second.
    """
    analyzer = FrameAnalyzer(recognizer)
    frames = (Frame(index, index / RATE, image) for index, image in enumerate(images))
    return [len(analyzer.analyze(frame).faces) for frame in frames]


if __name__ == "__main__":
    main()
