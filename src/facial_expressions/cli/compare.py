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
    """Set reports side by side; every two are compared picture by picture."""
    from facial_expressions.evaluation import render_comparison as forms
    from facial_expressions.evaluation.comparison import read_report

    renderers = {
        ".md": forms.render_comparison_markdown,
        ".html": forms.render_comparison_html,
    }
    if len(reports) < 2:
        raise typer.BadParameter(f"give two reports or more; received {len(reports)}")
    for path in out or []:
        if path.suffix not in renderers:
            raise typer.BadParameter(
                f"--out writes .md or .html; received {path.name}; choose one of these endings"
            )
    stored = [read_report(path) for path in reports]
    print(forms.render_comparison_text(stored), end="")
    for path in out or []:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(renderers[path.suffix](stored), encoding="utf-8", newline="\n")
        typer.echo(f"wrote {path}", err=True)
