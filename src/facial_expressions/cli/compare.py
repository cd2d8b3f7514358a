"""The verb ``compare``: reports side by side, with a paired test of every two."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from typer import Argument, Option

from facial_expressions.plain_text import shown


def command(
    reports: Annotated[
        list[Path], Argument(metavar="REPORT", help="Two or more folders of 'evaluate --out'.")
    ],
    out: Annotated[
        list[Path] | None, Option(help="Also write the comparison (.md, .html); may be repeated.")
    ] = None,
) -> None:
    """Compare reports side by side, and each pair image by image."""
    from facial_expressions.evaluation.comparison import read_report
    from facial_expressions.files import write_file
    from facial_expressions.pages.comparison_page import comparison_page, comparison_text

    if len(reports) < 2:
        raise typer.BadParameter("give two reports or more.", param_hint="REPORTS")
    for path in out or []:
        if path.suffix not in (".md", ".html"):
            raise typer.BadParameter(
                f"{shown(path.name)}: the name needs to end in .md or .html.", param_hint="--out"
            )
    stored = [read_report(path) for path in reports]
    print(comparison_text(stored), end="")
    for path in out or []:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_file(path, comparison_page(stored, path.suffix))
        typer.echo(f"wrote {path}", err=True)
