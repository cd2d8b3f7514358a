"""The verb ``models``: list, describe, locate and verify the models that ship."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from facial_expressions.inference.classifier import ExpressionClassifier
    from facial_expressions.inference.model_store import ReleasedModel

__all__ = ["app"]

app = typer.Typer(help="List, describe, locate and verify models.", no_args_is_help=True)

ModelArgument = Annotated[str, typer.Argument(help="A shipped model's name, or a model file.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Write JSON instead of text.")]


@app.command(name="list", epilog="Example: facial-expressions models list")
def list_(as_json: JsonOption = False) -> None:
    """List the models in this package, the default first."""
    from facial_expressions.inference.model_store import list_models

    models = list_models()
    if as_json:
        print(json.dumps([_entry(model) for model in models], ensure_ascii=False))
        return
    width = max((len(model.name) for model in models), default=0)
    for model in models:
        mark = "*" if model.is_default else " "
        size = f"{model.n_bytes / 1e6:.1f} MB"
        print(f"{mark} {model.name:<{width}}  {size:>8}  {model.licence}  {model.summary}")


@app.command(epilog="Example: facial-expressions models info standardized-cnn")
def info(model: ModelArgument = "default", as_json: JsonOption = False) -> None:
    """Print what a model file says of itself: labels, input, figures, licence."""
    from facial_expressions.inference.classifier import load_classifier

    facts = _facts(load_classifier(model))
    if as_json:
        print(json.dumps(facts, ensure_ascii=False))
        return
    for name, value in facts.items():
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        print(f"{name:<16}{text or '-'}")


@app.command(epilog="Example: facial-expressions models path")
def path(model: ModelArgument = "default") -> None:
    """Print where a model's file lies."""
    from facial_expressions.inference.model_store import resolve

    print(resolve(model).path)


@app.command(epilog="Example: facial-expressions models verify")
def verify(
    model: Annotated[
        str | None, typer.Argument(help="A name or file; without it, every shipped model.")
    ] = None,
) -> None:
    """Check models: the digest of those that ship, that each opens, and a first answer."""
    from facial_expressions.inference.classifier import load_classifier
    from facial_expressions.inference.model_store import list_models

    names = [model] if model else [released.name for released in list_models()]
    for name in names:
        classifier = load_classifier(name)
        print(f"{name}  ok  {classifier.path}")


def _entry(model: ReleasedModel) -> dict[str, Any]:
    return {
        "name": model.name,
        "default": model.is_default,
        "path": str(model.path),
        "bytes": model.n_bytes,
        "sha256": model.sha256,
        "licence": model.licence,
        "summary": model.summary,
    }


def _facts(classifier: ExpressionClassifier) -> dict[str, Any]:
    from facial_expressions.inference.runtime import file_sha256

    metadata = classifier.metadata
    return {
        "name": metadata.name,
        "path": str(classifier.path),
        "sha256": file_sha256(classifier.path),
        "architecture": metadata.architecture,
        "labels": list(metadata.labels),
        "preprocessing": metadata.preprocessing.to_dict(),
        "temperature": metadata.temperature,
        "uncertain_below": metadata.uncertain_below,
        "licence": metadata.licence,
        "data": metadata.data,
        "data_digest": metadata.data_digest,
        "figures": dict(metadata.figures),
        "created_with": metadata.created_with,
    }
