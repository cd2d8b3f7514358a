"""Runs the package of another checkout: times what it is told, one line of JSON each.

Started by ``benchmarks/against.py`` with the folder that has the package; only what every version
of it has is used.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


def main() -> None:
    """Answer tasks from standard input until it ends."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # only answers may be on the pipe
    side = Side(Path(sys.argv[1]))
    for line in sys.stdin:
        answers.write(json.dumps(side.do(**json.loads(line))) + "\n")
        answers.flush()


class Side:
    """The package in a folder, with its default model."""

    def __init__(self, source: Path) -> None:
        sys.path.insert(0, str(source))
        import facial_expressions
        from facial_expressions.media.analysis import analyze_video

        if not Path(facial_expressions.__file__).is_relative_to(source):
            raise SystemExit(f"{facial_expressions.__file__}: imported in place of {source}")
        self.source, self.analyze_video = source, analyze_video
        self.recognizer = facial_expressions.load_recognizer()

    def do(self, task: str, **fields: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
        """Do a task by its name."""
        work: Callable[..., dict[str, Any]] = getattr(self, task)
        return work(**fields)

    def photo(self, path: str) -> dict[str, Any]:
        """Find and classify the faces of an image five times, from its file."""
        times = []
        for _ in range(5):
            start = time.perf_counter()
            faces = self.recognizer.recognize(path)
            times.append(time.perf_counter() - start)
        return {"seconds": times, "faces": len(faces)}

    def video(self, path: str) -> dict[str, Any]:
        """Find, track and classify the faces of every frame, from the file."""
        start = time.perf_counter()
        found = [len(one.faces) for one in self.analyze_video(path, recognizer=self.recognizer)]
        return {"seconds": [(time.perf_counter() - start) / len(found)], "faces": sum(found)}

    def batch(self, path: str) -> dict[str, Any]:
        """Run the command ``batch`` with two processes on a folder, its start included."""
        with tempfile.TemporaryDirectory() as name:
            rows = Path(name) / "rows"
            words = ["-m", "facial_expressions", "batch", path, str(rows), "--workers", "2"]
            environment = os.environ | {"PYTHONPATH": str(self.source)}
            start = time.perf_counter()
            subprocess.run(
                [sys.executable, *words], env=environment, check=True, capture_output=True
            )
            took_s = time.perf_counter() - start
            texts = [one.read_text(encoding="utf-8") for one in rows.glob("rows-*.jsonl")]
        found = [json.loads(row) for text in texts for row in text.splitlines()]
        faces = sum(len(row["faces"]) for row in found)
        return {"seconds": [took_s / len(found)], "faces": faces}


if __name__ == "__main__":
    main()
