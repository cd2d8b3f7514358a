"""The script that fills measured figures into the pages."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from facial_expressions.data.dataset import Split
from facial_expressions.evaluation import EvaluationSettings, evaluate
from facial_expressions.labels import FER2013
from scripts.update_figures import (
    Report,
    Reports,
    check_digests,
    coverage_lines,
    fill,
    fill_index,
)
from scripts.write_reports import answers_in, keep
from tests.tiny_model import write_tiny_model

PAGE = "before\n<!-- figures: {name} happy -->\nold\n<!-- /figures -->\nafter\n"


class _AlwaysHappy:
    labels = FER2013

    def predict_proba(self, crops: NDArray[np.uint8], /) -> NDArray[np.float32]:
        return np.tile(np.eye(7, dtype=np.float32)[3], (len(crops), 1))


@pytest.fixture
def reports() -> Reports:
    """A report of four images, three of them happy, two of them of the private test."""
    images = np.zeros((4, 48, 48), np.uint8)
    usages = np.array(["PublicTest", "PublicTest", "PrivateTest", "PrivateTest"])
    split = Split("test", images, np.array([3, 3, 3, 5]), usages, tuple("abcd"))
    report: Report = evaluate(_AlwaysHappy(), split).to_dict()
    return {"happy": report, "happier": report, "happy-views": report}


def test_only_the_block_changes(reports: Reports) -> None:
    filled = fill(PAGE.format(name="summary"), reports)
    assert filled.startswith("before\n<!-- figures: summary happy -->\n| ")
    assert filled.endswith("\n<!-- /figures -->\nafter\n")
    assert "old" not in filled


def test_filling_twice_changes_nothing_more(reports: Reports) -> None:
    once = fill(PAGE.format(name="summary"), reports)
    assert fill(once, reports) == once


def test_summary_has_the_accuracies(reports: Reports) -> None:
    """Three of four are right, both public ones, one of two private ones."""
    filled = fill(PAGE.format(name="summary"), reports)
    assert "| accuracy, all 4 | 45.85% | 75.00% (" in filled
    assert "| accuracy, PublicTest (2) |  | 100.00% (" in filled
    assert "| accuracy, PrivateTest (2) |  | 50.00% (" in filled


def test_details_are_the_tables_of_the_models_report(
    reports: Reports, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "happy").mkdir()
    tables = "| a |\n\n## Confusion matrix\n\n| b |"
    text = f"# Evaluation report\n\nhappy on x.\n\n{tables}\n\n![Chart](chart.png)\n\n## Made\n"
    (tmp_path / "happy" / "report.md").write_text(text)
    monkeypatch.setattr("scripts.update_figures.REPORTS", tmp_path)
    filled = fill(PAGE.format(name="details"), reports)
    own = "| a |\n\n#### Confusion matrix\n\n| b |"
    assert f"-->\n{own}\n\n#### Most confident answers\n\n| answers kept" in filled
    assert "| 100% | 1.000 | 75.00% |\n" in filled
    assert "Made" not in filled


def test_unknown_block_is_refused(reports: Reports) -> None:
    with pytest.raises(KeyError, match="weather"):
        fill(PAGE.format(name="weather"), reports)


def test_models_stand_side_by_side_with_their_other_reports(reports: Reports) -> None:
    filled = fill("<!-- figures: summary happier happy -->\n<!-- /figures -->", reports)
    assert "| FER-2013 test images | seed | happier | happy |" in filled
    assert filled.count("75.00% (") == 3  # both models on all images, one of them with views
    assert "| accuracy, mean of ten views, all 7,178 |  |  | 75.00% (" in filled


def test_a_model_without_a_report_is_refused(reports: Reports) -> None:
    with pytest.raises(KeyError, match="sad"):
        fill("<!-- figures: details sad -->\n<!-- /figures -->", reports)


@pytest.fixture(scope="module")
def full() -> Report:
    """The report above with corruptions: the same answer whatever is done to an image."""
    images = np.zeros((4, 48, 48), np.uint8)
    split = Split("test", images, np.array([3, 3, 3, 5]), np.full(4, ""), tuple("abcd"))
    settings = EvaluationSettings(has_robustness=True)
    return evaluate(_AlwaysHappy(), split, settings=settings).to_dict()


def test_coverage_has_a_row_for_each_share_and_the_models_own(full: Report) -> None:
    points = [
        {"threshold": 0.9 - share, "coverage": share, "accuracy": 1 - share / 2}
        for share in (0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
    ]
    own = {"threshold": 0.45, "coverage": 0.512, "accuracy": 0.77}
    lines = coverage_lines({**full, "coverage": points, "uncertain": own})
    assert lines[2] == "| 100% | -0.100 | 50.00% |"
    assert lines[7] == "| 50% | 0.400 | 75.00% |"
    assert lines[8] == "| **51.2%, not `uncertain`** | 0.450 | 77.00% |"


def test_a_report_from_before_robustness_has_empty_cells(full: Report) -> None:
    old = {key: value for key, value in full.items() if key not in ("robustness", "uncalibrated")}
    text = fill(PAGE.format(name="summary"), {"happy": old})
    assert "corruptions" not in text
    both = fill(PAGE.replace("happy", "a b").format(name="summary"), {"a": full, "b": old})
    assert "| mean accuracy under 11 corruptions, share of the clean |  | 1.000 |  |" in both
    assert "| accuracy lost when the face box is slightly off |  | 0.00 points |  |" in both


def test_the_index_gets_figures_of_models_with_a_report_only(full: Report) -> None:
    stale = {"measured": {"accuracy": 0.1}, "file": "x"}
    index = {"default": "a", "models": {"a": {"file": "y"}, "new": stale}}
    entries = json.loads(fill_index(json.dumps(index), {"a": full}))["models"]
    assert entries["a"]["measured"]["accuracy"] == 0.75
    assert entries["a"]["measured"]["n"] == 4
    assert entries["a"]["measured"]["ms_per_crop"] == round(full["latency_ms"]["per_crop"], 2)
    assert entries["new"] == {"file": "x"}


def test_a_report_of_another_file_is_refused(full: Report) -> None:
    index = {"models": {"a": {"sha256": "1"}, "new": {"sha256": "2"}}}
    mine, other = {**full, "model_digest": "1"}, {**full, "model_digest": "3"}
    check_digests(index, {"a": mine, "a-views": mine, "other": other})
    with pytest.raises(ValueError, match="a-views: the report of another file"):
        check_digests(index, {"a": mine, "a-views": other})


def test_what_shows_images_or_names_rows_is_not_kept(tmp_path: Path) -> None:
    made = tmp_path / "made"
    made.mkdir()
    for name in ("report.json", "report.html", "samples.png", "predictions.csv", "robustness.png"):
        (made / name).write_bytes(b"x")
    (made / "report.md").write_text("# A\n\n![b](robustness.png)\n\n![c](samples.png)\n\nend\n")
    keep(made, tmp_path / "kept")
    kept = {path.name for path in (tmp_path / "kept").iterdir()}
    assert kept == {"report.json", "report.md", "robustness.png"}
    text = (tmp_path / "kept" / "report.md").read_text()
    assert text == "# A\n\n![b](robustness.png)\n\nend\n"


def test_only_models_with_a_head_for_it_are_measured(tmp_path: Path) -> None:
    one_head = str(write_tiny_model(tmp_path / "one-head.onnx"))
    for kind, with_it in (("ferplus", "standardized-cnn"), ("people", "compact")):
        assert answers_in(with_it, kind)
        assert not answers_in(one_head, kind)
    assert answers_in(one_head, "plain")


def test_both_answers_stand_side_by_side() -> None:
    one: Report = {
        "n": 10,
        "accuracy": 0.9,
        "accuracy_ci95": [0.8, 0.95],
        "balanced_accuracy": 0.7,
        "per_class": {"neutral": {"recall": 0.85}},
        "subsets": {"no_train_duplicate": {"n": 9, "accuracy": 0.8, "accuracy_ci95": [0.7, 0.9]}},
        "against_labels": {"n": 12, "accuracy": 0.6, "balanced_accuracy": 0.5},
        "votes": {"n": 11, "ece": 0.02, "kl": 0.25},
        "command": "facial-expressions evaluate happy",
    }
    other = one | {"accuracy": 0.5, "votes": {"n": 11, "ece": 0.1, "kl": 0.75}}
    reports = {"happy-people": one, "happy-people-by-labels": other}
    filled = fill(PAGE.format(name="people"), reports)
    assert "| happy, PrivateTest | `--labels people` | `--labels fer2013` |" in filled
    assert "(10) | 90.00% (80.0 to 95.0) | 50.00% (80.0 to 95.0) |" in filled
    assert "| neutral faces called neutral | 85.00% | 85.00% |" in filled
    assert "| distance from the votes (KL, nats) | 0.250 | 0.750 |" in filled


def test_the_headline_has_both_answers_and_the_calibration() -> None:
    labels: Report = {"n": 7178, "accuracy": 0.7147, "accuracy_ci95": [0.704, 0.725]}
    people = {"n": 3137, "accuracy": 0.8575, "accuracy_ci95": [0.845, 0.869]}
    people |= {"votes": {"n": 3573, "ece": 0.0162}}
    text = fill(PAGE.format(name="headline"), {"happy": labels, "happy-people": people})
    assert "ten people (3,137 images) | 85.75% (84.5 to 86.9) |" in text
    assert "`--labels fer2013` (7,178) | 71.47% (70.4 to 72.5) |" in text
    assert "against the votes (3,573) | 1.62% |" in text


def test_other_packages_stand_beside_what_is_measured_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair = {"ours_ms": 0.66, "theirs_ms": 20.4}
    measured = {"photo 1280x720": pair}
    sizes = {"base_install_mb": 227.6, "install_mb": {"numpy": 70.0, "pillow": 20.0}}
    (tmp_path / "results").mkdir()
    for name, figures in {"peer": measured, "footprint": sizes}.items():
        (tmp_path / "results" / f"{name}.json").write_text(json.dumps({"figures": figures}))
    (tmp_path / "peers.csv").write_text(
        "what;ours;theirs\nsize;{footprint[base_install_mb]:.0f} MB ({n});2 GB\n"
        "photo;{peer[photo 1280x720][ours_ms]:.2f} ms;{peer[photo 1280x720][theirs_ms]:.1f} ms\n"
        "right;{report[accuracy]:.0%};57%\nerror;{people[votes][ece]:.1%};no\n"
        "crop;{peer[photo 1280x720][ours_ms]:.1f} ms;{other[crop][theirs_ms]:.1f} ms\n"
    )
    monkeypatch.setattr("scripts.update_figures.BENCHMARKS", tmp_path)
    reports: Reports = {"happy": {"accuracy": 0.71}, "happy-people": {"votes": {"ece": 0.01}}}
    lines = fill(PAGE.format(name="peers"), reports).splitlines()
    assert lines[4:9] == [
        "| size | 228 MB (2) | 2 GB |",
        "| photo | 0.66 ms | 20.4 ms |",
        "| right | 71% | 57% |",
        "| error | 1.0% | no |",
        "| crop | 0.7 ms | not measured |",
    ]
