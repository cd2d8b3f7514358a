"""The report as text, Markdown, HTML and files."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from facial_expressions.evaluation.metrics import Averages, ClassificationScores, ClassScores
from facial_expressions.evaluation.predictions import read_predictions
from facial_expressions.evaluation.provenance import Provenance
from facial_expressions.evaluation.render_html import render_html
from facial_expressions.evaluation.render_markdown import render_markdown
from facial_expressions.evaluation.render_text import render_text
from facial_expressions.evaluation.report import Report, build_report
from facial_expressions.evaluation.report_files import write_report
from facial_expressions.evaluation.robustness import CorruptionFigures, Robustness
from facial_expressions.evaluation.samples import Sample
from facial_expressions.evaluation.tables import classification_rows
from facial_expressions.labels import FER2013, LabelSet
from tests.evaluation.fakes import PAIR, predictions_of, random_case
from tests.evaluation.page_checker import Checker


def seven_classes(n: int = 140) -> Report:
    truth, rows, _ = random_case(n, 7, 0)
    half = np.arange(n) % 2 == 0
    return build_report(
        predictions_of(FER2013, truth.tolist(), rows.tolist()),
        subsets={"public": half, "no_train_duplicate": ~half},
        uncertain_below=0.4,
        provenance=Provenance(
            model="mine", dataset="fer2013", protocol="kaggle", command="facial-expressions x"
        ),
    )


def with_robustness() -> Report:
    """The report above with a table of two kinds; the clean accuracy is taken as 0.5."""
    kinds = (
        CorruptionFigures("shift", "box", (2, 4, 6, 8, 10), "% of the side", (0.5,) * 5),
        CorruptionFigures("blur", "picture", (1, 2, 3, 4, 5), "px", (0.5, 0.4, 0.3, 0.2, 0.1)),
    )
    return replace(seven_classes(), robustness=Robustness(0.5, kinds))


def samples() -> list[Sample]:
    image = np.random.default_rng(0).integers(0, 256, (48, 48)).astype(np.uint8)
    heat = np.linspace(0, 1, 48 * 48, dtype=np.float32).reshape(48, 48)
    return [
        Sample(image, name, answer, 0.5, heat)
        for name in FER2013
        for answer in (name, "sad" if name != "sad" else "fear")
    ]


def test_classification_report_has_the_seeds_rows() -> None:
    """The seed's own figures, put in by hand, give the seed's own table."""
    supports = (958, 111, 1024, 1774, 1233, 1247, 831)
    scores = ClassificationScores(
        tuple(ClassScores(0.371, 0.119, 0.18, support) for support in supports),
        Averages(0.374, 0.468, 0.359),
        Averages(0.441, 0.4585, 0.412),
    )
    truth = np.repeat(np.arange(7), supports)
    rows = np.eye(7)[np.where(np.arange(7178) < 3291, truth, (truth + 1) % 7)]
    report = build_report(predictions_of(FER2013, truth.tolist(), rows.tolist()))
    seeds = Report(
        provenance=report.provenance,
        split="test",
        split_digest="",
        labels=FER2013,
        headline=report.headline,
        balanced_accuracy=0.468,
        scores=scores,
        confusion=report.confusion,
        probabilities=report.probabilities,
    )
    assert classification_rows(seeds) == [
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
    text = render_text(seven_classes())
    table = text[text.index("Class ") :].split("\n\n")[0].splitlines()
    ends = [line.rstrip()[-1] for line in table if not line.startswith("-")]
    assert len({len(line) for line in table}) == 1
    assert "Class" in table[0]
    assert all(end.isdigit() for end in ends[1:])
    assert text.startswith("mine on fer2013, protocol kaggle, 140 pictures\n")


def test_markdown_tables_have_the_same_number_of_cells_in_every_row() -> None:
    text = render_markdown(seven_classes(), plots=[("a.png", "what it shows")])
    blocks = [block.splitlines() for block in text.split("\n\n") if block.startswith("|")]
    assert len(blocks) == 6
    for block in blocks:
        assert len({line.count("|") for line in block}) == 1
    assert "![what it shows](a.png)" in text
    assert "```bash\nfacial-expressions x\n```" in text


def test_robustness_is_in_every_form() -> None:
    """Means 0.5 and 0.3: 0.4 in all, 0.8 of 0.5; a blur of 5 px costs four fifths."""
    report = with_robustness()
    text, markdown, page = render_text(report), render_markdown(report), render_html(report)
    assert re.search(r"Blur +1 to 5 px +0\.500 +0\.400 +0\.300 +0\.200 +0\.100 +0\.300\n", text)
    assert re.search(r"Corrupted accuracy +0\.4000  mean of the corruption table; 0\.800 of", text)
    assert re.search(r"Box jitter +\+0\.0000  ", text)
    assert "| Blur | 1 to 5 px | 0.500 | 0.400 | 0.300 | 0.200 | 0.100 | 0.300 |" in markdown
    assert '<td style="--lost:0.800">0.100</td>' in page
    checker = Checker()
    checker.feed(page)
    assert checker.open == []


def test_without_robustness_no_form_speaks_of_it() -> None:
    report = seven_classes()
    for text in (render_text(report), render_markdown(report)):
        assert "orrupt" not in text
    assert "<h2>Robustness" not in render_html(report)


def test_markdown_cells_cannot_break_out_of_their_table() -> None:
    labels = LabelSet("odd", ("a|b", "<script>"))
    text = render_markdown(build_report(predictions_of(labels, [0], [[0.9, 0.1]])))
    assert "A\\|b" in text
    assert "<script>" not in text


def test_page_is_whole_and_needs_nothing_from_elsewhere() -> None:
    page = render_html(seven_classes(), samples=samples())
    checker = Checker()
    checker.feed(page)
    assert checker.open == []
    assert {"script", "link", "iframe", "object"}.isdisjoint(checker.tags)
    assert len(checker.links) == 2 * 14
    assert all(link.startswith("data:image/png;base64,") for link in checker.links)
    assert not re.search(r"url\(|@import|https?://", page)
    assert checker.images_without_text == 0
    assert page.startswith('<!doctype html>\n<html lang="en">')


def test_mistakes_stand_under_their_true_class() -> None:
    wrong = [one for one in samples() if not one.is_right]
    checker = Checker()
    checker.feed(render_html(seven_classes(), mistakes=wrong))
    assert checker.open == []
    assert checker.images_without_text == 0
    start = checker.texts.index("Labelled Fear")
    assert checker.texts[start + 1 : start + 4] == ["✗ Sad", "0.50", "Labelled Happy"]


def test_page_knows_dark_pages_and_narrow_ones() -> None:
    page = render_html(seven_classes())
    assert "prefers-color-scheme: dark" in page
    assert 'name="viewport"' in page
    assert "color-scheme: light dark" in page


def test_names_from_a_model_file_cannot_put_markup_into_the_page() -> None:
    labels = LabelSet("odd", ("<img src=x>", "b"))
    page = render_html(
        build_report(
            predictions_of(labels, [0], [[0.9, 0.1]]),
            provenance=Provenance(model="<script>alert(1)</script>", command="a < b"),
        )
    )
    checker = Checker()
    checker.feed(page)
    assert {"script", "img"}.isdisjoint(checker.tags)


def test_page_of_a_report_without_answers_is_whole() -> None:
    checker = Checker()
    checker.feed(render_html(build_report(predictions_of(PAIR, [0], [[float("nan")] * 2]))))
    assert checker.open == []


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
            with Image.open(path) as picture:
                assert min(picture.size) > 300
                assert np.asarray(picture.convert("L")).std() > 10
    assert report.predictions is not None
    again = read_predictions(tmp_path / "new" / "folder" / "predictions.csv")
    assert np.array_equal(again.probabilities, report.predictions.probabilities)


def test_pictures_are_the_same_bytes_each_time(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_report(with_robustness(), tmp_path / name, samples=samples()[:4])
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()


def test_a_report_without_answers_has_no_reliability_picture(tmp_path: Path) -> None:
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
