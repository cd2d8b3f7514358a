"""Put an exported model file into the package and its digest into ``models/index.json``.

Model files stay in git history for good, so one replaces another of the same name only when it is
better by more than noise on validation, by the figures that ``export`` wrote into the file: more
answers right, or as many and a higher likelihood, which tells two networks apart on fewer pictures;
or, with ``--recalibrated``, when its answers are the same and their likelihood is higher. A variant
of another model (the same network in 8 bits) goes with that model: it may lose 0.3 points to it.

Example:
    python scripts/release_model.py mine.onnx --summary "One sentence about it."
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import sys
from pathlib import Path
from typing import Any, Final

from facial_expressions.files import write_file
from facial_expressions.inference.classifier import ExpressionClassifier
from facial_expressions.model_metadata import Head, ModelMetadata

MODELS: Final = Path(__file__).resolve().parents[1] / "src" / "facial_expressions" / "models"

MIN_GAIN: Final = 0.007
"""Least gain of validation accuracy that counts: seeds of one recipe differ by less."""

MIN_NLL_GAIN: Final = 0.014
"""Least fall of the negative log-likelihood that counts where accuracy is no lower: two standard
errors of the paired difference, which was 0.0069 between two files of ``compact``."""

MAX_LOSS: Final = 0.003
"""Most that a variant may lose to its model."""


def main(arguments: list[str], models: Path = MODELS) -> int:
    """Release a file, or say why not."""
    parser = argparse.ArgumentParser(description="Put a model file into the package.")
    parser.add_argument("file", type=Path)
    parser.add_argument("--summary", required=True, help="one sentence about the model")
    parser.add_argument("--variant-of", default="", help="the model whose network this is too")
    parser.add_argument("--recalibrated", action="store_true", help="the same answers, surer ones")
    parser.add_argument("--default", action="store_true", help="make it the default model")
    options = parser.parse_args(arguments)
    new = ExpressionClassifier.load(options.file)
    metadata = new.metadata
    old = models / f"{metadata.name}.onnx"
    if options.variant_of:
        base = ExpressionClassifier.load(models / f"{options.variant_of}.onnx")
        loss = _validation_accuracy(base.head) - _validation_accuracy(new.head)
        if loss > MAX_LOSS:
            print(
                f"{metadata.name} loses {loss:.4f} to {options.variant_of} on validation, more "
                f"than {MAX_LOSS}",
                file=sys.stderr,
            )
            return 1
    elif old.is_file():
        complaint = _compare(new.head, ExpressionClassifier.load(old).head, options)
        if complaint:
            print(f"{metadata.name} stays as it is: {complaint}", file=sys.stderr)
            return 1
    models.mkdir(exist_ok=True)
    shutil.copyfile(options.file, old)
    index = _updated_index(models / "index.json", old, metadata, options)
    write_file(models / "index.json", json.dumps(index, indent=2) + "\n")
    print(f"released {old.name}, {old.stat().st_size} bytes")
    return 0


def _compare(new: Head, old: Head, options: argparse.Namespace) -> str:
    """Return why a file does not replace the one before it; nothing when it does."""
    gain = _validation_accuracy(new) - _validation_accuracy(old)
    nll, before = (one.figures["validation_nll"] for one in (new, old))
    if not options.recalibrated:
        surer = gain >= 0 and before - nll >= MIN_NLL_GAIN
        if gain >= MIN_GAIN or surer:
            return ""
        return (
            f"the new file gains {gain:+.4f} on validation, which is less than {MIN_GAIN}, and its "
            f"negative log-likelihood falls by {before - nll:.4f}, where {MIN_NLL_GAIN} would count"
        )
    if abs(gain) < 1e-3 and nll < before:
        return ""
    return (
        f"a recalibrated file has the same answers and a higher likelihood; received {gain:+.4f} "
        f"of accuracy and a log-likelihood of {-nll:.4f}, which was {-before:.4f}"
    )


def _validation_accuracy(head: Head) -> float:
    return head.figures["validation_accuracy"]


def _updated_index(
    path: Path, file: Path, metadata: ModelMetadata, options: argparse.Namespace
) -> dict[str, Any]:
    """Return the index with the model's entry; the first model becomes the default."""
    index: dict[str, Any] = {"default": metadata.name, "models": {}}
    if path.is_file():
        index = json.loads(path.read_text(encoding="utf-8"))
    if options.default:
        index["default"] = metadata.name
    index["models"][metadata.name] = {
        "file": file.name,
        "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
        "bytes": file.stat().st_size,
        "labels": ", ".join(metadata.head_names),
        "licence": metadata.licence,
        "summary": options.summary,
        **({"variant_of": options.variant_of} if options.variant_of else {}),
    }
    return index


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
