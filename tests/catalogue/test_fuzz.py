"""Seeded fuzzing, a bounded number of cases of each parser; ``make fuzz`` runs it much longer."""

from __future__ import annotations

import warnings
from collections import Counter
from pathlib import Path
from typing import Final

import numpy as np
import pytest

from facial_expressions.data.load import load_reading
from facial_expressions.errors import DatasetError, ModelError, RecipeError
from facial_expressions.inference.classifier import ExpressionClassifier
from facial_expressions.inference.onnx_bytes import seal_model
from facial_expressions.inference.runtime import open_session
from tests.builders import competition_text, make_rows, write_competition_tar, write_competition_zip
from tests.tiny_model import tiny_graph
from tests.trials.fuzz import feed_loader
from tests.trials.fuzz_text_and_models import feed_models, feed_names
from tests.trials.mutations import images, mutate, mutated

SEED: Final = 20_251
ROWS: Final = make_rows(train=1, public=0, private=0)


def test_spoilt_inputs_depend_on_seed_and_number_alone() -> None:
    wholes = images()
    first = dict(mutated(wholes, seed=1, start=0, count=40))
    again = dict(mutated(wholes, seed=1, start=20, count=20))
    assert {number: first[number] for number in again} == again
    assert first != dict(mutated(wholes, seed=2, start=0, count=40))


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_i13_spoilt_images_are_read_or_refused() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        findings = feed_loader(SEED, 0, 1_500)
    assert findings.violations == []
    assert {"ok", "ImageError"} <= set(findings.outcomes)
    assert findings.outcomes.total() == 1_500


def test_m20_models_that_grow_are_opened_or_refused_soon() -> None:
    findings = feed_models(SEED, 0, 120)
    assert findings.violations == []
    assert {"ok", "ModelError", "not opened"} <= set(findings.outcomes)
    assert findings.slowest_s < 3


def test_c16_names_of_any_characters_are_harmless() -> None:
    findings = feed_names(SEED, 0, 200)
    assert findings.outcomes == {"harmless": 200}


def test_spoilt_models_are_refused(tmp_path: Path) -> None:
    """Sealed after they were spoilt in one half, so that the parser behind the seal is reached."""
    whole = tiny_graph(matrix=np.ones((48 * 48, 7), np.float32)).SerializeToString()
    path = tmp_path / "spoilt.onnx"
    outcomes: Counter[str] = Counter()
    for number in range(300):
        random = np.random.default_rng([SEED, number])
        data = mutate(whole, random)
        path.write_bytes(seal_model(data) if number % 2 else mutate(seal_model(whole), random))
        try:
            ExpressionClassifier(open_session(path, threads=1))
            outcomes["ok"] += 1
        except ModelError:
            outcomes["refused"] += 1
    assert outcomes.total() == 300
    assert outcomes["refused"] > 150


@pytest.mark.parametrize("kind", ["csv", "zip", "tar.gz"])
def test_spoilt_tables_are_read_or_refused(kind: str, tmp_path: Path) -> None:
    path = tmp_path / f"fer2013.{kind}"
    if kind == "csv":
        path.write_text(competition_text(ROWS))
    else:
        (write_competition_zip if kind == "zip" else write_competition_tar)(path, ROWS)
    whole = path.read_bytes()
    outcomes: Counter[str] = Counter()
    for number in range(150):
        path.write_bytes(mutate(whole, np.random.default_rng([SEED, number])))
        try:
            assert len(load_reading(path, cache=False).rows) <= 2 * len(ROWS)
            outcomes["ok"] += 1
        except DatasetError:
            outcomes["refused"] += 1
    assert outcomes.total() == 150
    assert outcomes["refused"]


def test_spoilt_recipes_are_read_or_refused(repository: Path, tmp_path: Path) -> None:
    recipe_module = pytest.importorskip("facial_expressions.training.recipe")
    path = tmp_path / "spoilt.toml"
    outcomes: Counter[str] = Counter()
    for recipe in sorted((repository / "recipes").glob("*.toml")):
        whole = recipe.read_bytes()
        for number in range(200):
            path.write_bytes(mutate(whole, np.random.default_rng([SEED, number])))
            try:
                recipe_module.Recipe.load(path)
                outcomes["ok"] += 1
            except RecipeError:
                outcomes["refused"] += 1
    assert outcomes["refused"] > 100


def test_spoilt_forms_are_read_or_refused() -> None:
    pytest.importorskip("fastapi", reason="the extra serve is not installed")
    from tests.server.client import BOUNDARY, form, png, status_of_form

    whole = form(
        ('form-data; name="note"', b"hello"), ('form-data; name="image"; filename="a.png"', png())
    )
    content_type = f"multipart/form-data; boundary={BOUNDARY}".encode()
    outcomes: Counter[int] = Counter()
    for number in range(1_500):
        random = np.random.default_rng([SEED, number])
        kind = mutate(content_type, random) if number % 5 == 0 else content_type
        outcomes[status_of_form(mutate(whole, random), kind)] += 1
    assert set(outcomes) == {200, 400}
