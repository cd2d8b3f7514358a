"""Put an exported model file into the package and its digest into ``models/index.json``.

Model files stay in git history for good, so one replaces another of the same name only when it is
better by more than noise on validation, by the figures that ``export`` wrote into the file: more
answers right, or as many and a higher likelihood, which tells two networks apart on fewer images;
or, with ``--recalibrated``, when its answers are the same and their likelihood is higher. A variant
of another model (the same network in 8 bits) goes with that model: it may lose 0.3 points to it.

    python scripts/release_model.py mine.onnx --summary "One sentence about it."
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from pathlib import Path
from typing import Any, Final

from facial_expressions.files import write_file
from facial_expressions.inference.classifier import load_classifier
from facial_expressions.inference.runtime import file_sha256
from facial_expressions.model_metadata import ModelMetadata

MODELS: Final = Path(__file__).resolve().parents[1] / "src" / "facial_expressions" / "models"

MIN_GAIN: Final = 0.007  # of validation accuracy: seeds of one recipe differ by less
# Where accuracy is no lower: two standard errors of the paired difference, which was 0.0069 between
# two files of ``compact``.
MIN_NLL_GAIN: Final = 0.014
MAX_LOSS: Final = 0.003  # of a variant against its model


def main(arguments: list[str], models: Path = MODELS) -> int:
    """Release a file, or say why not."""
    parser = argparse.ArgumentParser(description="Put a model file into the package.")
    parser.add_argument("file", type=Path)
    parser.add_argument("--summary", required=True, help="one sentence about the model")
    parser.add_argument("--variant-of", default="", help="the model whose network this is too")
    parser.add_argument("--recalibrated", action="store_true", help="the same answers, surer ones")
    parser.add_argument("--default", action="store_true", help="make it the default model")
    options = parser.parse_args(arguments)
    new = load_classifier(options.file).metadata
    if complaint := _complaint(new, models, options):
        print(f"{new.name} is not released: {complaint}", file=sys.stderr)
        return 1
    models.mkdir(exist_ok=True)
    file = Path(shutil.copyfile(options.file, models / f"{new.name}.onnx"))
    path = models / "index.json"
    index: dict[str, Any] = {"default": new.name, "models": {}}  # the first becomes the default
    if path.is_file():
        index = json.loads(path.read_text(encoding="utf-8"))
    if options.default:
        index["default"] = new.name
    index["models"][new.name] = {
        "file": file.name,
        "sha256": file_sha256(file),
        "bytes": file.stat().st_size,
        "labels": ", ".join(new.head_names),
        "licence": new.licence,
        "summary": options.summary,
        **({"variant_of": options.variant_of} if options.variant_of else {}),
    }
    write_file(path, json.dumps(index, indent=2) + "\n")
    print(f"released {file.name}, {file.stat().st_size} bytes")
    return 0


def _complaint(new: ModelMetadata, models: Path, options: argparse.Namespace) -> str:
    """Return why a file does not go with its model or replace the one before it, or nothing."""
    path = models / f"{options.variant_of or new.name}.onnx"
    if not (options.variant_of or path.is_file()):
        return ""
    old = load_classifier(path).metadata
    before, after = old.heads[0].figures, new.heads[0].figures  # of the labels
    gain = after["validation_accuracy"] - before["validation_accuracy"]
    surer = before["validation_nll"] - after["validation_nll"]
    if options.variant_of:
        is_right = gain >= -MAX_LOSS
        rule = f"A variant of {options.variant_of} loses no more than {MAX_LOSS} of accuracy"
    elif options.recalibrated:
        has_more = len(new.heads) > len(old.heads) and surer == 0
        is_right = abs(gain) < 1e-3 and (surer > 0 or has_more)
        rule = "A recalibrated file has the same answers and a higher likelihood, or a head more"
    else:
        is_right = gain >= MIN_GAIN or (gain >= 0 and surer >= MIN_NLL_GAIN)
        rule = f"A new file gains {MIN_GAIN} of accuracy, or {MIN_NLL_GAIN} of the other"
    found = f"validation accuracy {gain:+.4f}, negative log-likelihood {-surer:+.4f}"
    return "" if is_right else f"{found}. {rule}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
