"""Counts the faces that get the same label in every mode: one, batch, video, server, Ray.

The photos are recognised one by one; every other mode is compared with that, face by face. A
video's frames change when they are encoded, so they are read back from the file and recognised one
by one for the comparison.

Example:
    python -m benchmarks.same_labels
    python -m benchmarks.same_labels --photos 20
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Sequence
from http import HTTPStatus
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from benchmarks.batch_scaling import PHOTOS
from benchmarks.images import write_photos, write_video
from benchmarks.record import write_results
from benchmarks.server_process import ask, serving
from facial_expressions.distributed.batch import WorkerOptions, run_batch
from facial_expressions.inference.recognizer import ExpressionRecognizer, load_recognizer
from facial_expressions.media.analysis import analyze_video
from facial_expressions.media.sources import open_source
from facial_expressions.results import Face

_TRIES: Final = 30
Answers = list[list[tuple[str, float]]]
"""For each image its faces from left to right: label and its probability."""


def main() -> None:
    """Compare the modes and write how many faces agree."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=int, default=200)
    parser.add_argument("--quick", action="store_true", help="a short trial; nothing is written")
    options = parser.parse_args()
    n = 6 if options.quick else options.photos
    folder = PHOTOS / f"same-{n}"
    write_photos(folder, n)
    photos = sorted(folder.iterdir())
    recognizer = load_recognizer(threads=1)
    expected = [_answers(recognizer.recognize(path)) for path in photos]
    modes: dict[str, Callable[[], Answers]] = {
        "many": lambda: [_answers(faces) for _, faces in recognizer.recognize_many(photos)],
        "batch": lambda: ask_batch(folder, WorkerOptions(n_workers=2)),
        "server": lambda: ask_server(photos),
    }
    if find_spec("ray"):
        modes["ray"] = lambda: ask_batch(folder, WorkerOptions("ray", n_workers=2))
    figures: dict[str, Any] = {
        name: compare(answers(), expected) for name, answers in modes.items()
    }
    figures["video"] = compare_video(recognizer, n)
    figures["same"] = all(one["same"] == one["faces"] for one in figures.values())
    write_results("same_labels", {"photos": n, **figures}, keep=not options.quick)


def compare(answers: Answers, expected: Answers) -> dict[str, float]:
    """Return how many faces there are, how many have the same label, and the largest difference.

    Args:
        answers: Of one mode.
        expected: Of one image at a time.
    """
    faces = [face for image in expected for face in image]
    if [len(image) for image in answers] != [len(image) for image in expected]:
        return {"faces": len(faces), "same": 0}
    pairs = list(zip((face for image in answers for face in image), faces, strict=True))
    return {
        "faces": len(faces),
        "same": sum(one[0] == other[0] for one, other in pairs),
        "largest_difference": max((abs(one[1] - other[1]) for one, other in pairs), default=0.0),
    }


def ask_batch(folder: Path, workers: WorkerOptions) -> Answers:
    """Return what the verb ``batch`` says of photos.

    Args:
        folder: The photos.
        workers: Who does the work.
    """
    with tempfile.TemporaryDirectory() as output:
        run_batch(folder, output, workers=workers)
        shards = sorted(Path(output).glob("rows-*.jsonl"))
        rows = [json.loads(line) for path in shards for line in path.read_text().splitlines()]
    return [_answers_of_row(row) for row in rows]


def ask_server(photos: Sequence[Path]) -> Answers:
    """Return what a server says of photos.

    Args:
        photos: Files.
    """
    with serving() as (_, port):
        return [_answers_of_row(_post(port, path.read_bytes())) for path in photos]


def compare_video(recognizer: ExpressionRecognizer, n_frames: int) -> dict[str, float]:
    """Compare a video without smoothing with its frames, recognised one by one.

    Args:
        recognizer: Does both.
        n_frames: Length of the video.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "video.mp4"
        write_video(path, n_frames)
        shown = [_answers(one.faces) for one in analyze_video(path, recognizer=recognizer)]
        with open_source(path) as frames:
            expected = [_answers(recognizer.recognize(frame.image)) for frame in frames]
    return compare(shown, expected)


def _post(port: int, content: bytes) -> dict[str, Any]:
    """Return a server's answer; one that is too busy at the moment is asked again."""
    for _ in range(_TRIES):
        status, body = ask(port, "POST", "/v1/recognize", content, "image/jpeg")
        if status != HTTPStatus.SERVICE_UNAVAILABLE:
            break
        time.sleep(1)
    if status != HTTPStatus.OK:
        raise SystemExit(f"the server answered with {status}: {body.decode()}")
    row: dict[str, Any] = json.loads(body)
    return row


def _answers(faces: Sequence[Face]) -> list[tuple[str, float]]:
    ordered = sorted(faces, key=lambda face: (face.box.left, face.box.top))
    return [(face.expression, face.confidence) for face in ordered]


def _answers_of_row(row: dict[str, Any]) -> list[tuple[str, float]]:
    faces = sorted(row["faces"], key=lambda face: tuple(face["box"][:2]))
    return [(face["expression"], face["confidence"]) for face in faces]


if __name__ == "__main__":
    main()
