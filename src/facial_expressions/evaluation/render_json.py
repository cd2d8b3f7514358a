"""Renders a report as ``report.json``."""

from __future__ import annotations

import json

from facial_expressions.evaluation.report import Report

__all__ = ["render_json"]


def render_json(report: Report) -> str:
    """Return the report as JSON, two spaces deep.

    Two runs differ in ``latency_ms`` and ``run`` only. NaN and infinity, which JSON does not
    have, never occur.
    """
    return json.dumps(report.to_dict(), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
