"""The report: every figure of one classifier on one split, and ``evaluate``, which makes it.

``pages/`` turns it into text, Markdown and HTML. Everything in it follows
from model, data and settings, apart from ``latency_ms`` and ``run``. Figures of answers count an
image without an answer as wrong; figures of probabilities leave it out.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from facial_expressions.calibration import Calibration
from facial_expressions.data.dataset import Split
from facial_expressions.evaluation import figures
from facial_expressions.evaluation.metrics import ClassificationScores
from facial_expressions.evaluation.predictions import (
    EvaluationSettings,
    Latency,
    OnProgress,
    Predictions,
    measure_latency,
    predict_split,
)
from facial_expressions.evaluation.provenance import Provenance, split_digest
from facial_expressions.evaluation.robustness import Robustness, measure_robustness
from facial_expressions.evaluation.splits import fer2013_subsets, majority_split
from facial_expressions.inference.contracts import Classifier
from facial_expressions.labels import LabelSet

_DIGITS: Final = 6
"""Decimals of figures in ``to_dict``: what differs below comes from the order of additions."""


@dataclass(frozen=True, slots=True)
class Report:
    """All metrics of one classifier on one split.

    Attributes:
        provenance: Where the report comes from.
        labels: Label set of rows, columns and per-class scores.
        headline: The figures of all images.
        scores: Per-class scores, averages and confusion.
        probabilities: The figures of the probabilities; None when no image has an answer.
        predictions: What the figures were worked out from; not part of ``report.json``.
        split: Name of the split.
        split_digest: SHA-256 of its images and labels.
        subsets: Figures of subsets by name.
        votes: The probabilities against people's votes; None when there were no votes.
        against_labels: The same answers against FER-2013's label; None when there were no votes.
        n_unanswered: Images without an answer; they count as wrong.
        n_views: Variants of a crop whose probabilities were averaged.
        seed: Which images are shown as samples, and what is random in corruptions.
        robustness: Accuracy on corrupted images; None when it was not measured.
        latency: Time of the classifier; None when it was not measured.
        notes: One sentence for each thing a reader must know, such as what was left out.
        run: When the report was made and on what; the only part with time stamps.
    """

    provenance: Provenance
    labels: LabelSet
    headline: figures.Headline
    scores: ClassificationScores
    probabilities: figures.ProbabilityFigures | None
    predictions: Predictions = field(repr=False, compare=False)
    split: str = ""
    split_digest: str = ""
    subsets: Mapping[str, figures.Headline] = field(default_factory=dict)
    votes: figures.VoteFigures | None = None
    against_labels: figures.LabelFigures | None = None
    n_unanswered: int = 0
    n_views: int = 1
    seed: int = 0
    robustness: Robustness | None = None
    latency: Latency | None = None
    notes: tuple[str, ...] = ()
    run: Mapping[str, str] = field(default_factory=dict)

    @property
    def accuracy(self) -> float:
        """Accuracy, 0 to 1."""
        return self.headline.accuracy

    @property
    def macro_f1(self) -> float:
        """F1 averaged over the classes, 0 to 1."""
        return self.headline.macro_f1

    @property
    def people_criterion(self) -> float | None:
        """Mean of accuracy and balanced accuracy by people's majority and by FER-2013's label."""
        labels = self.against_labels
        if labels is None:
            return None
        own = self.accuracy + self.scores.balanced_accuracy
        return (own + labels.accuracy + labels.balanced_accuracy) / 4

    def to_dict(self) -> dict[str, Any]:
        """Return the object of ``report.json``, figures rounded to six decimals."""
        found, scores = self.probabilities, self.scores
        averages = {"macro": asdict(scores.macro), "weighted": asdict(scores.weighted)}
        for average in averages.values():
            del average["support"]
        content = {
            "schema": 1,  # raised when a field changes its meaning
            **asdict(self.provenance),
            "split": self.split,
            "split_digest": self.split_digest,
            "label_set": self.labels.name,
            "labels": self.labels.names,
            **asdict(self.headline),
            "balanced_accuracy": scores.balanced_accuracy,
            "weighted_f1": scores.weighted.f1,
            **{name: getattr(found, name, None) for name in ("nll", "brier", "ece")},
            "per_class": dict(zip(self.labels, scores.per_class, strict=True)),
            "averages": averages,
            "subsets": self.subsets,
            "reliability": found.reliability if found else (),
            "coverage": found.coverage if found else (),
            "uncertain": getattr(found, "uncertain", None),
            "uncalibrated": getattr(found, "uncalibrated", None),
            "votes": self.votes,
            "against_labels": self.against_labels,
            "people_criterion": self.people_criterion,
            "robustness": self.robustness.to_dict() if self.robustness else None,
            "latency_ms": self.latency,
            "confusion_matrix": scores.confusion,
            "n_unanswered": self.n_unanswered,
            "n_views": self.n_views,
            "seed": self.seed,
            "notes": self.notes,
            "run": self.run,
        }
        text = json.dumps(content, default=asdict)
        rounded: dict[str, Any] = json.loads(
            text, parse_float=lambda one: round(float(one), _DIGITS)
        )
        return rounded

    def to_json(self) -> str:
        """Return ``report.json``, two spaces deep.

        Two runs differ in ``latency_ms`` and ``run`` only. NaN and infinity, which JSON does not
        have, never occur.
        """
        return json.dumps(self.to_dict(), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def evaluate(
    classifier: Classifier,
    split: Split,
    *,
    train: Split | None = None,
    votes: NDArray[np.uint8] | None = None,
    settings: EvaluationSettings | None = None,
    provenance: Provenance | None = None,
    progress: OnProgress | None = None,
) -> Report:
    """Evaluate a classifier on a split.

    Args:
        classifier: Anything with ``labels`` and ``predict_proba``; a model's ``metadata`` and the
            ``n_views`` it averages go into the report.
        split: Grey crops ``uint8 (N, S, S)``; labels are ids in the classifier's label set.
        train: Training images; then the subset ``no_train_duplicate`` leaves out images with a
            byte-identical copy among them.
        votes: FER+'s votes on the images, ``uint8 (N, 10)``; then the images with a strict
            majority are measured against that, and all against vote shares and labels besides.
        settings: How the classifier is evaluated; None uses the defaults.
        provenance: The origin stated in the report; None gives the model's name only.
        progress: Called with images done and images in all.

    Raises:
        DatasetError: The split is empty or has a label that the classifier lacks; votes are of
            another length or without any majority.
        ModelError: The classifier does not return probabilities.
        MissingExtraError: scikit-learn is not installed.

    Examples:
        >>> import numpy as np
        >>> from facial_expressions.labels import FER2013
        >>> class AlwaysHappy:
        ...     labels = FER2013
        ...     def predict_proba(self, crops):
        ...         return np.tile(np.eye(7, dtype=np.float32)[3], (len(crops), 1))
        >>> images = np.zeros((4, 48, 48), np.uint8)
        >>> split = Split("test", images, np.array([3, 3, 3, 5]), np.full(4, ""), tuple("abcd"))
        >>> evaluate(AlwaysHappy(), split).accuracy
        0.75
    """
    chosen = settings or EvaluationSettings()
    started = datetime.now(UTC)
    n_views = int(getattr(classifier, "n_views", 1))
    measured, vote_figures, label_figures = split, None, None
    if votes is not None:
        measured, has_majority = majority_split(split, votes, classifier.labels)
    answers = predict_split(classifier, split, batch_size=chosen.batch_size, progress=progress)
    if votes is not None:
        vote_figures = figures.vote_figures_of(answers, votes)
        label_figures = figures.label_figures_of(answers)
        answers = replace(answers.take(has_majority), truth=measured.labels)
    report = build_report(
        answers,
        subsets=fer2013_subsets(measured, train),
        calibration=_calibration_of(classifier, n_views),
        provenance=provenance or _origin_of(classifier),
    )
    robustness = None
    if chosen.has_robustness:
        robustness = measure_robustness(
            classifier,
            measured,
            settings=chosen,
            clean_accuracy=report.accuracy,
            progress=progress,
        )
    return replace(
        report,
        split=split.name,
        split_digest=split_digest(measured),
        votes=vote_figures,
        against_labels=label_figures,
        n_views=n_views,
        seed=chosen.seed,
        robustness=robustness,
        latency=measure_latency(classifier, measured.images[: chosen.batch_size]),
        run=_run_facts(started),
    )


def build_report(
    predictions: Predictions,
    *,
    subsets: Mapping[str, NDArray[np.bool_]] | None = None,
    calibration: Calibration | None = None,
    provenance: Provenance | None = None,
) -> Report:
    """Compute all metrics from predictions.

    Args:
        predictions: Truth and answers.
        subsets: Masks ``bool (N,)`` by name; an empty subset is left out.
        calibration: What the model did to its logits, and its threshold of ``uncertain``; where it
            did something the report also has the figures without it.
        provenance: What the report says of its origin.
    """
    labels = predictions.labels
    return Report(
        provenance=provenance or Provenance(),
        labels=labels,
        headline=figures.headline_of(predictions),
        scores=figures.scores_of(predictions),
        probabilities=figures.probability_figures_of(predictions, calibration or Calibration()),
        subsets={
            name: figures.headline_of(predictions.take(mask))
            for name, mask in (subsets or {}).items()
            if mask.any()
        },
        n_unanswered=int(np.sum(~predictions.answered)),
        predictions=predictions,
    )


def _origin_of(classifier: Classifier) -> Provenance:
    """Return the names of model and head, or that of the class where there is not a model file."""
    model, head = (getattr(classifier, part, None) for part in ("metadata", "head"))
    name = type(classifier).__name__
    return Provenance(model=getattr(model, "name", name), head=getattr(head, "name", ""))


def _calibration_of(classifier: Classifier, n_views: int) -> Calibration:
    """Return what a model file says it does to its logits; nothing for other classifiers."""
    calibration = getattr(getattr(classifier, "head", None), "calibration", None)
    if not isinstance(calibration, Calibration):
        return Calibration()
    if n_views > 1:  # a mean over views does not give its logits back
        return Calibration(uncertain_below=calibration.uncertain_below)
    return calibration


def _run_facts(started: datetime) -> dict[str, str]:
    seconds = (datetime.now(UTC) - started).total_seconds()
    return {
        "started": started.isoformat(timespec="seconds"),
        "seconds": f"{seconds:.1f}",
        "machine": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
    }
