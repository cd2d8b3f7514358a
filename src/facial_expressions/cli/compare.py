"""The verb ``compare``: reports side by side, with a paired test of every two."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from typer import Argument


def command(
    reports: Annotated[
        list[Path], Argument(metavar="REPORT", help="Two or more folders of 'evaluate --out'.")
    ],
) -> None:
    """Compare reports side by side, and each pair image by image."""
    from facial_expressions.evaluation.comparison import comparison_text, read_report

    if len(reports) < 2:
        raise typer.BadParameter("give two reports or more.", param_hint="REPORTS")
    print(comparison_text([read_report(path) for path in reports]), end="")
