"""Measuring a classifier: metrics, calibration, reports and their images.

Works on any object with ``labels`` and ``predict_proba``; knows no runtime. Metrics and plots
need the extra ``evaluate`` (scikit-learn, Matplotlib), which is imported only where it is used.
"""

from __future__ import annotations

from facial_expressions.evaluation.predictions import EvaluationSettings
from facial_expressions.evaluation.report import Report, evaluate
from facial_expressions.inference.contracts import Classifier

__all__ = ["Classifier", "EvaluationSettings", "Report", "evaluate"]
