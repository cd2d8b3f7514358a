"""The verb ``evaluate``: a report of one model on one data set."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from facial_expressions.cli.options import (
    CompetitionOption,
    PartialOption,
    takes_recognizer_options,
)
from facial_expressions.inference.options import RecognizerOptions

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from facial_expressions.data.dataset import Dataset
    from facial_expressions.evaluation.provenance import Provenance
    from facial_expressions.evaluation.report import EvaluationSettings, Report
    from facial_expressions.evaluation.samples import Sample
    from facial_expressions.inference.classifier import ExpressionClassifier


SplitName = Literal["train", "validation", "test", "all"]
LabelsName = Literal["fer2013", "ferplus", "people"]


@dataclass(frozen=True, slots=True)
class _Source:
    """What is measured, as the options say it."""

    path: Path
    split: str
    protocol: str | None
    labels: LabelsName
    head: str | None
    ferplus: Path | None
    competition: Path | None
    seed: int
    allow_partial: bool
    command_line: str


@takes_recognizer_options(
    without=("model", "labels", "min_confidence", "min_score", "largest", "crops")
)
def command(  # noqa: PLR0913 - one argument per option
    context: typer.Context,
    model: Annotated[
        str, typer.Argument(help="Name of a shipped model, or path of an .onnx file.")
    ],
    *,
    data: Annotated[
        Path,
        typer.Option(
            help="FER-2013 as csv, zip, tar.gz or folder, or any folder of class folders."
        ),
    ],
    split: Annotated[SplitName, typer.Option(help="Split to measure.")] = "test",
    protocol: Annotated[
        str | None,
        typer.Option(
            help="competition, kaggle or folder. Default: competition for the competition file, "
            "kaggle for FER-2013 in folders (test: all 7,178 images)."
        ),
    ] = None,
    labels: Annotated[
        LabelsName,
        typer.Option(help="Ground truth; ferplus and people need --ferplus."),
    ] = "fer2013",
    head: Annotated[
        str | None,
        typer.Option(
            help="Head of the model to measure. Default: on FER-2013 the one named like the "
            "labels, else the model's default."
        ),
    ] = None,
    ferplus: Annotated[Path | None, typer.Option(help="FER+ votes (fer2013new.csv).")] = None,
    competition: CompetitionOption = None,
    detect: Annotated[
        bool,
        typer.Option("--detect", help="DATA holds whole photos: measure the largest face of each."),
    ] = False,
    options: RecognizerOptions,
    robustness: Annotated[
        bool,
        typer.Option(
            "--robustness",
            help="Also measure eleven kinds of degraded images (low light, blur, JPEG, jittered "
            "boxes, ...) at five severities each; takes 55 times as long.",
        ),
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder for the report (.json, .md, .html), its images and predictions.csv."
        ),
    ] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Crops per batch.")] = 256,
    seed: Annotated[
        int, typer.Option(help="Random seed of the validation split, samples and corruptions.")
    ] = 0,
    allow_partial: PartialOption = False,
) -> None:
    """Measure a model on a data set: accuracy, confusion, calibration, robustness."""
    from facial_expressions.evaluation.report import EvaluationSettings

    if out is not None:
        from facial_expressions.pages.reports import check_ready

        check_ready()
    options = replace(options, model=model, labels=head)
    if detect:
        if robustness or protocol is not None or labels != "fer2013":
            raise typer.BadParameter(
                "cannot be combined with --robustness, --protocol, or --labels ferplus or people.",
                param_hint="--detect",
            )
        _evaluate_photos(options, data, split, out=out, command_line=_command_line(context))
        return
    _refuse_photo_options(options)
    settings = EvaluationSettings(batch_size=batch_size, seed=seed, has_robustness=robustness)
    source = _Source(
        path=data,
        split=split,
        protocol=protocol,
        labels=labels,
        head=head,
        ferplus=ferplus,
        competition=competition,
        seed=seed,
        allow_partial=allow_partial,
        command_line=_command_line(context),
    )
    classifier = _load_classifier(options, labels)
    _check_labels(classifier, source)
    report, classifier, images = _measure(classifier, source, settings)
    _finish(report, out, classifier=classifier, images=images)


def _measure(
    classifier: ExpressionClassifier, source: _Source, settings: EvaluationSettings
) -> tuple[Report, ExpressionClassifier, NDArray[np.uint8]]:
    """Measure a classifier on crops; return the head and the images that were measured, too."""
    from facial_expressions.cli.progress import progress_bar
    from facial_expressions.evaluation.report import evaluate
    from facial_expressions.evaluation.splits import align_labels, choose_split, training_images

    dataset, whole, votes = _load_data(source)
    if source.head is None and dataset.name != source.labels:
        # Not FER-2013: its labels are its own, so the file's default answers.
        classifier = classifier.for_labels(None)
    # With votes those images are asked too that have no majority.
    chosen = choose_split(dataset if votes is None else whole, source.split)
    split, notes = align_labels(chosen, dataset.labels, classifier.labels)
    with progress_bar("images") as bar:
        report = evaluate(
            classifier,
            split,
            train=training_images(whole, source.split),
            votes=votes,
            settings=settings,
            provenance=replace(
                _provenance(classifier, source.command_line),
                dataset=dataset.name,
                dataset_digest=dataset.digest(),
                protocol=dataset.protocol,
            ),
            progress=bar.show,
        )
    measured = split if votes is None else choose_split(dataset, source.split)
    return replace(report, notes=(*dataset.left_out, *notes)), classifier, measured.images


def _check_labels(classifier: ExpressionClassifier, source: _Source) -> None:
    """Refuse, before anything is read, what cannot be measured against votes."""
    from facial_expressions.errors import DatasetError
    from facial_expressions.labels import LABEL_SETS

    name = source.labels
    if source.labels == "fer2013":
        return
    if source.ferplus is None:
        raise typer.BadParameter(f"{name} needs --ferplus.", param_hint="--labels")
    needed, received = list(LABEL_SETS[name]), list(classifier.labels)
    if set(needed) != set(received):
        raise DatasetError(
            f"labels {name!r}: the head {classifier.head.name!r} answers in {received}, not in "
            f"the {len(needed)} expressions {needed}. Choose another head "
            f"({', '.join(classifier.metadata.head_names)}), another model, or --labels fer2013"
        )


def _load_data(source: _Source) -> tuple[Dataset, Dataset, NDArray[np.uint8] | None]:
    """Return the data set with the labels asked for, that with all images, and votes.

    The votes are those on the split that is measured, where people are the truth.
    """
    import numpy as np

    from facial_expressions.data import load_dataset
    from facial_expressions.data.ferplus import ferplus_votes, relabelled
    from facial_expressions.labels import LABEL_SETS

    load = partial(load_dataset, source.path, seed=source.seed, allow_partial=source.allow_partial)
    dataset = load(protocol=source.protocol)
    if source.protocol is None and _has_paths(dataset):
        dataset = load(protocol="kaggle")
    if source.labels == "fer2013" or source.ferplus is None:
        return dataset, dataset, None
    votes = ferplus_votes(dataset, source.ferplus, competition=source.competition)
    measured = relabelled(dataset, votes, LABEL_SETS[source.labels])
    if source.labels == "ferplus":
        return measured, dataset, None
    every = np.concatenate(list(votes.values()))
    return measured, dataset, votes.get(source.split, every)


def _has_paths(dataset: Dataset) -> bool:
    """Return whether this is FER-2013 as image files rather than as rows of a file."""
    return dataset.protocol == "competition" and not any(
        source.startswith("row ") for split in dataset.splits() for source in split.sources[:1]
    )


def _refuse_photo_options(options: RecognizerOptions) -> None:
    """Refuse what would do nothing to crops."""
    usual = RecognizerOptions()
    for name in ("small_faces", "max_pixels", "detector"):
        if getattr(options, name) != getattr(usual, name):
            raise typer.BadParameter("needs --detect.", param_hint=f"--{name.replace('_', '-')}")


def _evaluate_photos(
    options: RecognizerOptions, data: Path, split: SplitName, *, out: Path | None, command_line: str
) -> None:
    from facial_expressions.cli.progress import progress_bar
    from facial_expressions.data.archives import open_tree
    from facial_expressions.data.class_folders import find_class_folders, iter_photos
    from facial_expressions.evaluation.photos import evaluate_photos
    from facial_expressions.inference.recognizer import load_recognizer

    parts = {"test": ("test", ""), "all": ("train", "validation", "test", "")}
    chosen = parts.get(split, (split,))
    recognizer = load_recognizer(options)
    classifier = recognizer.classifier
    with open_tree(data) as tree:
        left_out = find_class_folders(tree).left_out
    with progress_bar("photos") as bar:
        report = evaluate_photos(
            recognizer,
            (photo for photo in iter_photos(data) if photo.part in chosen),
            classifier.labels,
            uncertain_below=classifier.head.calibration.uncertain_below,
            provenance=replace(
                _provenance(classifier, command_line), dataset=data.name, protocol="photos"
            ),
            progress=bar.show,
        )
    _finish(replace(report, split=split, notes=(*left_out, *report.notes)), out)


def _finish(
    report: Report,
    out: Path | None,
    *,
    classifier: ExpressionClassifier | None = None,
    images: NDArray[np.uint8] | None = None,
) -> None:
    """Print the report and, if asked to, write its files; exit with 1 when one was unreadable."""
    from facial_expressions.evaluation.samples import choose_mistakes, choose_samples
    from facial_expressions.pages.reports import report_text

    print(report_text(report), end="")
    if out is not None:
        from facial_expressions.pages.reports import write_report

        shown: dict[str, tuple[Sample, ...]] = {}
        if images is not None and (found := report.predictions) is not None:
            shown = {
                "samples": choose_samples(found, images, seed=report.seed, classifier=classifier),
                "mistakes": choose_mistakes(found, images),
            }
        for path in write_report(report, out, **shown):
            typer.echo(f"wrote {path}", err=True)
    if any("cannot be read" in note for note in report.notes):
        raise typer.Exit(1)


def _provenance(classifier: ExpressionClassifier, command_line: str) -> Provenance:
    from facial_expressions.evaluation.provenance import Provenance, source_commit
    from facial_expressions.inference.runtime import file_sha256

    return Provenance(
        model=classifier.metadata.name,
        model_digest=file_sha256(classifier.path),
        head=classifier.head.name,
        command=command_line,
        commit=source_commit(),
    )


def _command_line(context: typer.Context) -> str:
    """Return the command with the options that were given, quoted for a shell."""
    words = ["facial-expressions", "evaluate"]
    for parameter in context.command.params:
        source = context.get_parameter_source(str(parameter.name))
        value = context.params.get(str(parameter.name))
        if source is None or source.name != "COMMANDLINE":
            continue
        if parameter.param_type_name == "option":
            words.append(parameter.opts[0])
        if value is not True:
            words.append(str(value))
    return shlex.join(words)


def _load_classifier(options: RecognizerOptions, labels: LabelsName) -> ExpressionClassifier:
    """Open a model at the head asked for, else at the one named as the labels, if there is one."""
    from facial_expressions.inference.classifier import load_classifier

    classifier = load_classifier(options)
    is_free = options.labels is None and labels in classifier.metadata.head_names
    return classifier.for_labels(labels) if is_free else classifier
