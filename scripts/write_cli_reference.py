"""Write docs/cli.md: the help of every verb, as the command line itself prints it.

Example:
    python scripts/write_cli_reference.py
    python scripts/write_cli_reference.py --check
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
from pathlib import Path
from typing import Final

PAGE: Final = Path(__file__).resolve().parents[1] / "docs" / "cli.md"
WIDTH: Final = "88"

HEADER: Final = """# Command line

Written by `scripts/write_cli_reference.py` from the program itself; `make reference` renews it.

Results go to stdout, everything else to stderr. Exit codes: 0 everything done; 1 an input was
rejected or failed; 2 wrong usage, inputs of which none is there, or an impossible recipe; 3 a
model or a checkpoint is missing, damaged or of another kind; 4 the environment (an extra that is
not installed, no permission, a full disk); 130 interrupted, 143 and 129 after SIGTERM and SIGHUP.

Two environment variables: `FACIAL_EXPRESSIONS_LOG_LEVEL` is the default of `--log-level`,
`FACIAL_EXPRESSIONS_CACHE` names the folder for decoded data sets.
"""


def main(arguments: list[str]) -> int:
    """Write the page, or with ``--check`` say whether it is as the program has it."""
    page = build_page()
    if "--check" in arguments:
        if PAGE.read_text(encoding="utf-8") == page:
            return 0
        print(f"{PAGE.name} is stale; run: make reference", file=sys.stderr)
        return 1
    PAGE.write_text(page, encoding="utf-8")
    print(PAGE)
    return 0


def build_page() -> str:
    """Return the page."""
    sections = [HEADER]
    for words in _verbs():
        title = " ".join(["facial-expressions", *words])
        sections.append(f"## `{title}`\n\n```text\n{_help(words)}\n```\n")
    return "\n".join(sections)


def _verbs() -> list[list[str]]:
    """Return the words of every verb, each followed by its own verbs."""
    from typer.main import get_command

    from facial_expressions.cli.main import build_app

    words: list[list[str]] = [[]]
    for verb, command in getattr(get_command(build_app()), "commands", {}).items():
        words += [[verb], *([verb, inner] for inner in getattr(command, "commands", {}))]
    return words


def _help(words: list[str]) -> str:
    from facial_expressions.cli.main import main as run

    os.environ["COLUMNS"] = WIDTH
    page = io.StringIO()
    with contextlib.redirect_stdout(page):
        run([*words, "--help"])
    return "\n".join(line.rstrip() for line in page.getvalue().strip().splitlines())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
