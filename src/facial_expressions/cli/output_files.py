"""Check the files that a verb is to write, before any work is done."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import typer

from facial_expressions.plain_text import shown


def check_output(
    file: Path,
    option: str,
    suffixes: Sequence[str],
    *,
    sources: Iterable[Path] = (),
    overwrite: bool = False,
) -> None:
    """Refuse a file that cannot be written, as wrong usage.

    Args:
        file: The file.
        option: The option that names it, for the message.
        suffixes: Endings that it may have.
        sources: Inputs, none of which it may be.
        overwrite: Whether a file that exists is replaced.

    Raises:
        typer.BadParameter: The file cannot be written so.
    """
    problem = ""
    if file.suffix.lower() not in suffixes:
        problem = f"the name needs to end in {', '.join(suffixes)}"
    elif not file.parent.is_dir():
        problem = "the folder does not exist. Create it first"
    elif file.exists() and any(one.exists() and file.samefile(one) for one in sources):
        problem = "this is an input. Choose another name"
    elif file.exists() and not overwrite:
        problem = "the file exists. Add --overwrite to replace it"
    if problem:
        raise typer.BadParameter(f"{shown(file)}: {problem}.", param_hint=option)
