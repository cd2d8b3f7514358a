"""Write the command line's page, the server's page and the badges from what each says of itself.

These are ``docs/cli.md``, ``docs/http.md`` and ``docs/assets/badge-*.svg``, and the programs of
``examples/`` in ``docs/how-to/recipes.md``.

Example:
    python -m scripts.write_reference
    python -m scripts.write_reference --check
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from typer.main import get_command

from facial_expressions.cli.main import build_app
from facial_expressions.cli.main import main as run
from facial_expressions.inference.recognizer import load_recognizer
from facial_expressions.server.app import create_app
from scripts.pages import ROOT, fill_blocks, markdown_table, write_or_check

WIDTH: Final = "88"

CLI_HEADER: Final = """# Command line

Written by `scripts/write_reference.py` from the program itself; `make reference` renews it.

Results go to stdout, everything else to stderr. Exit codes: 0 everything done; 1 an input was
rejected or failed; 2 wrong usage, inputs of which none is there, or an impossible recipe; 3 a
model or a checkpoint is missing, damaged or of another kind; 4 the environment (an extra that is
not installed, no permission, a full disk); 130 interrupted, 143 and 129 after SIGTERM and SIGHUP.

Two environment variables: `FACIAL_EXPRESSIONS_LOG_LEVEL` is the default of `--log-level`,
`FACIAL_EXPRESSIONS_CACHE` names the folder for decoded data sets.
"""

HTTP_HEADER: Final = """# HTTP API

Written by `scripts/write_reference.py` from the server's own description; `make reference`
renews it. A running server gives the same as OpenAPI at `/openapi.json`. Limits and what stands
behind the status codes: [how to serve](how-to/serve.md).
"""


def main(arguments: Sequence[str]) -> int:
    """Write the pages, or with ``--check`` say whether they are as the program has them."""
    recipes = ROOT / "docs" / "how-to" / "recipes.md"
    pages = {
        recipes: fill_blocks(recipes.read_text(encoding="utf-8"), "example", program),
        ROOT / "docs" / "cli.md": command_line_page(),
        ROOT / "docs" / "http.md": http_page(create_app(load_recognizer()).openapi()),
    } | badges(tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8")))
    return write_or_check(pages, arguments, task="reference")


def program(name: str, _: list[str]) -> list[str]:
    """Return a program of ``examples/`` as a block of Markdown."""
    text = (ROOT / "examples" / f"{name}.py").read_text(encoding="utf-8")
    return ["```py", *text.splitlines(), "```"]


def badges(settings: dict[str, Any]) -> dict[Path, str]:
    """Return the badges of the README, each true by what ``pyproject.toml`` declares.

    Args:
        settings: Content of ``pyproject.toml``.
    """
    project, tools = settings["project"], settings["tool"]
    prefix = "Programming Language :: Python :: 3."
    minors = [one.removeprefix(prefix) for one in project["classifiers"] if prefix in one]
    texts = {
        "python": ("Python", f"3.{minors[0]} to 3.{minors[-1]}"),
        "licence": ("licence", project["license"]),
        "typed": ("mypy", "strict" if tools["mypy"]["strict"] else "not strict"),
        "coverage": ("coverage", f"{tools['coverage']['report']['fail_under']}% or more"),
    }
    return {
        ROOT / "docs" / "assets" / f"badge-{name}.svg": badge(*text) for name, text in texts.items()
    }


def badge(left: str, right: str) -> str:
    """Return a badge as SVG: what it is about, and what is true of it."""
    widths = [round(6.6 * len(text)) + 14 for text in (left, right)]
    whole = sum(widths)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{whole}" height="20" role="img" '
        f'aria-label="{left}: {right}">'
        f'<rect width="{whole}" height="20" rx="3" fill="#444c56"/>'
        f'<path d="M{widths[0]} 0h{widths[1] - 3}a3 3 0 0 1 3 3v14a3 3 0 0 1-3 3h-{widths[1] - 3}z"'
        ' fill="#1a7f37"/><g fill="#fff" font-size="11" text-anchor="middle" '
        'font-family="Verdana,DejaVu Sans,sans-serif">'
        f'<text x="{widths[0] / 2:g}" y="14">{left}</text>'
        f'<text x="{widths[0] + widths[1] / 2:g}" y="14">{right}</text></g></svg>\n'
    )


def command_line_page() -> str:
    """Return the help of every verb, as the command line itself prints it."""
    sections = [CLI_HEADER]
    for words in _verbs():
        title = " ".join(["facial-expressions", *words])
        sections.append(f"## `{title}`\n\n```text\n{_help(words)}\n```\n")
    return "\n".join(sections)


def _verbs() -> list[list[str]]:
    """Return the words of every verb, each followed by its own verbs."""
    words: list[list[str]] = [[]]
    for verb, command in getattr(get_command(build_app()), "commands", {}).items():
        words += [[verb], *([verb, inner] for inner in getattr(command, "commands", {}))]
    return words


def _help(words: list[str]) -> str:
    os.environ["COLUMNS"] = WIDTH
    page = io.StringIO()
    with contextlib.redirect_stdout(page):
        run([*words, "--help"])
    return "\n".join(line.rstrip() for line in page.getvalue().strip().splitlines())


def http_page(description: dict[str, Any]) -> str:
    """Return the page of an OpenAPI description: every address, then every answer."""
    parts = [HTTP_HEADER]
    for path, methods in description["paths"].items():
        for method, operation in methods.items():
            parts.append(_operation(f"{method.upper()} {path}", operation))
    parts.append("## Answers\n")
    schemas = description["components"]["schemas"]
    parts += [_schema(name, schemas[name]) for name in sorted(schemas)]
    return "\n".join(parts)


def _operation(title: str, operation: dict[str, Any]) -> str:
    lines = [f"## `{title}`\n", operation["description"].strip().replace("``", "`") + "\n"]
    for parameter in operation.get("parameters", ()):
        lines.append(
            f"Parameter `{parameter['name']}` ({_type(parameter['schema'])}, default "
            f"`{str(parameter['schema'].get('default')).lower()}`): {parameter['description']}\n"
        )
    kinds = operation.get("requestBody", {}).get("content", {})
    if kinds:
        lines.append("Body: " + " or ".join(f"`{kind}`" for kind in kinds) + ".\n")
    answers = []
    for status, response in operation["responses"].items():
        content = response.get("content", {}).get("application/json", {}).get("schema", {})
        text = response["description"]
        meaning = "" if text in ("Successful Response", "") else f", {text}"
        answers.append((status, _type(content) + meaning))
    lines += markdown_table(("status", "answer"), answers, left=2)
    return "\n".join(lines) + "\n"


def _schema(name: str, schema: dict[str, Any]) -> str:
    lines = [f"### {name}\n", schema.get("description", "") + "\n"]
    rows = [
        (f"`{field}`", _type(one), one.get("description", ""))
        for field, one in schema["properties"].items()
    ]
    lines += markdown_table(("field", "type", "meaning"), rows, left=3)
    return "\n".join(lines) + "\n"


def _type(schema: dict[str, Any]) -> str:
    """Return a type in words; another schema is linked."""
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[-1]
        return f"[{name}](#{name.lower()})"
    if "anyOf" in schema:
        return " or ".join(_type(one) for one in schema["anyOf"])
    if "const" in schema or "enum" in schema:
        return ", ".join(f"`{one}`" for one in schema.get("enum", [schema.get("const")]))
    if schema.get("type") == "array":
        return f"list of {_type(schema['items'])}"
    if isinstance(schema.get("additionalProperties"), dict):
        return f"object of {_type(schema['additionalProperties'])}"
    return str(schema.get("type", "text"))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
