"""Write docs/http.md: every address of the server, from the server's own description.

Example:
    python scripts/write_http_reference.py
    python scripts/write_http_reference.py --check
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Final

PAGE: Final = Path(__file__).resolve().parents[1] / "docs" / "http.md"

HEADER: Final = """# HTTP API

Written by `scripts/write_http_reference.py` from the server's own description; `make reference`
renews it. A running server gives the same as OpenAPI at `/openapi.json`. Limits and what stands
behind the status codes: [how to serve](how-to/serve.md).
"""


def main(arguments: list[str]) -> int:
    """Write the page, or with ``--check`` say whether it is as the server has it."""
    page = build_page(_description())
    if "--check" in arguments:
        if PAGE.read_text(encoding="utf-8") == page:
            return 0
        print(f"{PAGE.name} is stale; run: make reference", file=sys.stderr)
        return 1
    PAGE.write_text(page, encoding="utf-8")
    print(PAGE)
    return 0


def build_page(description: dict[str, Any]) -> str:
    """Return the page of an OpenAPI description."""
    parts = [HEADER]
    for path, methods in description["paths"].items():
        for method, operation in methods.items():
            parts.append(_operation(f"{method.upper()} {path}", operation))
    parts.append("## Answers\n")
    schemas = description["components"]["schemas"]
    parts += [_schema(name, schemas[name]) for name in sorted(schemas)]
    return "\n".join(parts)


def _description() -> dict[str, Any]:
    from facial_expressions.inference.recognizer import load_recognizer
    from facial_expressions.server.app import create_app

    return create_app(load_recognizer()).openapi()


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
    lines += ["| status | answer |", "| --- | --- |"]
    for status, response in operation["responses"].items():
        content = response.get("content", {}).get("application/json", {}).get("schema", {})
        text = response["description"]
        meaning = "" if text in ("Successful Response", "") else f", {text}"
        lines.append(f"| {status} | {_type(content)}{meaning} |")
    return "\n".join(lines) + "\n"


def _schema(name: str, schema: dict[str, Any]) -> str:
    lines = [f"### {name}\n", schema.get("description", "") + "\n"]
    lines += ["| field | type | meaning |", "| --- | --- | --- |"]
    for field, one in schema["properties"].items():
        lines.append(f"| `{field}` | {_type(one)} | {one.get('description', '')} |")
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
