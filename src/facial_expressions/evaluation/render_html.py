"""Renders a report as one HTML page that needs no other file, no script and no network."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np

from facial_expressions.evaluation.charts import coverage_chart, reliability_chart
from facial_expressions.evaluation.html_parts import (
    card,
    headline,
    page,
    page_header,
    picture,
    scroll,
    setting_list,
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

__all__ = ["classification_card", "confusion_card", "mistakes_card", "render_html"]

_SAMPLE_PX = 144


def render_html(
    report: Report, *, samples: Sequence[Sample] = (), mistakes: Sequence[Sample] = ()
) -> str:
    """Return the page: light and dark, from 360 px wide, readable without colors.

    Args:
        report: The report.
        samples: Pictures to show inside the page.
        mistakes: The most confident mistakes, shown too.
    """
    name = report.provenance.model or "Classifier"
    sections = [
        _header(report, name),
        classification_card(report),
        confusion_card(report),
        _calibration(report),
        _subsets(report),
        _robustness(report),
        _samples(samples),
        mistakes_card(mistakes),
        _settings(report),
    ]
    return page(f"{name}: evaluation report", "".join(sections))


def _header(report: Report, name: str) -> str:
    return page_header(name, title_of(report)) + headline(figure_rows(report))


def classification_card(report: Report) -> str:
    """Return the table of precision, recall and F1 of each class."""
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


def confusion_card(report: Report) -> str:
    """Return the confusion matrix twice: pictures, and shares of the true class."""
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


def mistakes_card(mistakes: Sequence[Sample]) -> str:
    """Return the most confident mistakes, a row for each true class; nothing without any.

    Args:
        mistakes: What ``choose_mistakes`` returned.
    """
    if not mistakes:
        return ""
    groups = []
    for truth in dict.fromkeys(one.truth for one in mistakes):
        figures = "".join(
            f'<figure class="sample">{_face(one)}<figcaption><span class="wrong">✗ '
            f"{escape(display_name(one.prediction))}</span> {one.confidence:.2f}</figcaption>"
            "</figure>\n"
            for one in mistakes
            if one.truth == truth
        )
        name = escape(display_name(truth))
        groups.append(
            f'<div><h3>Labelled {name}</h3>\n<div class="mistakes">\n{figures}</div></div>\n'
        )
    text = '<p class="muted">Wrong answers with the highest confidence, by the true class.</p>\n'
    return card("Most confident mistakes", f'{text}<div class="two">\n{"".join(groups)}</div>\n')


def _face(sample: Sample) -> str:
    truth, answer = display_name(sample.truth), display_name(sample.prediction)
    return picture(sample.image, f"A face labelled {truth}, answered {answer}", side_px=_SAMPLE_PX)


def _sample(sample: Sample) -> str:
    truth, answer = display_name(sample.truth), display_name(sample.prediction)
    kind, mark = ("right", "✓") if sample.is_right else ("wrong", "✗")
    images = _face(sample)
    if sample.heat is not None:
        text = "The same face with the regions that decided the answer"
        images += picture(_heated(sample), text, side_px=_SAMPLE_PX)
    return (
        f'<figure class="sample"><div class="pair">{images}</div>'
        f"<figcaption>Truth {escape(truth)}<br>"
        f'<span class="{kind}">{mark} {escape(answer)}</span> {sample.confidence:.2f}'
        "</figcaption></figure>\n"
    )


def _settings(report: Report) -> str:
    notes = "".join(f"<li>{escape(note)}</li>\n" for note in report.notes)
    command = report.provenance.command
    return card(
        "How it was made",
        (f"<ul>\n{notes}</ul>\n" if notes else "")
        + setting_list(setting_rows(report))
        + (f"<pre><code>{escape(command)}</code></pre>\n" if command else ""),
    )


def _bar(share: float) -> str:
    filled = f'<span style="width:{100 * share:.0f}%"></span>'
    return f'<span class="bar" aria-hidden="true">{filled}</span>'


def _heated(sample: Sample) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """Return the picture darkened where its heat map is cold, warm where it is hot, RGB."""
    heat = np.zeros(sample.image.shape) if sample.heat is None else sample.heat.astype(np.float64)
    grey = sample.image[..., None] * np.array([1.0, 1.0, 1.0])
    warm = np.array([255.0, 150.0, 20.0])
    weight = (0.65 * heat)[..., None]
    mixed = grey * (0.45 + 0.55 * heat[..., None]) * (1 - weight) + warm * weight
    return np.asarray(np.clip(mixed, 0, 255), dtype=np.uint8)
