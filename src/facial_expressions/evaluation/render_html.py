"""Renders a report as one HTML page that needs no other file, no script and no network."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from html import escape

import numpy as np
from PIL import Image

from facial_expressions.evaluation.charts import coverage_chart, reliability_chart
from facial_expressions.evaluation.html_parts import (
    card,
    page,
    scroll,
    table_head,
    table_row,
)
from facial_expressions.evaluation.report import Report
from facial_expressions.evaluation.samples import Sample
from facial_expressions.evaluation.tables import (
    CLASSIFICATION_COLUMNS,
    ROBUSTNESS_COLUMNS,
    ROBUSTNESS_TEXT,
    SUBSET_COLUMNS,
    SUBSET_MEANINGS,
    classification_rows,
    confusion_rows,
    display_name,
    figure_rows,
    robustness_rows,
    setting_rows,
    subset_rows,
    title_of,
)

__all__ = ["render_html"]

_SAMPLE_PX = 144


def render_html(report: Report, *, samples: Sequence[Sample] = ()) -> str:
    """Return the page: light and dark, from 360 px wide, readable without colors.

    Args:
        report: The report.
        samples: Pictures to show inside the page.
    """
    name = report.provenance.model or "Classifier"
    sections = [
        _header(report, name),
        _classification(report),
        _confusion(report),
        _calibration(report),
        _subsets(report),
        _robustness(report),
        _samples(samples),
        _settings(report),
    ]
    return page(f"{name}: evaluation report", "".join(sections))


def _header(report: Report, name: str) -> str:
    cards = []
    for i, (label, value, meaning) in enumerate(figure_rows(report)):
        kind = "figure main" if i == 0 else "figure"
        cards.append(
            f'<div class="{kind}"><dt>{escape(label)}</dt><dd class="value">{escape(value)}</dd>'
            f'<dd class="meaning">{escape(meaning)}</dd></div>\n'
        )
    return (
        f'<header>\n<h1>{escape(name)}</h1>\n<p class="muted">{escape(title_of(report))}</p>\n'
        f'</header>\n<dl class="headline">\n{"".join(cards)}</dl>\n'
    )


def _classification(report: Report) -> str:
    *classes, accuracy, macro, weighted = classification_rows(report)
    scores = report.scores.per_class
    body = "".join(
        table_row([*map(escape, row[:3]), _bar(score.f1) + row[3], row[4]], raw=True)
        for row, score in zip(classes, scores, strict=True)
    )
    averages = "".join(table_row(row) for row in (accuracy, macro, weighted))
    table = (
        f"<table>\n{table_head(CLASSIFICATION_COLUMNS)}<tbody>\n{body}</tbody>\n"
        f'<tbody class="averages">\n{averages}</tbody>\n</table>\n'
    )
    return card("Classification report", scroll("Classification report", table))


def _confusion(report: Report) -> str:
    parts = [
        f"<div><h3>{title}</h3>\n{scroll(title, _matrix(report, normalized=normalized))}</div>\n"
        for title, normalized in (("Pictures", False), ("Share of the true class", True))
    ]
    text = '<p class="muted">Rows are the truth, columns the answer.</p>\n'
    return card("Confusion matrix", f'{text}<div class="two">\n{"".join(parts)}</div>\n')


def _matrix(report: Report, *, normalized: bool) -> str:
    names = [display_name(label) for label in report.labels]
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in names)
    rows = []
    for i, (name, *cells) in enumerate(confusion_rows(report, normalized=normalized)):
        support = max(report.scores.per_class[i].support, 1)
        filled = "".join(
            f'<td{" class=hit" if i == j else ""} style="--share:{count / support:.3f}">{cell}</td>'
            for j, (cell, count) in enumerate(zip(cells, report.confusion[i], strict=True))
        )
        rows.append(f'<tr><th scope="row">{escape(name)}</th>{filled}</tr>\n')
    return (
        f'<table class="matrix">\n<thead><tr><td></td>{head}</tr></thead>\n'
        f"<tbody>\n{''.join(rows)}</tbody>\n</table>\n"
    )


def _calibration(report: Report) -> str:
    figures = report.probabilities
    if figures is None:
        return ""
    bins = "".join(
        table_row(
            (
                f"{b.lower:.2f} to {b.upper:.2f}",
                f"{b.count:,}",
                f"{b.confidence:.3f}",
                f"{b.accuracy:.3f}",
            )
        )
        for b in figures.reliability
        if b.count
    )
    header = table_head(("Confidence", "Answers", "Mean confidence", "Accuracy"))
    key = (
        '<p class="muted"><span class="key"></span>accuracy<span class="key mark"></span>mean '
        'confidence<span class="key diagonal"></span>calibrated</p>\n'
    )
    text = "Leaving out the least confident answers."
    if figures.uncertain.threshold > 0:
        text += " The dot is the model's own threshold: below it an answer is marked uncertain."
    table = scroll("Reliability bins", f"<table>{header}<tbody>{bins}</tbody></table>")
    return card(
        "Calibration",
        f'<div class="two">\n<div><h3>Reliability</h3>\n{reliability_chart(figures)}\n{key}</div>\n'
        f"<div><h3>Accuracy against coverage</h3>\n{coverage_chart(figures)}\n"
        f'<p class="muted">{text}</p></div>\n</div>\n'
        f"<details><summary>Bins as a table</summary>\n{table}</details>\n",
    )


def _subsets(report: Report) -> str:
    if not report.subsets:
        return ""
    rows = "".join(table_row(row) for row in subset_rows(report))
    meanings = "; ".join(
        f"{display_name(name)}: {SUBSET_MEANINGS[name]}"
        for name in report.subsets
        if name in SUBSET_MEANINGS
    )
    table = f"<table>\n{table_head(SUBSET_COLUMNS)}<tbody>\n{rows}</tbody>\n</table>\n"
    text = f'<p class="muted">{escape(meanings)}.</p>\n' if meanings else ""
    return card("Subsets", text + scroll("Subsets", table))


def _robustness(report: Report) -> str:
    robustness = report.robustness
    if robustness is None:
        return ""
    body = "".join(
        f'<tr><th scope="row">{escape(name)}</th><td class="amount">{escape(amount)}</td>'
        + "".join(
            f'<td style="--lost:{_share_lost(accuracy, robustness.clean_accuracy):.3f}">{cell}</td>'
            for cell, accuracy in zip(cells, (*kind.accuracies, kind.mean), strict=True)
        )
        + "</tr>\n"
        for (name, amount, *cells), kind in zip(
            robustness_rows(report), robustness.kinds, strict=True
        )
    )
    columns = table_head(ROBUSTNESS_COLUMNS)
    table = f'<table class="robustness">\n{columns}<tbody>\n{body}</tbody>\n</table>\n'
    text = (
        f"{ROBUSTNESS_TEXT} The darker a cell, the more of the clean accuracy "
        f"({robustness.clean_accuracy:.3f}) is lost."
    )
    return card("Robustness", f'<p class="muted">{escape(text)}</p>\n{scroll("Robustness", table)}')


def _share_lost(accuracy: float, clean: float) -> float:
    """Return how much of the clean accuracy is gone, 0 to 1."""
    return min(1.0, max(0.0, 1 - accuracy / clean)) if clean else 0.0


def _samples(samples: Sequence[Sample]) -> str:
    if not samples:
        return ""
    looked = any(sample.heat is not None for sample in samples)
    text = "For each class one right and one wrong answer, chosen at random."
    text += " Beside each picture: where the network looked (bright)." if looked else ""
    figures = "".join(map(_sample, samples))
    return card("Samples", f'<p class="muted">{text}</p>\n<div class="samples">\n{figures}</div>\n')


def _sample(sample: Sample) -> str:
    truth, answer = display_name(sample.truth), display_name(sample.prediction)
    kind, mark = ("right", "✓") if sample.is_right else ("wrong", "✗")
    images = _img(sample.image, f"A face labelled {truth}, answered {answer}")
    if sample.heat is not None:
        images += _img(_heated(sample), "The same face with the regions that decided the answer")
    return (
        f'<figure class="sample"><div class="pair">{images}</div>'
        f"<figcaption>Truth {escape(truth)}<br>"
        f'<span class="{kind}">{mark} {escape(answer)}</span> {sample.confidence:.2f}'
        "</figcaption></figure>\n"
    )


def _settings(report: Report) -> str:
    items = "".join(
        f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>\n" for name, value in setting_rows(report)
    )
    notes = "".join(f"<li>{escape(note)}</li>\n" for note in report.notes)
    command = report.provenance.command
    return card(
        "How it was made",
        (f"<ul>\n{notes}</ul>\n" if notes else "")
        + f'<dl class="settings">\n{items}</dl>\n'
        + (f"<pre><code>{escape(command)}</code></pre>\n" if command else ""),
    )


def _bar(share: float) -> str:
    filled = f'<span style="width:{100 * share:.0f}%"></span>'
    return f'<span class="bar" aria-hidden="true">{filled}</span>'


def _img(image: np.ndarray[tuple[int, ...], np.dtype[np.uint8]], alt: str) -> str:
    """Return an ``img`` element that holds the picture itself."""
    buffer = io.BytesIO()
    scaled = Image.fromarray(image).resize((_SAMPLE_PX, _SAMPLE_PX), Image.Resampling.BICUBIC)
    scaled.save(buffer, format="PNG", optimize=True)
    data = base64.b64encode(buffer.getvalue()).decode()
    return f'<img src="data:image/png;base64,{data}" alt="{escape(alt)}">'


def _heated(sample: Sample) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """Return the picture darkened where covering it did no harm, warm where it did, RGB."""
    heat = np.zeros(sample.image.shape) if sample.heat is None else sample.heat.astype(np.float64)
    grey = sample.image[..., None] * np.array([1.0, 1.0, 1.0])
    warm = np.array([255.0, 150.0, 20.0])
    weight = (0.65 * heat)[..., None]
    mixed = grey * (0.45 + 0.55 * heat[..., None]) * (1 - weight) + warm * weight
    return np.asarray(np.clip(mixed, 0, 255), dtype=np.uint8)
