"""Runs inside the environment of the peer ``fer``: times what it is told, one line of JSON each.

Started by ``benchmarks/peer.py`` with the peer's own Python; nothing of this repository is imported
here. Each network is called as the peer's own ``detect_emotions`` does it.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import version
from typing import Any

PACKAGES = ("fer", "tensorflow-cpu", "keras", "opencv-contrib-python-headless", "numpy")


def main() -> None:
    """Answer tasks from standard input until it ends."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # TensorFlow and fer print; only answers may be on the pipe
    peer = Peer(int(sys.argv[1]))
    for line in sys.stdin:
        answers.write(json.dumps(peer.do(**json.loads(line))) + "\n")
        answers.flush()


class Peer:
    """The peer with both of its networks, in so many threads; 0 leaves them as they are."""

    def __init__(self, threads: int) -> None:
        self.cv2 = import_module("cv2")
        self.numpy = import_module("numpy")
        if threads:
            self.cv2.setNumThreads(threads)
            threading = import_module("tensorflow").config.threading
            threading.set_intra_op_parallelism_threads(threads)
            threading.set_inter_op_parallelism_threads(threads)
        fer = import_module("fer.fer").FER
        self.networks = {"keras": fer(use_tflite=False), "tflite": fer()}

    def do(self, task: str, **fields: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
        """Do a task by its name."""
        work: Callable[..., dict[str, Any]] = getattr(self, task)
        return work(**fields)

    def versions(self) -> dict[str, Any]:
        """Return what is installed here."""
        return {package: version(package) for package in PACKAGES}

    def crops(self, path: str, network: str, repeats: int) -> dict[str, Any]:
        """Classify grey crops, from 8 bits to probabilities."""
        crops = self.numpy.load(path)
        classify = self.networks[network]._classify_emotions

        def call() -> Any:  # noqa: ANN401 - an array or a tensor
            faces = [self.cv2.resize(crop, (64, 64)) for crop in crops]
            scaled = self.numpy.array(faces, dtype="float32") / 255.0
            return self.numpy.asarray(classify((scaled - 0.5) * 2.0))

        return {"seconds": seconds(call, repeats), "labels": call().argmax(axis=1).tolist()}

    def photo(self, path: str, repeats: int) -> dict[str, Any]:
        """Find and classify the faces of an image, from its file."""
        detector = self.networks["tflite"]
        times = seconds(lambda: detector.detect_emotions(path), repeats)
        return {"seconds": times, "faces": len(detector.detect_emotions(path))}

    def video(self, path: str) -> dict[str, Any]:
        """Read a video and find and classify the faces of each frame.

        The peer's own ``Video.analyze`` does this and then asks OpenCV for a key, which its
        headless build refuses.
        """
        start = time.perf_counter()
        capture = self.cv2.VideoCapture(path)
        frames = with_face = 0
        while True:
            is_read, frame = capture.read()
            if not is_read:
                break
            frames += 1
            with_face += bool(self.networks["tflite"].detect_emotions(frame))
        took = time.perf_counter() - start
        return {"seconds": [took / frames], "frames": frames, "frames_with_a_face": with_face}


def seconds(call: Callable[[], object], repeats: int) -> list[float]:
    """Return how long each of some calls took."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return times


if __name__ == "__main__":
    main()
