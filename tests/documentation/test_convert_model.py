"""Files of format 1 become files of format 2: the same answers, every number in its place."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from examples.convert_model import convert_model, main
from facial_expressions.calibration import Calibration, TopLabelMap
from facial_expressions.errors import ModelError
from facial_expressions.inference.classifier import load_classifier
from facial_expressions.inference.runtime import open_session
from facial_expressions.labels import FER2013, FERPLUS
from facial_expressions.model_metadata import Head
from facial_expressions.preprocessing import Preprocessing, to_batch
from tests.old_model import old_entries, write_old_model
from tests.tiny_model import write_tiny_model

CROPS = np.random.default_rng(4).integers(0, 256, (20, 48, 48), np.uint8)


@pytest.mark.parametrize("head", ["fer2013", "ferplus"])
def test_no_answer_and_no_map_changes(head: str, tmp_path: Path) -> None:
    old = write_old_model(tmp_path / "old.onnx")
    convert_model(old, tmp_path / "new.onnx")
    new = load_classifier(tmp_path / "new.onnx", labels=head)
    prefix = "" if head == "fer2013" else "ferplus_"
    names = [f"{prefix}probabilities", f"{prefix}maps"]
    batch = to_batch(CROPS, new.metadata.preprocessing)
    rows, maps = open_session(old).run({"crops": batch}, outputs=names)
    assert np.abs(rows - rows.mean(axis=0)).max() > 1e-3  # the crops do differ
    np.testing.assert_allclose(new.predict_proba(CROPS), rows, atol=1e-6)
    np.testing.assert_allclose(new.explain(CROPS), maps, atol=1e-6)


def test_biases_and_map_of_confidences_leave_the_figures(tmp_path: Path) -> None:
    metadata = convert_model(write_old_model(tmp_path / "old.onnx"), tmp_path / "new.onnx")
    biases = tuple(0.1 * i for i in range(7))
    first = Calibration(biases, 2.0, TopLabelMap((1.0,) * 7, (0.0,) * 7), 0.4)
    assert metadata.heads == (
        Head("fer2013", FER2013, first, {"validation_accuracy": 0.75}),
        Head("ferplus", FERPLUS, Calibration(temperature=1.5), {"validation_ece": 0.02}),
    )
    assert metadata.default_head == "fer2013"
    assert (metadata.name, metadata.data_digest) == ("old", "abc")
    assert metadata.preprocessing == Preprocessing()
    assert load_classifier(tmp_path / "new.onnx").metadata == metadata


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"labels": "{}"}, "damaged metadata: KeyError"),
        ({"temperature": "warm"}, "damaged metadata"),
        ({"other_heads": f"[{json.dumps({'figures': {}})}]"}, "damaged metadata"),
        (
            {
                "other_heads": json.dumps(
                    [json.loads(old_entries()["other_heads"])[0]] * 2  # twice one label set
                )
            },
            "different names",
        ),
        ({"other_heads": "[]"}, "does not fit its own description"),
    ],
)
def test_a_damaged_file_is_refused_and_nothing_is_written(
    changes: dict[str, str], said: str, tmp_path: Path
) -> None:
    old = write_old_model(tmp_path / "old.onnx", **changes)
    with pytest.raises(ModelError, match=said):
        convert_model(old, tmp_path / "new.onnx")
    assert not (tmp_path / "new.onnx").exists()


def test_a_file_of_another_format_is_refused(tmp_path: Path) -> None:
    today = write_tiny_model(tmp_path / "today.onnx")
    with pytest.raises(ModelError, match=r"today\.onnx: not a model file of format 1"):
        convert_model(today, tmp_path / "new.onnx")


def test_the_program_says_what_the_new_file_has(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old, new = write_old_model(tmp_path / "old.onnx"), tmp_path / "new.onnx"
    assert main([str(old), str(new)]) == 0
    assert capsys.readouterr().out == f"{new}: heads fer2013, ferplus; default fer2013\n"
    assert main([str(new), str(tmp_path / "again.onnx")]) == 1
    assert "Only 'facial-expressions-model/1' is converted" in capsys.readouterr().err
