"""Renders a training run as one HTML page that needs no other file, no script and no network."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from statistics import median
from typing import Final

from facial_expressions.evaluation.curve_charts import Curve, curve_chart, curve_key
from facial_expressions.evaluation.html_parts import (
    card,
    headline,
    page,
    page_header,
    scroll,
    setting_list,
    table_head,
    table_row,
)
from facial_expressions.evaluation.predictions import Predictions
from facial_expressions.evaluation.render_html import (
    classification_card,
    confusion_card,
    mistakes_card,
)
from facial_expressions.evaluation.report import Report, build_report
from facial_expressions.evaluation.samples import Sample
from facial_expressions.evaluation.tables import display_name, interval_text

__all__ = ["TrainingRecord", "render_training_page"]

_COLUMNS: Final = {
    "epoch": ("Epoch", "{:.0f}"),
    "loss": ("Loss", "{:.4f}"),
    "accuracy": ("Accuracy", "{:.4f}"),
    "val_loss": ("Validation loss", "{:.4f}"),
    "val_accuracy": ("Validation accuracy", "{:.4f}"),
    "val_ferplus": ("Validation FER+", "{:.4f}"),
    "learning_rate": ("Learning rate", "{:.3g}"),
    "seconds": ("Seconds", "{:.0f}"),
}

_NOTE: Final = (
    '<p class="muted note">Figures here are of the validation pictures. The run did not touch the '
    "test pictures: export it and evaluate the model file for those.</p>\n"
)

Facts = Mapping[str, object]


@dataclass(frozen=True, slots=True, eq=False)
class TrainingRecord:
    """What is known of a run: the contents of its folder.

    Attributes:
        name: Name of the run.
        recipe: Every key of the recipe, by section.
        dataset: What it learnt from: name, protocol, label set, counts and digest.
        environment: Versions, commit, backend, devices and command.
        origins: Earlier weights and teachers, and digests of votes; empty without any.
        history: Columns of ``history.csv``, as many values each as epochs are done.
        validation: Answers on validation; None while the run is not finished.
        mistakes: Pictures of the most confident mistakes among them.
    """

    name: str
    recipe: Mapping[str, Facts]
    dataset: Facts
    environment: Facts
    origins: Facts
    history: Mapping[str, Sequence[float]]
    validation: Predictions | None = None
    mistakes: Sequence[Sample] = ()

    @property
    def epochs(self) -> int:
        """Epochs in all."""
        return int(str(self.recipe["optimization"]["epochs"]))

    @property
    def epochs_done(self) -> int:
        """Epochs that are finished."""
        return len(self.history.get("epoch", ()))


def render_training_page(record: TrainingRecord) -> str:
    """Return the page: light and dark, from 360 px wide.

    Args:
        record: The run; it may have no epoch yet.
    """
    report = None if record.validation is None else build_report(record.validation)
    sections = [page_header(record.name, _subtitle(record)), headline(_figures(record, report))]
    sections += [_NOTE, _curves(record)] if record.epochs_done else []
    if report is not None:
        sections += [classification_card(report), confusion_card(report)]
        sections += [mistakes_card(record.mistakes)]
    sections += [_recipe(record), _data(record), _environment(record)]
    return page(f"{record.name}: training run", "".join(sections))


def _subtitle(record: TrainingRecord) -> str:
    where = f"{record.recipe['network']['architecture']} on {record.dataset['name']}"
    state = (
        f"{record.epochs} epochs, finished"
        if record.validation is not None
        else f"{record.epochs_done} of {record.epochs} epochs done; the same command goes on"
    )
    return f"Training run of {where}, protocol {record.dataset['protocol']}: {state}"


def _figures(record: TrainingRecord, report: Report | None) -> list[tuple[str, str, str]]:
    rows = []
    history = record.history
    if report is not None:
        interval = (
            f"{len(report.predictions or ()):,} pictures, 95 % {interval_text(report.headline)}"
        )
        rows.append(("Validation accuracy", f"{report.accuracy:.4f}", interval))
        rows.append(("Validation macro F1", f"{report.macro_f1:.4f}", "mean F1 of the classes"))
    elif record.epochs_done:
        last = f"after epoch {history['epoch'][-1]:g}"
        rows.append(("Validation accuracy", f"{history['val_accuracy'][-1]:.4f}", last))
    rows.append(("Epochs", f"{record.epochs_done} of {record.epochs}", "done"))
    ferplus = history.get("val_ferplus", ())
    if ferplus and math.isfinite(ferplus[-1]):
        meaning = "accuracy of the FER+ head, pictures with a strict majority"
        rows.append(("Validation FER+", f"{ferplus[-1]:.4f}", meaning))
    if record.epochs_done:
        seconds = history["seconds"]
        rows.append(("Seconds per epoch", f"{median(seconds):.0f}", "median, with validation"))
        rows.append(("Training time", _duration(sum(seconds)), "all epochs together"))
    return rows


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    if minutes < 1:
        return f"{seconds:.0f} s"
    return f"{minutes // 60} h {minutes % 60:02d} min" if minutes >= 60 else f"{minutes} min"


def _curves(record: TrainingRecord) -> str:
    history = record.history
    charts: list[tuple[str, list[Curve]]] = [
        ("Loss", [Curve("training", history["loss"], is_main=False),
                  Curve("validation", history["val_loss"], best="lowest")]),
        ("Accuracy", [Curve("training", history["accuracy"], is_main=False),
                      Curve("validation", history["val_accuracy"], best="highest")]),
        ("Learning rate", [Curve("after the epoch's last step", history["learning_rate"])]),
        ("Seconds per epoch", [Curve("with validation", history["seconds"])]),
    ]  # fmt: skip
    epochs = history["epoch"]
    parts = "".join(
        f"<div><h3>{title}</h3>\n{curve_chart(f'{title} over the epochs', epochs, curves)}\n"
        f"{curve_key(epochs, curves)}</div>\n"
        for title, curves in charts
    )
    text = (
        '<p class="muted">Training figures are of augmented pictures while the weights move; '
        "validation figures are of plain pictures, at the end of the epoch.</p>\n"
    )
    return card("Curves", f'{text}<div class="two">\n{parts}</div>\n{_epoch_table(record)}')


def _epoch_table(record: TrainingRecord) -> str:
    shown = {
        name: column
        for name, column in _COLUMNS.items()
        if any(map(math.isfinite, record.history.get(name, ())))
    }
    rows = "".join(
        table_row([form.format(record.history[name][row]) for name, (_, form) in shown.items()])
        for row in range(record.epochs_done)
    )
    head = table_head(title for title, _ in shown.values())
    table = scroll("Epochs", f"<table>\n{head}<tbody>\n{rows}</tbody>\n</table>\n")
    return f"<details><summary>Epochs as a table</summary>\n{table}</details>\n"


def _recipe(record: TrainingRecord) -> str:
    parts = "".join(
        f"<div><h3>{escape(display_name(name))}</h3>\n"
        + setting_list((key, _plain(value)) for key, value in section.items())
        + "</div>\n"
        for name, section in record.recipe.items()
    )
    text = '<p class="muted">As resolved, every key written out; <code>recipe.toml</code>.</p>\n'
    return card("Recipe", f'{text}<div class="columns">\n{parts}</div>\n')


def _data(record: TrainingRecord) -> str:
    facts = {key: value for key, value in record.dataset.items() if key != "train_by_class"}
    labels, counts = facts.pop("labels", None), facts.pop("counts", None)
    names = sorted(facts, key=("name", "protocol").__contains__, reverse=True)
    rows = _flat({name: facts[name] for name in names} | ({"pictures": counts} if counts else {}))
    by_class = record.dataset.get("train_by_class")
    table = ""
    if isinstance(by_class, Sequence) and isinstance(labels, Mapping):
        total = max(sum(by_class), 1)
        body = "".join(
            table_row((display_name(name), f"{count:,}", f"{100 * count / total:.1f} %"))
            for name, count in zip(labels["names"], by_class, strict=True)
        )
        head = table_head(("Class", "Training pictures", "Share"))
        table = f"<table>\n{head}<tbody>\n{body}</tbody>\n</table>\n"
    content = (
        f'<div class="two">\n<div>{setting_list(rows)}</div>\n'
        f"<div>{scroll('Training pictures of each class', table)}</div>\n</div>\n"
    )
    return card("Data", content)


def _environment(record: TrainingRecord) -> str:
    facts = dict(record.environment)
    command = str(facts.pop("command", ""))
    rows = _flat(facts)
    if record.origins:
        rows += _flat({"origins": record.origins})
    code = f"<pre><code>{escape(command)}</code></pre>\n" if command else ""
    return card("How it was made", setting_list(rows) + code)


def _flat(facts: Facts, prefix: str = "") -> list[tuple[str, str]]:
    """Return nested facts as rows; empty texts are left out."""
    rows: list[tuple[str, str]] = []
    for key, value in facts.items():
        if isinstance(value, Mapping):
            rows += _flat(value, f"{prefix}{key} ")
        elif isinstance(value, Sequence) and any(isinstance(one, Mapping) for one in value):
            rows += _flat({f"{i + 1}": one for i, one in enumerate(value)}, f"{prefix}{key} ")
        elif value not in ("", None):
            rows.append((f"{prefix}{key}".replace("_", " "), _plain(value)))
    return rows


def _plain(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, list | tuple):
        return ", ".join(map(_plain, value)) or "none"
    return f"{value:,}" if isinstance(value, int) else str(value)
