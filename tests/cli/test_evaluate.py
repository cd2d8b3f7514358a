"""The verb evaluate on a made FER-2013, class folders and photos."""

from __future__ import annotations

import csv
import json
import re
import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from facial_expressions.calibration import Calibration
from facial_expressions.cli.main import main
from facial_expressions.data.ferplus import read_ferplus, strict_majority, vote_shares
from facial_expressions.inference.classifier import load_classifier
from facial_expressions.labels import FER2013, FERPLUS, PEOPLE
from facial_expressions.model_metadata import Head
from tests import builders
from tests.tiny_model import (
    FERPLUS_HEAD,
    HEAD,
    metadata_of,
    tiny_graph,
    weights,
    write_mapped_model,
    write_tiny_model,
)


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of FER-2013's seven expressions."""
    return write_tiny_model(tmp_path_factory.mktemp("model") / "tiny.onnx")


@pytest.fixture(scope="session")
def eight(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of FER+'s eight expressions."""
    path = tmp_path_factory.mktemp("model") / "eight.onnx"
    head = Head("ferplus", FERPLUS)
    graph = tiny_graph(metadata_of(head), matrix=weights(FERPLUS), output_name=head.output)
    path.write_bytes(graph.SerializeToString())
    return path


def evaluate(*words: str | Path) -> int:
    return main(["evaluate", *map(str, words)])


def report_of(folder: Path) -> dict[str, Any]:
    data: dict[str, Any] = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    return data


def test_one_data_set_has_one_figure_however_it_is_nested(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flat = builders.kaggle_files(builders.make_rows())
    figures = []
    for number, above in enumerate(("", "archive/", "fer2013/versions/1/", "a/b/c/d/e/f/")):
        path = tmp_path / f"set-{number}"
        builders.write_folder(path, {above + name: data for name, data in flat.items()})
        assert evaluate(model, "--data", path, "--allow-partial") == 0
        text = capsys.readouterr().out
        figures.append(
            re.findall(r"split test, 28 images|^Accuracy .*interval.*|^Macro F1 .*", text, re.M)
        )
    assert len(figures[0]) == 3  # 28: both usages of the test images, four of each class
    assert figures == [figures[0]] * 4


def test_competition_file_is_measured_on_private_test(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Accuracy is that of asking the classifier directly."""
    rows = builders.make_rows()
    table = builders.write_competition_csv(tmp_path / "fer2013.csv", rows)
    code = evaluate(model, "--data", table, "--allow-partial", "--out", tmp_path / "out")
    private = [row for row in rows if row.usage == "PrivateTest"]
    answers = load_classifier(model).predict_proba(np.stack([row.image for row in private]))
    right = [
        FER2013.names[answer] == row.label
        for answer, row in zip(answers.argmax(axis=1), private, strict=True)
    ]
    data = report_of(tmp_path / "out")
    assert code == 0
    assert (data["protocol"], data["n"]) == ("competition", len(private))
    assert data["accuracy"] == pytest.approx(np.mean(right), abs=1e-6)
    assert set(data["subsets"]) == {"private", "no_train_duplicate"}
    streams = capsys.readouterr()
    assert streams.out.startswith("tiny on fer2013, protocol competition, split test, 14 images")
    assert "wrote" in streams.err
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "report.json", "report.md", "report.html", "confusion_matrix.png", "reliability.png",
        "samples.png", "predictions.csv",
    }  # fmt: skip


@pytest.mark.usefixtures("without_charts")
def test_kaggle_archive_is_measured_on_both_tests(model: Path, tmp_path: Path) -> None:
    archive = builders.write_kaggle_zip(tmp_path / "archive.zip", builders.make_rows())
    assert evaluate(model, "--data", archive, "--allow-partial", "--out", tmp_path / "out") == 0
    data = report_of(tmp_path / "out")
    assert (data["protocol"], data["n"]) == ("kaggle", 28)
    assert [data["subsets"][name]["n"] for name in ("public", "private")] == [14, 14]


@pytest.mark.usefixtures("without_charts")
def test_report_says_how_to_make_it_again(model: Path, tmp_path: Path) -> None:
    table = builders.write_competition_csv(tmp_path / "a b.csv", builders.make_rows())
    evaluate(model, "--data", table, "--split", "train", "--allow-partial", "--tta",
             "--out", tmp_path / "out")  # fmt: skip
    data = report_of(tmp_path / "out")
    assert data["command"] == (
        f"facial-expressions evaluate {model} --data '{table}' --split train --allow-partial --tta "
        f"--out {tmp_path / 'out'}"
    )
    assert (data["n_views"], data["split"]) == (10, "train")
    assert len(data["model_digest"]) == len(data["dataset_digest"]) == 64


def test_two_runs_give_the_same_files(model: Path, tmp_path: Path) -> None:
    archive = builders.write_kaggle_zip(tmp_path / "archive.zip", builders.make_rows())
    out = tmp_path / "out"
    for name, batch_size in (("one", "256"), ("two", "5")):
        evaluate(model, "--data", archive, "--allow-partial", "--out", out,
                 "--batch-size", batch_size)  # fmt: skip
        shutil.copytree(out, tmp_path / name)
    for name in ("predictions.csv", "samples.png", "confusion_matrix.png", "reliability.png"):
        first, second = ((tmp_path / run / name).read_bytes() for run in ("one", "two"))
        assert first == second, name
    first_report, second_report = (report_of(tmp_path / run) for run in ("one", "two"))
    for data in (first_report, second_report):
        del data["run"], data["latency_ms"], data["command"]
    assert first_report == second_report


def test_robustness_is_measured_when_asked_for(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = builders.make_rows(train=1, public=1, private=1)
    table = builders.write_competition_csv(tmp_path / "fer2013.csv", rows)
    words = ["--data", str(table), "--allow-partial", "--out", str(tmp_path / "out")]
    assert evaluate(model, *words, "--robustness") == 0
    data = report_of(tmp_path / "out")
    robustness = data["robustness"]
    assert robustness["clean_accuracy"] == data["accuracy"]
    assert [len(kind["accuracy"]) for kind in robustness["kinds"].values()] == [5] * 11
    assert "--robustness" in data["command"]
    assert (tmp_path / "out" / "robustness.png").is_file()
    assert "Accuracy on corrupted images, by severity" in capsys.readouterr().out


def test_class_folders_with_synonyms_and_unknown_classes(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for folder, label in (("Anger", "angry"), ("happiness", "happy"), ("smirk", "sad")):
        (tmp_path / "faces" / folder).mkdir(parents=True)
        for i in range(3):
            image = Image.fromarray(builders.draw_face(label, i, side_px=60))
            image.save(tmp_path / "faces" / folder / f"{i}.png")
    assert evaluate(model, "--data", tmp_path / "faces") == 0
    text = capsys.readouterr().out
    assert "6 images" in text
    assert "smirk" in text
    assert next(line for line in text.splitlines() if line.startswith("Happy")).endswith(" 3")


def test_an_unreadable_image_is_named_and_the_exit_code_is_1(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "faces" / "happy").mkdir(parents=True)
    Image.fromarray(builders.draw_face("happy", 0)).save(tmp_path / "faces" / "happy" / "a.png")
    (tmp_path / "faces" / "happy" / "bad.png").write_bytes(b"no image")
    assert evaluate(model, "--data", tmp_path / "faces") == 1
    assert "happy/bad.png" in capsys.readouterr().out


def test_ferplus_needs_a_model_of_eight_expressions(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = builders.make_rows()
    table = builders.write_competition_csv(tmp_path / "fer2013.csv", rows)
    votes = builders.write_ferplus_csv(tmp_path / "fer2013new.csv", rows)
    code = evaluate(model, "--data", table, "--labels", "ferplus", "--ferplus", votes)
    assert code == 1
    message = capsys.readouterr().err
    assert "not in the 8 expressions" in message
    assert "another model, or --labels fer2013" in message


@pytest.mark.usefixtures("without_charts")
def test_ferplus_strict_majority_is_the_truth(eight: Path, tmp_path: Path) -> None:
    """The support of each class is the number of test rows whose votes have a strict majority."""
    from facial_expressions.data.ferplus import read_ferplus, strict_majority

    rows = builders.make_rows()
    table = builders.write_competition_csv(tmp_path / "fer2013.csv", rows)
    votes = builders.write_ferplus_csv(tmp_path / "fer2013new.csv", rows)
    code = evaluate(eight, "--data", table, "--labels", "ferplus", "--ferplus", votes,
                    "--allow-partial", "--out", tmp_path / "out")  # fmt: skip
    counts, usages = read_ferplus(votes)
    labels = strict_majority(counts[usages == "PrivateTest"], FERPLUS)
    data = report_of(tmp_path / "out")
    assert code == 0
    assert data["dataset"] == "ferplus"
    assert [data["per_class"][name]["support"] for name in FERPLUS] == [
        int(np.sum(labels == i)) for i in range(8)
    ]


@pytest.mark.usefixtures("without_charts")
def test_a_model_with_a_ferplus_head_is_measured_by_that_head(
    mapped_model: Path, tmp_path: Path
) -> None:
    rows = builders.make_rows()
    table = builders.write_competition_csv(tmp_path / "fer2013.csv", rows)
    votes = builders.write_ferplus_csv(tmp_path / "fer2013new.csv", rows)
    words = ("--data", table, "--allow-partial")
    ferplus = ("--labels", "ferplus", "--ferplus", votes, "--out", tmp_path / "plus")
    assert evaluate(mapped_model, *words, *ferplus) == 0
    assert evaluate(mapped_model, *words, "--out", tmp_path / "plain") == 0
    assert report_of(tmp_path / "plus")["labels"] == list(FERPLUS)
    assert report_of(tmp_path / "plain")["labels"] == list(FER2013)


PEOPLE_HEAD = Head("people", PEOPLE, Calibration(temperature=2.0))


@pytest.fixture(scope="session")
def three_heads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with a head for FER-2013, one for FER+ and one for what people see."""
    path = tmp_path_factory.mktemp("model") / "three.onnx"
    return write_mapped_model(path, metadata_of(HEAD, FERPLUS_HEAD, PEOPLE_HEAD, name="three"))


@pytest.fixture
def people_words(tmp_path: Path) -> list[str | Path]:
    rows = builders.make_rows()
    table = builders.write_competition_csv(tmp_path / "fer2013.csv", rows)
    votes = builders.write_ferplus_csv(tmp_path / "fer2013new.csv", rows)
    return ["--data", table, "--allow-partial", "--labels", "people", "--ferplus", votes,
            "--out", tmp_path / "out"]  # fmt: skip


def test_people_are_the_truth_where_a_majority_agrees(
    model: Path, tmp_path: Path, people_words: list[str | Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """A model without such a head is measured by its own; all 14 images have a label."""
    assert evaluate(model, *people_words) == 0
    counts, usages = read_ferplus(tmp_path / "fer2013new.csv")
    found = counts[usages == "PrivateTest"]
    majority = strict_majority(found, PEOPLE)
    data = report_of(tmp_path / "out")
    assert (data["dataset"], data["head"], data["labels"]) == ("people", "fer2013", list(FER2013))
    assert data["n"] == int(np.sum(majority >= 0)) < 14
    assert [data["per_class"][name]["support"] for name in FER2013] == [
        int(np.sum(majority == i)) for i in range(7)
    ]
    assert data["against_labels"]["n"] == 14
    assert data["votes"]["n"] == int(vote_shares(found, PEOPLE).any(axis=1).sum())
    assert set(data["subsets"]) == {"private", "no_train_duplicate"}
    assert "What people see, answered by the head 'fer2013'" in capsys.readouterr().out
    assert (tmp_path / "out" / "votes.png").is_file()


@pytest.mark.usefixtures("without_charts")
def test_the_label_figures_are_those_of_the_report_on_labels(
    model: Path, tmp_path: Path, people_words: list[str | Path]
) -> None:
    assert evaluate(model, *people_words) == 0
    assert evaluate(model, *people_words[:3], "--out", tmp_path / "labels") == 0
    labels = report_of(tmp_path / "labels")
    assert report_of(tmp_path / "out")["against_labels"] == {
        name: labels[name] for name in ("n", "accuracy", "balanced_accuracy")
    }


@pytest.mark.usefixtures("without_charts")
@pytest.mark.parametrize(("words", "head"), [([], "people"), (["--head", "fer2013"], "fer2013")])
def test_the_head_for_people_answers_unless_another_is_asked(
    three_heads: Path,
    tmp_path: Path,
    people_words: list[str | Path],
    words: list[str],
    head: str,
) -> None:
    """The logits of both are the same, those of the head ``people`` divided by 2."""
    assert evaluate(three_heads, *people_words, *words) == 0
    data = report_of(tmp_path / "out")
    assert data["head"] == head
    assert data["label_set"] == head
    assert (data["uncalibrated"] is not None) == (head == "people")


@pytest.mark.usefixtures("without_charts")
@pytest.mark.parametrize(("words", "head"), [([], "people"), (["--head", "fer2013"], "fer2013")])
def test_other_data_is_measured_by_the_default_head(
    tmp_path: Path, words: list[str], head: str
) -> None:
    path = write_mapped_model(tmp_path / "two.onnx", metadata_of(PEOPLE_HEAD, HEAD))
    (tmp_path / "faces" / "happy").mkdir(parents=True)
    Image.fromarray(builders.draw_face("happy", 0)).save(tmp_path / "faces" / "happy" / "a.png")
    out = tmp_path / "out"
    assert evaluate(path, "--data", tmp_path / "faces", "--out", out, *words) == 0
    assert report_of(out)["head"] == head


@pytest.mark.parametrize(
    ("labels", "head", "message"),
    [
        ("people", "ferplus", "'ferplus' answers in .* not in the 7 expressions .*another head"),
        ("people", "smirks", "'smirks'"),
        ("ferplus", "people", "not in the 8 expressions"),
    ],
)
def test_a_head_that_cannot_be_measured_is_named(
    three_heads: Path,
    people_words: list[str | Path],
    labels: str,
    head: str,
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert evaluate(three_heads, *people_words, "--labels", labels, "--head", head) in (1, 3)
    assert re.search(message, capsys.readouterr().err)


def test_a_model_without_a_head_for_people_says_so(
    model: Path, people_words: list[str | Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate(model, *people_words, "--head", "people") == 3
    assert re.search("'people'.*fer2013", capsys.readouterr().err)


def test_votes_that_name_none_of_the_seven_are_refused(
    model: Path, tmp_path: Path, people_words: list[str | Path], capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "fer2013new.csv"
    with path.open(encoding="utf-8", newline="") as file:
        header, *lines = csv.reader(file)
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *([*line[:2], *[0] * 10] for line in lines)])
    assert evaluate(model, *people_words) == 1
    assert "split 'test': no image has a strict majority" in capsys.readouterr().err


@pytest.mark.usefixtures("without_charts")
def test_photos_are_measured_by_their_largest_face(
    model: Path, tmp_path: Path, astronaut: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "photos" / "happy").mkdir(parents=True)
    shutil.copy(astronaut, tmp_path / "photos" / "happy" / "astronaut.png")
    Image.new("RGB", (80, 80), "gray").save(tmp_path / "photos" / "happy" / "nobody.png")
    code = evaluate(model, "--data", tmp_path / "photos", "--detect", "--out", tmp_path / "out")
    data = report_of(tmp_path / "out")
    assert code == 0
    assert (data["n"], data["n_unanswered"], data["protocol"]) == (2, 1, "photos")
    assert "counted as wrong: 1 (happy/nobody.png)" in capsys.readouterr().out
    with (tmp_path / "out" / "predictions.csv").open(encoding="utf-8", newline="") as file:
        answers = {row["source"]: row["prediction"] for row in csv.DictReader(file)}
    assert answers["happy/nobody.png"] == ""
    assert answers["happy/astronaut.png"] in FER2013.names


def test_a_photo_that_an_archive_cannot_give_costs_no_other(
    model: Path, tmp_path: Path, astronaut: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One stored member's bytes are changed, so that its checksum is wrong."""
    packed, data = tmp_path / "photos.zip", astronaut.read_bytes()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("photos/happy/broken.png", data)
        archive.writestr("photos/happy/whole.png", data)
    content = bytearray(packed.read_bytes())
    content[content.index(data) + len(data) // 2] ^= 0xFF
    packed.write_bytes(content)
    assert evaluate(model, "--data", packed, "--detect", "--out", tmp_path / "out") == 1
    assert report_of(tmp_path / "out")["n"] == 1
    said = capsys.readouterr().out
    assert "left out, because they cannot be read: 1 (photos/happy/broken.png)" in said


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--labels", "ferplus"], 2),
        (["--labels", "people"], 2),
        (["--split", "tests"], 2),
        (["--batch-size", "0"], 2),
        (["--detect", "--robustness"], 2),
        (["--protocol", "other"], 1),
    ],
)
def test_what_cannot_be_meant_is_refused(
    model: Path, tmp_path: Path, words: list[str], code: int
) -> None:
    table = builders.write_competition_csv(tmp_path / "fer2013.csv", builders.make_rows())
    assert evaluate(model, "--data", table, *words) == code


def test_a_missing_model_is_code_3(tmp_path: Path) -> None:
    assert evaluate(tmp_path / "none.onnx", "--data", tmp_path) == 3


def test_missing_data_is_code_1(model: Path, tmp_path: Path) -> None:
    assert evaluate(model, "--data", tmp_path / "none.zip") == 1


@pytest.mark.usefixtures("without_charts")
@pytest.mark.slow
def test_the_real_archive_has_the_seeds_test_images(
    model: Path, fer2013_archive: Path, tmp_path: Path
) -> None:
    """Supports of the seed's own report; 568 test images have a copy in training."""
    assert evaluate(model, "--data", fer2013_archive, "--out", tmp_path / "out") == 0
    data = report_of(tmp_path / "out")
    supports = [data["per_class"][name]["support"] for name in FER2013]
    assert supports == [958, 111, 1024, 1774, 1233, 1247, 831]
    assert {name: value["n"] for name, value in data["subsets"].items()} == {
        "public": 3589,
        "private": 3589,
        "no_train_duplicate": 7178 - 280 - 288,
    }
