"""A report as text, Markdown, page, charts and files."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.patches import Rectangle  # noqa: TID253 - what charts are made of
from PIL import Image

from facial_expressions.calibration import Calibration
from facial_expressions.errors import MissingExtraError
from facial_expressions.evaluation.figures import LabelFigures, VoteFigures
from facial_expressions.evaluation.metrics import ClassificationScores, ReliabilityBin, Scores
from facial_expressions.evaluation.predictions import read_predictions
from facial_expressions.evaluation.provenance import Provenance
from facial_expressions.evaluation.report import Report, build_report
from facial_expressions.evaluation.robustness import CORRUPTIONS, Robustness
from facial_expressions.evaluation.samples import Sample
from facial_expressions.labels import FER2013, LabelSet
from facial_expressions.pages.drawing import ACCENT, WARM
from facial_expressions.pages.reports import (
    check_ready,
    report_charts,
    report_text,
    write_report,
)
from facial_expressions.pages.tables import classification_table
from facial_expressions.pages.templating import render
from tests.evaluation.fakes import PAIR, predictions_of, random_case
from tests.pages.page_checker import look_at


def seven_classes(n: int = 140) -> Report:
    truth, rows, _ = random_case(n, 7, 0)
    half = np.arange(n) % 2 == 0
    return build_report(
        predictions_of(FER2013, truth.tolist(), rows.tolist()),
        subsets={"public": half, "no_train_duplicate": ~half},
        calibration=Calibration(uncertain_below=0.4),
        provenance=Provenance(
            model="mine", dataset="fer2013", protocol="kaggle", command="facial-expressions x"
        ),
    )


def with_robustness() -> Report:
    """The report above with a table of two kinds; the clean accuracy is taken as 0.5."""
    accuracies = {"shift": (0.5,) * 5, "blur": (0.5, 0.4, 0.3, 0.2, 0.1)}
    kinds = {kind: accuracies[kind.name] for kind in CORRUPTIONS if kind.name in accuracies}
    return replace(seven_classes(), robustness=Robustness(0.5, kinds))


def with_votes() -> Report:
    """The report above as one of majorities, with figures that are set by hand."""
    bins = (ReliabilityBin(0, 0.5, 1, 0.4, 0.3), ReliabilityBin(0.5, 1, 3, 0.75, 0.65))
    report = seven_classes()
    per_class = tuple(replace(row, recall=0.625) for row in report.scores.per_class)
    return replace(
        report,
        provenance=replace(report.provenance, head="other"),
        scores=replace(report.scores, per_class=per_class),
        headline=replace(report.headline, accuracy=0.75),
        votes=VoteFigures(1150, 1.25, 0.5, 0.1, 0.0625, bins),
        against_labels=LabelFigures(1200, 0.5, 0.375),
    )


def samples() -> list[Sample]:
    image = np.random.default_rng(0).integers(0, 256, (48, 48)).astype(np.uint8)
    heat = np.linspace(0, 1, 48 * 48, dtype=np.float32).reshape(48, 48)
    return [
        Sample(image, name, answer, 0.5, heat)
        for name in FER2013
        for answer in (name, "sad" if name != "sad" else "fear")
    ]


def page_of(report: Report, samples: Sequence[Sample] = (), mistakes: Sequence[Sample] = ()) -> str:
    charts = report_charts(report)
    return render("report.html", report=report, charts=charts, samples=samples, mistakes=mistakes)


def report_markdown(report: Report) -> str:
    return render("report.md", report=report, charts=report_charts(report))


def test_classification_report_has_the_seeds_rows() -> None:
    """The seed's own figures, put in by hand, give the seed's own table."""
    supports = (958, 111, 1024, 1774, 1233, 1247, 831)
    scores = ClassificationScores(
        tuple(Scores(0.371, 0.119, 0.18, support) for support in supports),
        Scores(0.374, 0.468, 0.359, 7178),
        Scores(0.441, 0.4585, 0.412, 7178),
        confusion=(),
    )
    truth = np.repeat(np.arange(7), supports)
    rows = np.eye(7)[np.where(np.arange(7178) < 3291, truth, (truth + 1) % 7)]
    report = build_report(predictions_of(FER2013, truth.tolist(), rows.tolist()))
    assert classification_table(replace(report, scores=scores)).rows == [
        ("Angry", "0.37", "0.12", "0.18", "958"),
        ("Disgust", "0.37", "0.12", "0.18", "111"),
        ("Fear", "0.37", "0.12", "0.18", "1,024"),
        ("Happy", "0.37", "0.12", "0.18", "1,774"),
        ("Neutral", "0.37", "0.12", "0.18", "1,233"),
        ("Sad", "0.37", "0.12", "0.18", "1,247"),
        ("Surprise", "0.37", "0.12", "0.18", "831"),
        ("Accuracy", "", "", "0.46", "7,178"),
        ("Macro Avg", "0.37", "0.47", "0.36", "7,178"),
        ("Weighted Avg", "0.44", "0.46", "0.41", "7,178"),
    ]


def test_text_lines_up_in_columns() -> None:
    text = report_text(seven_classes())
    table = text[text.index("Class ") :].split("\n\n")[0].splitlines()
    ends = [line.rstrip()[-1] for line in table if not line.startswith("-")]
    assert len({len(line) for line in table}) == 1
    assert "Class" in table[0]
    assert all(end.isdigit() for end in ends[1:])
    assert text.startswith("mine on fer2013, protocol kaggle, 140 images\n")


def test_markdown_tables_have_the_same_number_of_cells_in_every_row() -> None:
    text = report_markdown(seven_classes())
    blocks = [block.splitlines() for block in text.split("\n\n") if block.startswith("|")]
    assert len(blocks) == 6
    for block in blocks:
        assert len({line.count("|") for line in block}) == 1
    shows = "Confusion matrix: counts and shares of each true class"
    assert f"![{shows}](confusion_matrix.png)" in text
    assert "```bash\nfacial-expressions x\n```" in text


def test_robustness_is_in_every_form() -> None:
    """Means 0.5 and 0.3: 0.4 in all, 0.8 of 0.5; the strongest blur costs four fifths."""
    report = with_robustness()
    text, markdown, page = report_text(report), report_markdown(report), page_of(report)
    cells = ["0.5 to 1.5 px in 48, sigma", "0.500", "0.400", "0.300", "0.200", "0.100", "0.300"]
    assert re.search(r"Blur +" + " +".join(map(re.escape, cells)) + "\n", text)
    assert re.search(r"Corrupted accuracy +0\.4000  mean of the corruption table; 0\.800 of", text)
    assert re.search(r"Box jitter +\+0\.0000  ", text)
    assert f"| Blur | {' | '.join(cells)} |" in markdown
    assert '<td style="--lost:0.800">0.100</td>' in page
    assert look_at(page).tags.count("svg") == 2


def test_what_people_see_is_in_every_form() -> None:
    """The mean of 0.75, 0.625, 0.5 and 0.375 is 0.5625."""
    report = with_votes()
    text, markdown, page = report_text(report), report_markdown(report), page_of(report)
    assert "\nWhat people see, answered by the head 'other'\n" in text
    assert re.search(
        r"Strict majority +140 +0\.7500 +0\.6250 +\d\.\d{4} +\d\.\d{4} +0\.\d{4}\n", text
    )
    assert re.search(r"Shares of votes +1,150 +1\.2500 +0\.5000 +0\.1000 +0\.0625\n", text)
    assert re.search(r"Mean of the four +0\.5625\n", text)
    assert "## What people see, answered by the head 'other'\n" in markdown
    assert "| FER-2013's label | 1,200 | 0.5000 | 0.3750 |  |  |  |  |" in markdown
    shown = look_at(page)
    assert shown.texts.count("What people see, answered by the head 'other'") == 1
    assert {"1,150", "0.5625"} <= set(shown.texts)
    assert shown.tags.count("svg") == 2
    assert max(map(len, text.splitlines())) <= 100


def test_without_votes_no_form_speaks_of_people() -> None:
    report = seven_classes()
    for text in (report_text(report), report_markdown(report), page_of(report)):
        assert "people see" not in text


def test_the_chart_of_votes_shows_the_bins() -> None:
    top, bottom = report_charts(with_votes())["votes"].axes
    heights = [bar.get_height() for bar in top.patches if isinstance(bar, Rectangle)]
    assert heights == [0.3, 0.65]
    assert (top.get_title(loc="left") or top.get_title()) == "Reliability: ECE 0.1000"
    assert top.get_ylabel() == "Share of votes"
    assert report_charts(with_votes())["votes"].get_suptitle().startswith("All 1,150 images")
    filled = [bar.get_height() for bar in bottom.patches if isinstance(bar, Rectangle)]
    assert filled == [25, 75]


def test_without_robustness_no_form_speaks_of_it() -> None:
    report = seven_classes()
    for text in (report_text(report), report_markdown(report)):
        assert "orrupt" not in text
    assert "<h2>Robustness" not in page_of(report)


def test_markdown_cells_cannot_break_out_of_their_table() -> None:
    labels = LabelSet("odd", ("a|b", "<script>", "![x](http://there)"))
    text = report_markdown(build_report(predictions_of(labels, [0], [[0.8, 0.1, 0.1]])))
    assert "A\\|b" in text
    assert "<script>" not in text
    assert "!\\[x](http://there)" in text
    assert "![x]" not in text, "an image would be fetched by what shows the report"


def test_page_is_whole_and_needs_nothing_from_elsewhere() -> None:
    checker = look_at(page_of(with_robustness(), samples=samples()))
    images = [link for link in checker.links if link.startswith("data:")]
    assert len(images) == 2 * 14


def test_mistakes_stand_under_their_true_class() -> None:
    wrong = [one for one in samples() if not one.is_right]
    checker = look_at(page_of(seven_classes(), mistakes=wrong))
    start = checker.texts.index("Labelled Fear")
    assert checker.texts[start + 1 : start + 4] == ["✗ Sad", "0.50", "Labelled Happy"]


def test_page_knows_dark_pages_and_narrow_ones() -> None:
    page = page_of(seven_classes())
    assert "prefers-color-scheme: dark" in page
    assert 'name="viewport"' in page
    assert "color-scheme: light dark" in page


def test_names_from_a_model_file_cannot_put_markup_into_the_page() -> None:
    """Nor can they stop a chart: what stands between dollars is no formula."""
    hostile = "<script>alert(1)</script>"
    labels = LabelSet("odd", ("<img src=x>", r"$\nothing$"))
    image = np.zeros((48, 48), np.uint8)
    report = replace(
        build_report(
            predictions_of(labels, [0], [[0.9, 0.1]]),
            provenance=Provenance(model=r"$\no$" + hostile, command=hostile),
        ),
        notes=(hostile,),
        run={"machine": hostile},
    )
    wrong = Sample(image, labels.names[0], labels.names[1], 0.5)
    checker = look_at(page_of(report, samples=[wrong], mistakes=[wrong]))
    assert checker.tags.count("img") == 2
    assert checker.texts.count(hostile) == 3


def test_page_of_a_report_without_answers_is_whole() -> None:
    report = build_report(predictions_of(PAIR, [0], [[float("nan")] * 2]))
    assert "Calibration" not in look_at(page_of(report)).texts


def test_a_chart_of_the_page_has_its_colors_and_names_what_it_shows() -> None:
    page = page_of(seven_classes())
    svg = page[page.index("<svg") : page.index("</svg>")]
    assert 'aria-label="Accuracy against confidence and against coverage"' in svg
    assert "var(--accent)" in svg
    assert "var(--ink)" in svg
    assert not re.search(f"{ACCENT}|{WARM}|#fff", svg)


def test_the_reliability_chart_shows_the_bins_and_the_curve() -> None:
    report = seven_classes()
    assert report.probabilities is not None
    top, bottom, coverage = report_charts(report)["reliability"].axes
    bins = [row for row in report.probabilities.reliability if row.count]
    heights = [bar.get_height() for bar in top.patches if isinstance(bar, Rectangle)]
    assert heights == pytest.approx([row.accuracy for row in bins])
    assert sum(bar.get_height() for bar in bottom.patches if isinstance(bar, Rectangle)) == (
        pytest.approx(100)
    )
    curve = np.asarray(coverage.lines[0].get_xydata())
    assert curve[-1] == pytest.approx((1, report.accuracy))
    dots = np.asarray(coverage.collections[0].get_offsets())
    uncertain = report.probabilities.uncertain
    assert dots[0] == pytest.approx((uncertain.coverage, uncertain.accuracy))


def test_the_robustness_chart_has_a_line_for_each_kind() -> None:
    box, photo = report_charts(with_robustness())["robustness"].axes
    assert [line.get_label() for line in box.lines] == ["as they are", "Shift"]
    assert [line.get_label() for line in photo.lines] == ["as they are", "Blur"]
    assert np.asarray(photo.lines[1].get_ydata()) == pytest.approx([0.5, 0.4, 0.3, 0.2, 0.1])


def test_the_confusion_chart_has_counts_and_shares() -> None:
    """Of two images of ``no`` one is answered right; the one of ``yes`` is."""
    report = build_report(predictions_of(PAIR, [0, 0, 1], [[0.9, 0.1], [0.2, 0.8], [0.3, 0.7]]))
    counts, shares = report_charts(report)["confusion_matrix"].axes
    assert [text.get_text() for text in counts.texts] == ["1", "1", "0", "1"]
    assert [text.get_text() for text in shares.texts] == ["50", "50", "0", "100"]
    assert [tick.get_text() for tick in counts.get_yticklabels()] == ["No", "Yes"]


def test_the_samples_chart_has_a_column_for_each_class() -> None:
    """Of ``sad`` no answer is wrong; that of ``fear`` that is wrong is ``sad``."""
    chosen = [one for one in samples() if one.truth in {"fear", "sad"}]
    figure = report_charts(seven_classes(), samples=chosen[:3])["samples"]
    titles = [axes.get_title() for axes in figure.axes if axes.get_title()]
    assert titles == ["✓ Fear 0.50", "✓ Sad 0.50", "✗ Sad 0.50"]
    words = [text.get_text() for axes in figure.axes for text in axes.texts]
    assert sorted(words) == ["Fear", "Sad", "no wrong\nanswer"]


@pytest.mark.parametrize("package", ["matplotlib", "jinja2"])
def test_what_is_missing_is_said_before_the_work(
    package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in {package, *(name for name in sys.modules if name.split(".")[0] == package)}:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingExtraError, match=rf"{package}.*\[evaluate\]"):
        check_ready()


def test_written_files_are_those_that_are_named(tmp_path: Path) -> None:
    report = with_robustness()
    written = write_report(report, tmp_path / "new" / "folder", samples=samples())
    assert {path.name for path in written} == {
        "report.json", "report.md", "report.html", "confusion_matrix.png", "reliability.png",
        "robustness.png", "samples.png", "predictions.csv",
    }  # fmt: skip
    assert set((tmp_path / "new" / "folder").iterdir()) == set(written)
    for path in written:
        if path.suffix == ".png":
            with Image.open(path) as image:
                assert min(image.size) > 300
                assert np.asarray(image.convert("L")).std() > 10
    again = read_predictions(tmp_path / "new" / "folder" / "predictions.csv")
    assert np.array_equal(again.probabilities, report.predictions.probabilities)


def test_images_are_the_same_bytes_each_time(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_report(with_robustness(), tmp_path / name, samples=samples()[:4])
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()


def test_a_report_without_answers_has_no_reliability_image(tmp_path: Path) -> None:
    report = build_report(predictions_of(PAIR, [0, 1], [[float("nan")] * 2] * 2))
    names = {path.name for path in write_report(report, tmp_path)}
    assert "reliability.png" not in names
    assert "reliability.png" not in (tmp_path / "report.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("n_classes", [2, 8])
def test_any_number_of_classes_can_be_drawn(tmp_path: Path, n_classes: int) -> None:
    truth, rows, _ = random_case(60, n_classes, 1)
    labels = LabelSet("some", tuple(f"class {i}" for i in range(n_classes)))
    report = build_report(predictions_of(labels, truth.tolist(), rows.tolist()))
    assert (tmp_path / "confusion_matrix.png") in write_report(report, tmp_path)
