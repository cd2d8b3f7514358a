"""The verb ``compare``: reports side by side, with a paired test."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["command"]


def command(
    reports: Annotated[
        list[Path], typer.Argument(help="Two or more folders that 'evaluate --out' wrote.")
    ],
) -> None:
    """Set reports side by side; each is compared with the first, picture by picture."""
    from facial_expressions.evaluation.comparison import read_report, render_comparison

    if len(reports) < 2:
        raise typer.BadParameter(f"give two reports or more; received {len(reports)}")
    print(render_comparison([read_report(path) for path in reports]), end="")
