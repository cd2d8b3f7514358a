"""What the recognizer in the browser has to know: no number or name of the package is typed there.

The page's ``model.json`` holds these facts: what the model file says of itself, and the constants
of the code that ``web/recognizer/`` follows.
"""

from __future__ import annotations

from dataclasses import asdict
from inspect import signature
from pathlib import Path
from typing import Any, get_args

from facial_expressions import limits, quality, results
from facial_expressions.images import MAX_SIDE
from facial_expressions.inference.detectors import centerface, tiles
from facial_expressions.inference.recognizer import ExpressionRecognizer, load_recognizer
from facial_expressions.media import analysis, tracking
from facial_expressions.media.analysis import FrameAnalyzer
from facial_expressions.model_metadata import INPUT_NAME
from facial_expressions.preprocessing import _FINEST, _GRID, _LARGEST_OVERHANG
from facial_expressions.rows import IMAGE, Column, as_row
from facial_expressions.server import answers, cameras

__all__ = ["facts"]


def facts(model: str | Path) -> dict[str, Any]:
    """Return what the recognizer has to know of a model and of the package, as plain values.

    Args:
        model: Name of a shipped model, or path of a model file.
    """
    recognizer = load_recognizer(model, threads=1)
    return {
        "model": as_row(answers.MODEL, recognizer),
        "classifier": _classifier_facts(recognizer),
        "detector": _detector_facts(),
        "quality": _quality_facts(),
        "limits": {"pixels": limits.MAX_PIXELS, "side": MAX_SIDE, "faces": results.MAX_FACES},
        "schema": results.SCHEMA,
        "row": [_column_facts(column) for column in IMAGE if "object" in column.outputs],
        "tracking": _tracking_facts(),
    }


def _classifier_facts(recognizer: ExpressionRecognizer) -> dict[str, Any]:
    classifier = recognizer.classifier
    return {
        "input": INPUT_NAME,
        "output": classifier.head.output,
        "maps": classifier.head.maps,
        "preprocessing": classifier.metadata.preprocessing.to_dict(),
    }


def _detector_facts() -> dict[str, Any]:
    return {
        "input": centerface._INPUT,
        "outputs": centerface._OUTPUTS,
        "min_score": centerface.MIN_SCORE,
        "small_side": centerface.SMALL_SIDE,
        "large_sides": centerface.LARGE_SIDES,
        "faint": centerface.FAINT,
        "tiny_face": centerface.TINY_FACE,
        "large_face": centerface.LARGE_FACE,
        "tile_face": centerface.TILE_FACE,
        "half_face": centerface.HALF_FACE,
        "off_grid": centerface._OFF_GRID,
        "tile_margin": tiles._MARGIN,
        "tile_around": tiles._AROUND,
        "tile_start": tiles._START,
        "most_tiles": tiles._MOST,
        "gap": tiles._GAP,
        "step": centerface._STEP,
        "multiple": tiles.MULTIPLE,
        "max_overlap": centerface._MAX_OVERLAP,
        "max_contained": centerface._MAX_CONTAINED,
        "framing": asdict(centerface.CenterFaceDetector.framing),
        "finest": _FINEST,
        "grid": _GRID,
        "largest_overhang": _LARGEST_OVERHANG,
    }


def _quality_facts() -> dict[str, Any]:
    return {
        "crop_side": quality.CROP_SIDE,
        "reasons": get_args(quality.Reason),
        "smallest_width_px": quality.SMALLEST_WIDTH_PX,
        "least_sharpness": quality.LEAST_SHARPNESS,
        "least_light": quality.LEAST_LIGHT,
        "most_yaw": quality.MOST_YAW,
        "most_pitch": quality.MOST_PITCH,
        "most_roll_degrees": quality.MOST_ROLL_DEGREES,
        "light_percentile": quality._LIGHT_PERCENTILE,
        "far": quality._FAR,
    }


def _tracking_facts() -> dict[str, Any]:
    return {
        "interval_s": _default(FrameAnalyzer, "interval_s"),
        "kept_s": cameras._KEPT_S,
        "full_search_s": analysis.FULL_SEARCH_S,
        "rest_s": analysis._REST_S,
        "same_face": analysis._SAME_FACE,
        "reach": tracking._REACH,
        "reach_per_second": tracking._REACH_PER_SECOND,
        "longest_reach": tracking._LONGEST_REACH,
        "largest_ratio": tracking._LARGEST_RATIO,
        "limit": tracking._LIMIT,
        "longest_gap_s": tracking._LONGEST_GAP_S,
        "n_intervals": tracking._N_INTERVALS,
        "speed_memory_s": tracking._SPEED_MEMORY_S,
        "speed_decay_s": tracking._SPEED_DECAY_S,
    }


def _default(made: type, parameter: str) -> float:
    """Return the default of a constructor's parameter."""
    return float(signature(made).parameters[parameter].default)


def _column_facts(column: Column) -> dict[str, Any]:
    """Return what a row's writer has to know of a column."""
    facts_of: dict[str, Any] = {"name": column.name}
    inner = [_column_facts(one) for one in column.columns if "object" in one.outputs]
    if inner:
        facts_of["columns"] = inner
    if column.decimals is not None:
        facts_of["decimals"] = column.decimals
    if column.is_optional:
        facts_of["is_optional"] = True
    return facts_of
