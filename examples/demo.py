"""Recognise the expressions in a photograph: print all probabilities, save the image marked.

python examples/demo.py            # NASA's photograph of Eileen Collins, an astronaut
python examples/demo.py photo.jpg  # one of your own
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import facial_expressions as fx

PHOTO = Path(__file__).with_name("astronaut.jpg")  # NASA, public domain
OUTPUT = Path("demo-output")
BAR_WIDTH = 24


def describe(number: int, face: fx.Face) -> str:
    """Return a table of all probabilities of one face."""
    left, top, right, bottom = (round(value) for value in face.box.xyxy)
    doubt = " (uncertain)" if face.uncertain else ""
    lines = [
        f"face {number} at ({left}, {top})-({right}, {bottom}): "
        f"{face.expression} {face.confidence:.0%}{doubt}"
    ]
    for label, value in face.probabilities.items():
        bar = "█" * round(value * BAR_WIDTH)
        lines.append(f"  {label:<10}{value:>7.1%}  {bar}")
    return "\n".join(lines)


def run(photo: Path, output: Path, model: str) -> Path:
    """Recognise one photograph, print what was found, and return where the marked one is."""
    started = time.perf_counter()
    recognizer = fx.load_recognizer(model)
    loaded = time.perf_counter()
    faces = recognizer.recognize(photo)
    done = time.perf_counter()

    print(f"{photo}\n")
    for number, face in enumerate(faces, 1):
        print(describe(number, face), end="\n\n")
    if not faces:
        print("no face found\n")
    print(f"models opened in {loaded - started:.2f} s, recognised in {done - loaded:.2f} s")

    output.mkdir(parents=True, exist_ok=True)
    marked = output / f"{photo.stem}-faces.png"
    fx.draw_faces(photo, faces).save(marked)
    return marked


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the arguments and run; return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("photo", nargs="?", type=Path, help="a photograph; else an astronaut's")
    parser.add_argument("--output", type=Path, default=OUTPUT, help="folder for the marked image")
    parser.add_argument("--model", default="default", help="a shipped model's name, or a file")
    options = parser.parse_args(arguments)
    try:
        marked = run(options.photo or PHOTO, options.output, options.model)
    except fx.FacialExpressionsError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    print(f"marked image: {marked}")
    return 0


if __name__ == "__main__":
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(encoding="utf-8", errors="replace")
    sys.exit(main())
