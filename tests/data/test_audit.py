"""The audit: counts worked out by hand on a small data set with planted faults."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from facial_expressions.data import Dataset, load_dataset
from facial_expressions.data.audit import Audit, audit_dataset, audit_text
from facial_expressions.data.ferplus import ferplus_votes
from facial_expressions.pages.audit_page import audit_page
from tests.builders import Row, make_rows, write_competition_csv, write_ferplus_csv
from tests.pages.page_checker import look_at

CLEAN = make_rows(train=3, public=1, private=1)
BLANK = np.zeros((48, 48), np.uint8)


def planted() -> list[Row]:
    """Clean rows and, planted: two copies across splits, one in conflict, two blanks."""
    first, second = CLEAN[0], CLEAN[1]  # angry and disgust, both Training
    return [
        *CLEAN,
        Row("angry", first.image, "PublicTest"),
        Row("angry", first.image, "PrivateTest"),
        Row("sad", second.image, "Training"),
        Row("happy", BLANK, "Training"),
        Row("neutral", np.full_like(BLANK, 255), "PrivateTest"),
    ]


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    path = write_competition_csv(tmp_path / "fer.csv", planted())
    return load_dataset(path, allow_partial=True)


@pytest.fixture
def report(dataset: Dataset) -> Audit:
    return audit_dataset(dataset)


def test_groups_and_conflicts_are_found(report: Audit) -> None:
    duplicates = report["duplicates"]
    assert [(group["splits"], group["labels"]) for group in duplicates["groups"]] == [
        (["train", "validation", "test"], ["angry", "angry", "angry"]),
        (["train", "train"], ["disgust", "sad"]),
    ]
    assert duplicates["n_images"] == 5
    assert duplicates["n_conflicting"] == 1
    assert [group["conflicting"] for group in duplicates["groups"]] == [False, True]
    assert duplicates["groups"][0]["sources"] == ["row 0", "row 35", "row 36"]


def test_leaks_are_counted_between_each_two_splits(report: Audit) -> None:
    found = {(leak["split"], leak["copied_in"]): leak["n"] for leak in report["leaks"]}
    assert found == {("validation", "train"): 1, ("test", "train"): 1, ("test", "validation"): 1}


def test_blank_images_are_named_whatever_their_shade(report: Audit) -> None:
    assert report["blank"]["sources"] == ["row 38", "row 39"]


def test_balance_counts_each_class(report: Audit) -> None:
    assert report["n"] == 40
    assert report["balance"]["train"] == {
        "angry": 3, "disgust": 3, "fear": 3, "happy": 4, "neutral": 3, "sad": 4, "surprise": 3,
    }  # fmt: skip
    assert sum(report["balance"]["test"].values()) == 9


def test_text_names_the_splits_as_the_competition_does(report: Audit) -> None:
    text = audit_text(report)
    assert "1 PublicTest images have a copy in Training" in text
    assert "2 groups of byte-identical images, 5 images in them, 1 groups with" in text
    assert "2 images are one grey value" in text
    assert "FER+" not in text


def test_it_is_plain_values_for_json(report: Audit) -> None:
    data = json.loads(json.dumps(report))
    assert data["schema"] == 1
    assert data["duplicates"]["n_groups"] == 2
    assert data["duplicates"]["groups"][1]["conflicting"] is True
    assert data["blank"] == {"n": 2, "sources": ["row 38", "row 39"]}
    assert data["ferplus"] is None


def test_agreement_with_ferplus_is_by_class(tmp_path: Path, dataset: Dataset) -> None:
    rows = planted()
    # Every third row's votes say surprise; rows 9, 19, 29 and 39 have no majority.
    voted = [Row("surprise" if k % 3 == 0 else r.label, r.image, r.usage) for k, r in
             enumerate(rows)]  # fmt: skip
    path = write_ferplus_csv(tmp_path / "ferplus.csv", voted)
    found = audit_dataset(dataset, votes=ferplus_votes(dataset, path))["ferplus"]
    counted = [k for k in range(40) if k % 10 != 9]
    agreeing = [k for k in counted if voted[k].label == rows[k].label]
    angry = [k for k in counted if rows[k].label == "angry"]
    assert found["n"] == 36
    assert found["agreement"] == pytest.approx(len(agreeing) / 36)
    assert found["per_class"]["angry"] == pytest.approx(
        len(set(angry) & set(agreeing)) / len(angry)
    )
    assert found["per_class"]["surprise"] == 1
    assert sum(found["n_majority"].values()) == 36


def test_contempt_majorities_are_not_compared(tmp_path: Path, dataset: Dataset) -> None:
    path = write_ferplus_csv(tmp_path / "ferplus.csv", planted())
    votes = ferplus_votes(dataset, path)
    votes["train"][:] = 0
    votes["train"][:, 7] = 10  # contempt
    found = audit_dataset(dataset, votes=votes)["ferplus"]
    assert (found["n_majority"]["train"], found["agreement"]) == (len(dataset.train), 1)
    assert found["n"] == found["n_majority"]["validation"] + found["n_majority"]["test"]


def test_the_page_shows_conflicts_and_blank_images(report: Audit, dataset: Dataset) -> None:
    page = look_at(audit_page(report, dataset))
    conflict, black, white = (read_uri(link) for link in page.links)
    assert np.sqrt(np.mean((conflict - CLEAN[1].image) ** 2)) < 12
    assert (black.max(), white.min()) == (0, 255)
    assert {"disgust, sad", "Training", "happy", "neutral"} <= set(page.texts)


def read_uri(link: str) -> NDArray[np.float64]:
    """Return the pixels of an image that stands in a page, in the size of the data set's."""
    content = base64.b64decode(link.removeprefix("data:image/png;base64,"))
    with Image.open(io.BytesIO(content)) as image:
        return np.asarray(image.convert("L").resize((48, 48)), np.float64)


def test_nothing_found_still_makes_a_page(tmp_path: Path) -> None:
    path = write_competition_csv(tmp_path / "clean.csv", CLEAN)
    clean = load_dataset(path, allow_partial=True)
    report = audit_dataset(clean)
    assert (report["duplicates"]["groups"], report["blank"]["sources"]) == ([], [])
    page = look_at(audit_page(report, clean))
    assert any("duplicates  0 groups" in text for text in page.texts)
    assert page.links == []
