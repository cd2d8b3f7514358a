"""The verb ``compare``: reports side by side, with a paired test of every two."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["command"]


def command(
    reports: Annotated[
        list[Path], typer.Argument(help="Two or more folders that 'evaluate --out' wrote.")
    ],
    out: Annotated[
        list[Path] | None,
        typer.Option(help="File to write as well: .md or .html; may be given again."),
    ] = None,
) -> None:
    """Set reports side by side; every two are compared image by image."""
    from facial_expressions.evaluation.comparison import read_report
    from facial_expressions.files import write_file
    from facial_expressions.pages.comparison_page import comparison_page, comparison_text

    if len(reports) < 2:
        raise typer.BadParameter(f"give two reports or more; received {len(reports)}")
    for path in out or []:
        if path.suffix not in (".md", ".html"):
            raise typer.BadParameter(
                f"--out writes .md or .html; received {path.name}; choose one of these endings"
            )
    stored = [read_report(path) for path in reports]
    print(comparison_text(stored), end="")
    for path in out or []:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_file(path, comparison_page(stored, path.suffix))
        typer.echo(f"wrote {path}", err=True)
