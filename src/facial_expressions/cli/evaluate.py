"""The verb ``evaluate``: a report of one model on one data set."""

from __future__ import annotations

import shlex
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from typer import Argument, Option

from facial_expressions.cli.options import (
    CompetitionOption,
    DataOption,
    FerplusOption,
    PartialOption,
    takes_recognizer_options,
)
from facial_expressions.cli.progress import progress_bar
from facial_expressions.inference.options import RecognizerOptions

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from facial_expressions.data.dataset import Dataset
    from facial_expressions.evaluation.predictions import EvaluationSettings
    from facial_expressions.evaluation.provenance import Provenance
    from facial_expressions.evaluation.report import Report
    from facial_expressions.evaluation.samples import Sample
    from facial_expressions.inference.classifier import ExpressionClassifier

SplitName = Literal["train", "validation", "test", "all"]
LabelsName = Literal["fer2013", "ferplus", "people"]


@takes_recognizer_options(
    without=("model", "labels", "min_confidence", "min_score", "largest", "crops")
)
def command(  # noqa: PLR0913 - one argument per option
    context: typer.Context,
    model: Annotated[str, Argument(metavar="MODEL", help="Name of a shipped model, or a file.")],
    *,
    data: DataOption,
    split: Annotated[SplitName, Option(help="Split to measure.")] = "test",
    protocol: Annotated[
        str | None,
        Option(
            help="competition, kaggle or folder. Default: competition for the competition file, "
            "kaggle for FER-2013 in folders (test: all 7,178 images)."
        ),
    ] = None,
    labels: Annotated[
        LabelsName, Option(help="Ground truth; ferplus and people need --ferplus.")
    ] = "fer2013",
    head: Annotated[
        str | None,
        Option(
            help="Head of the model to measure. Default: on FER-2013 the one named like the "
            "labels, else the model's default."
        ),
    ] = None,
    ferplus: FerplusOption = None,
    competition: CompetitionOption = None,
    detect: Annotated[
        bool, Option("--detect", help="DATA holds whole photos: measure the largest face of each.")
    ] = False,
    options: RecognizerOptions,
    robustness: Annotated[
        bool,
        Option(
            "--robustness",
            help="Also measure eleven kinds of degraded images (low light, blur, JPEG, jittered "
            "boxes, ...) at five severities each; takes 55 times as long.",
        ),
    ] = False,
    out: Annotated[
        Path | None,
        Option(
            metavar="DIR",
            help="Folder for the report (.json, .md, .html), its images and predictions.csv.",
        ),
    ] = None,
    batch_size: Annotated[int, Option(min=1, help="Crops per batch.")] = 256,
    seed: Annotated[
        int, Option(help="Random seed of the validation split, samples and corruptions.")
    ] = 0,
    allow_partial: PartialOption = False,
) -> None:
    """Measure a model on a data set: accuracy, confusion, calibration, robustness."""
    import numpy as np

    from facial_expressions.data.ferplus import ferplus_votes, relabelled
    from facial_expressions.evaluation.predictions import EvaluationSettings
    from facial_expressions.labels import LABEL_SETS
    from facial_expressions.pages.reports import check_ready

    if out is not None:
        check_ready()
    options = replace(options, model=model, labels=head)
    command_line = shlex.join(["facial-expressions", *context.obj])
    if detect:
        if robustness or protocol is not None or labels != "fer2013":
            raise typer.BadParameter(
                "cannot be combined with --robustness, --protocol, or --labels ferplus or people.",
                param_hint="--detect",
            )
        _evaluate_photos(options, data, split, out=out, command_line=command_line)
        return
    _refuse_photo_options(options)
    settings = EvaluationSettings(batch_size=batch_size, seed=seed, has_robustness=robustness)
    classifier = _load_classifier(options, labels, ferplus)
    whole = _load_data(data, protocol, seed=seed, allow_partial=allow_partial)
    measured, votes = whole, None
    if labels != "fer2013" and ferplus is not None:
        found = ferplus_votes(whole, ferplus, competition=competition)
        measured = relabelled(whole, found, LABEL_SETS[labels])
        if labels == "people":
            votes = found.get(split, np.concatenate(list(found.values())))
    if head is None and measured.name != labels:
        # Not FER-2013: its labels are its own, so the file's default answers.
        classifier = classifier.for_labels(None)
    report, images = _measure(classifier, measured, whole, votes, split, settings, command_line)
    _finish(report, out, classifier=classifier, images=images)


def _load_data(path: Path, protocol: str | None, *, seed: int, allow_partial: bool) -> Dataset:
    """Load a data set; FER-2013 as image files rather than rows of a file has Kaggle's test."""
    from facial_expressions.data import load_dataset

    load = partial(load_dataset, path, seed=seed, allow_partial=allow_partial)
    dataset = load(protocol=protocol)
    has_rows = any(
        source.startswith("row ") for split in dataset.splits() for source in split.sources[:1]
    )
    if protocol is None and dataset.protocol == "competition" and not has_rows:
        return load(protocol="kaggle")
    return dataset


def _load_classifier(
    options: RecognizerOptions, labels: LabelsName, ferplus: Path | None
) -> ExpressionClassifier:
    """Open a model at the head asked for, else at that of the labels; refuse labels it lacks."""
    from facial_expressions.errors import DatasetError
    from facial_expressions.inference.classifier import load_classifier
    from facial_expressions.labels import LABEL_SETS

    classifier = load_classifier(options)
    if options.labels is None and labels in classifier.metadata.head_names:
        classifier = classifier.for_labels(labels)
    if labels == "fer2013":
        return classifier
    if ferplus is None:
        raise typer.BadParameter(f"{labels} needs --ferplus.", param_hint="--labels")
    needed, received = list(LABEL_SETS[labels]), list(classifier.labels)
    if set(needed) != set(received):
        raise DatasetError(
            f"labels {labels!r}: the head {classifier.head.name!r} answers in {received}, not in "
            f"the {len(needed)} expressions {needed}. Choose another head "
            f"({', '.join(classifier.metadata.head_names)}), another model, or --labels fer2013"
        )
    return classifier


def _measure(
    classifier: ExpressionClassifier,
    dataset: Dataset,
    whole: Dataset,
    votes: NDArray[np.uint8] | None,
    split_name: SplitName,
    settings: EvaluationSettings,
    command_line: str,
) -> tuple[Report, NDArray[np.uint8]]:
    """Measure a classifier on crops; return the images that were measured, too.

    With votes those images are asked as well that have no majority, and so no label.
    """
    from facial_expressions.evaluation.report import evaluate
    from facial_expressions.evaluation.splits import align_labels, choose_split, training_images

    chosen = choose_split(dataset if votes is None else whole, split_name)
    split, notes = align_labels(chosen, dataset.labels, classifier.labels)
    with progress_bar("images") as bar:
        report = evaluate(
            classifier,
            split,
            train=training_images(whole, split_name),
            votes=votes,
            settings=settings,
            provenance=_provenance(
                classifier,
                command_line,
                dataset=dataset.name,
                dataset_digest=dataset.digest(),
                protocol=dataset.protocol,
            ),
            progress=bar.show,
        )
    measured = split if votes is None else choose_split(dataset, split_name)
    return replace(report, notes=(*dataset.left_out, *notes)), measured.images


def _refuse_photo_options(options: RecognizerOptions) -> None:
    """Refuse what would do nothing to crops."""
    usual = RecognizerOptions()
    for name in ("small_faces", "max_pixels", "detector"):
        if getattr(options, name) != getattr(usual, name):
            raise typer.BadParameter("needs --detect.", param_hint=f"--{name.replace('_', '-')}")


def _evaluate_photos(
    options: RecognizerOptions, data: Path, split: SplitName, *, out: Path | None, command_line: str
) -> None:
    from facial_expressions.data.archives import open_tree
    from facial_expressions.data.class_folders import find_class_folders
    from facial_expressions.evaluation.photos import evaluate_photos
    from facial_expressions.inference.recognizer import load_recognizer

    parts = {"test": ("test", ""), "all": ("train", "validation", "test", "")}
    chosen = parts.get(split, (split,))
    recognizer = load_recognizer(options)
    classifier = recognizer.classifier
    with open_tree(data) as tree, progress_bar("photos") as bar:
        found = find_class_folders(tree)
        report = evaluate_photos(
            recognizer,
            [photo for photo in found.entries if photo.part in chosen],
            tree.read,
            classifier.labels,
            uncertain_below=classifier.head.calibration.uncertain_below,
            provenance=_provenance(classifier, command_line, dataset=data.name, protocol="photos"),
            progress=bar.show,
        )
    _finish(replace(report, split=split, notes=(*found.left_out, *report.notes)), out)


def _finish(
    report: Report,
    out: Path | None,
    *,
    classifier: ExpressionClassifier | None = None,
    images: NDArray[np.uint8] | None = None,
) -> None:
    """Print the report and, if asked to, write its files; exit with 1 when one was unreadable."""
    from facial_expressions.evaluation.samples import choose_mistakes, choose_samples
    from facial_expressions.pages.reports import report_text, write_report

    print(report_text(report), end="")
    if out is not None:
        shown: dict[str, tuple[Sample, ...]] = {}
        if images is not None:
            found, seed = report.predictions, report.seed
            shown = {
                "samples": choose_samples(found, images, seed=seed, classifier=classifier),
                "mistakes": choose_mistakes(found, images),
            }
        for path in write_report(report, out, **shown):
            typer.echo(f"wrote {path}", err=True)
    if any("cannot be read" in note for note in report.notes):
        raise typer.Exit(1)


def _provenance(classifier: ExpressionClassifier, command_line: str, **of_data: str) -> Provenance:
    from facial_expressions.evaluation.provenance import Provenance, source_commit
    from facial_expressions.inference.runtime import file_sha256

    return Provenance(
        model=classifier.metadata.name,
        model_digest=file_sha256(classifier.path),
        head=classifier.head.name,
        command=command_line,
        commit=source_commit(),
        **of_data,
    )
