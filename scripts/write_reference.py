"""Write the pages of the command line and the server from what each says of itself.

These are ``docs/cli.md`` and ``docs/http.md``; the programs of ``examples/`` go into
``docs/how-to/recipes.md``.

    python -m scripts.write_reference [--check]
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Sequence
from typing import Any, Final

from typer.main import get_command

from facial_expressions.cli.main import build_app
from facial_expressions.cli.main import main as run
from facial_expressions.inference.recognizer import load_recognizer
from facial_expressions.server.app import create_app
from scripts.pages import ROOT, fill_blocks, markdown_table, write_or_check


def main(arguments: Sequence[str]) -> int:
    """Write the pages, or with ``--check`` say whether they are as the program has them."""
    pages = {}
    for name in ("cli.md", "http.md", "how-to/recipes.md"):
        page = ROOT / "docs" / name
        text = fill_blocks(page.read_text(encoding="utf-8"), "example", program)
        pages[page] = fill_blocks(text, "reference", lambda kind, _: WRITERS[kind]())
    return write_or_check(pages, arguments, task="reference")


def program(name: str, _: list[str]) -> list[str]:
    """Return a program of ``examples/`` as a block of Markdown."""
    text = (ROOT / "examples" / f"{name}.py").read_text(encoding="utf-8")
    return ["```py", *text.splitlines(), "```"]


def command_line() -> list[str]:
    """Return the help of every verb, as the command line itself prints it."""
    verbs: list[list[str]] = [[]]
    for verb, command in getattr(get_command(build_app()), "commands", {}).items():
        verbs += [[verb], *([verb, inner] for inner in getattr(command, "commands", {}))]
    os.environ["COLUMNS"] = "88"
    lines: list[str] = []
    for words in verbs:
        page = io.StringIO()
        with contextlib.redirect_stdout(page):
            run([*words, "--help"])
        title = " ".join(["facial-expressions", *words])
        text = [line.rstrip() for line in page.getvalue().strip().splitlines()]
        lines += [f"## `{title}`\n", "```text", *text, "```\n"]
    return lines


def http_api() -> list[str]:
    """Return every address of the server's own description, then every answer."""
    description = create_app(load_recognizer()).openapi()
    lines: list[str] = []
    for path, methods in description["paths"].items():
        for method, operation in methods.items():
            lines += [f"## `{method.upper()} {path}`\n", *_operation(operation), ""]
    lines.append("## Answers\n")
    for name, schema in sorted(description["components"]["schemas"].items()):
        rows = [
            (f"`{field}`", _type(one), one.get("description", ""))
            for field, one in schema["properties"].items()
        ]
        lines += [f"### {name}\n", schema.get("description", "") + "\n"]
        lines += [*markdown_table(("field", "type", "meaning"), rows, left=3), ""]
    return lines


def _operation(operation: dict[str, Any]) -> list[str]:
    lines = [operation["description"].strip().replace("``", "`") + "\n"]
    for parameter in operation.get("parameters", ()):
        lines.append(
            f"Parameter `{parameter['name']}` ({_type(parameter['schema'])}, default "
            f"`{str(parameter['schema'].get('default')).lower()}`): {parameter['description']}\n"
        )
    if kinds := operation.get("requestBody", {}).get("content"):
        lines.append("Body: " + " or ".join(f"`{kind}`" for kind in kinds) + ".\n")
    answers = []
    for status, response in operation["responses"].items():
        content = response.get("content", {}).get("application/json", {}).get("schema", {})
        meaning = response["description"].removeprefix("Successful Response")
        answers.append((status, ", ".join(filter(None, (_type(content), meaning)))))
    return [*lines, *markdown_table(("status", "answer"), answers, left=2)]


def _type(schema: dict[str, Any]) -> str:
    """Return a type in words; another schema is linked."""
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[-1]
        return f"[{name}](#{name.lower()})"
    if "anyOf" in schema:
        return " or ".join(map(_type, schema["anyOf"]))
    if "const" in schema or "enum" in schema:
        return ", ".join(f"`{one}`" for one in schema.get("enum", [schema.get("const")]))
    if schema.get("type") == "array":
        return f"list of {_type(schema['items'])}"
    if isinstance(schema.get("additionalProperties"), dict):
        return f"object of {_type(schema['additionalProperties'])}"
    return str(schema.get("type", "text"))


WRITERS: Final = {"cli": command_line, "http": http_api}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
