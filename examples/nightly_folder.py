"""Add the new images of a folder to a table; for a cron job.

An image that is in the table already is not read again, and a bad one gets a row too, so that a
run picks up where the last one ended. In a crontab, each night at two:

0 2 * * *  cd /srv/photos && .venv/bin/python nightly_folder.py incoming expressions.csv
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Sequence
from pathlib import Path

import facial_expressions as fx

COLUMNS = ("image", "status", "face", "expression", "confidence")
SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}


def main(arguments: Sequence[str]) -> int:
    """Read the images that are new and append their rows; return the exit code."""
    folder, table = map(Path, arguments)
    is_new = not table.exists()
    with table.open("a+", encoding="utf-8", newline="") as file:
        file.seek(0)
        known = {row["image"] for row in csv.DictReader(file)}
        found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
        images = [path for path in found if str(path) not in known]
        rows = csv.writer(file)
        if is_new:
            rows.writerow(COLUMNS)
        for result in fx.load_recognizer().recognize_rows(images):
            faces = [(face.expression, f"{face.confidence:.3f}") for face in result.faces]
            for number, face in enumerate(faces or [("", "")], 1):
                rows.writerow([result.source, result.status, number if faces else 0, *face])
            file.flush()
    print(f"{len(images)} new images")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
