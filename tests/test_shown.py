"""Results in a notebook, a script and a table: shown, saved, described, tabulated."""

from __future__ import annotations

import base64
import io
import pickle
import re
import sys
from pathlib import Path
from typing import Final

import numpy as np
import pytest
from PIL import Image

import facial_expressions as fx
from facial_expressions.errors import ImageError, ImageFormatError, MissingExtraError, StorageError
from facial_expressions.quality import Quality
from facial_expressions.results import Faces

LABELS: Final = ("happy", "sad")
FACE: Final = fx.Face(
    fx.Box(5, 6, 25, 30), 0.9, (), fx.Prediction(LABELS, (0.75, 0.25), uncertain_below=0.8)
)
GREY: Final = np.full((40, 60, 3), 90, np.uint8)


def faces_of(image: object = GREY) -> Faces:
    return Faces([FACE], image, fx.ImageResult("<ndarray>", "ok", 60, 40, (FACE,)))


def test_representations_are_short() -> None:
    frame = fx.FrameResult(7, 0.28, 60, 40, ())
    explanation = fx.Explanation("happy", ((0.5,) * 6,) * 6, ((0, 0), (1, 0), (1, 1), (0, 1)))
    tracked = fx.TrackedFace(FACE.box, 0.9, (), FACE.prediction, track_id=3)
    assert repr(faces_of()) == "[Face(happy 75%, box 5, 6, 25, 30, uncertain: unsure)]"
    assert repr(FACE.prediction) == "Prediction(happy 75%)"
    assert repr(tracked).startswith("TrackedFace(happy 75%")
    assert repr(frame) == "FrameResult(7, 0.280 s, no face)"
    assert repr(explanation) == "Explanation(expression='happy')"
    assert repr(fx.ImageResult("a.jpg", "ok", 9, 9, (FACE, FACE))) == (
        "ImageResult('a.jpg', ok, 2 faces: 2 happy)"
    )
    assert repr(fx.ImageResult("b.jpg", "rejected", error="empty")) == (
        "ImageResult('b.jpg', rejected, empty)"
    )


def test_faces_are_a_list_and_survive_pickling() -> None:
    faces = faces_of()
    copy = pickle.loads(pickle.dumps(faces))
    assert faces == [FACE]
    assert (copy, copy.result) == ([FACE], faces.result)


def test_a_notebook_shows_the_marked_image() -> None:
    page = faces_of()._repr_html_()
    assert page is not None
    assert "<figcaption>1 face: happy</figcaption>" in page
    data = re.search(r"data:image/jpeg;base64,([^\"]+)", page)
    assert data is not None
    shown = np.asarray(Image.open(io.BytesIO(base64.b64decode(data[1]))))
    marked = np.asarray(fx.draw_faces(GREY, [FACE]))
    assert shown.shape == marked.shape
    assert np.abs(shown.astype(int) - marked).mean() < 6  # but for JPEG's losses
    assert np.abs(shown.astype(int) - GREY).mean() > 6


def test_a_notebook_falls_back_to_text_without_the_image() -> None:
    assert fx.ImageResult("gone.jpg", "ok", 9, 9, (FACE,))._repr_html_() is None


@pytest.mark.parametrize(
    ("name", "kind"), [("m.png", "PNG"), ("m.JPG", "JPEG"), ("m.webp", "WEBP")]
)
def test_the_marked_image_is_saved(tmp_path: Path, name: str, kind: str) -> None:
    assert faces_of().save(tmp_path / name) == tmp_path / name
    with Image.open(tmp_path / name) as image:
        assert (image.format, image.size) == (kind, (60, 40))


def test_a_result_of_a_file_is_saved_from_that_file(tmp_path: Path) -> None:
    Image.fromarray(GREY).save(tmp_path / "a.png")
    result = fx.ImageResult(str(tmp_path / "a.png"), "ok", 60, 40, (FACE,))
    result.save(tmp_path / "m.png")
    saved = np.asarray(Image.open(tmp_path / "m.png"))
    assert np.array_equal(saved, np.asarray(fx.draw_faces(GREY, [FACE])))


def test_a06_saving_what_cannot_be_says_why(tmp_path: Path) -> None:
    with pytest.raises(ImageFormatError, match=r"^m\.xyz: format not supported\. Supported: \.png"):
        faces_of().save(tmp_path / "m.xyz")
    with pytest.raises(StorageError):
        faces_of().save(tmp_path / "gone" / "m.png")
    with pytest.raises(ImageError, match=r"no such image|file not found"):
        fx.ImageResult("gone.jpg", "ok", 9, 9, (FACE,)).save(tmp_path / "m.png")


def test_show_hands_the_marked_image_to_the_viewer(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[Image.Image] = []

    def take(image: Image.Image) -> bool:
        shown.append(image)
        return True

    monkeypatch.setattr("PIL.ImageShow.show", take)
    faces_of().show()
    assert np.array_equal(np.asarray(shown[0]), np.asarray(fx.draw_faces(GREY, [FACE])))
    monkeypatch.setattr("PIL.ImageShow.show", lambda image: False)
    with pytest.raises(fx.FacialExpressionsError, match="Save it instead"):
        faces_of().show()


def test_a_table_has_a_row_per_face_and_per_image_without_one() -> None:
    pytest.importorskip("pandas", reason="the extra pandas is not installed")
    table = fx.to_dataframe(
        [
            fx.ImageResult("a.jpg", "ok", 60, 40, (FACE, FACE)),
            fx.ImageResult("b.jpg", "ok", 60, 40),
            fx.ImageResult("c.jpg", "rejected", error="empty"),
        ]
    )
    assert list(table.source) == ["a.jpg", "a.jpg", "b.jpg", "c.jpg"]
    assert table.face.tolist()[:2] == [1, 2]
    assert table.face.isna().tolist() == [False, False, True, True]
    assert table.width.isna().tolist() == [False, False, False, True]
    assert table.error.tolist()[3] == "empty"
    assert table[table.uncertain]["sad"].tolist() == [0.25, 0.25]
    assert table.left.tolist()[0] == 5
    assert table.dtypes.astype(str)[["face", "happy", "uncertain"]].tolist() == [
        "Int64", "float64", "boolean",
    ]  # fmt: skip


def test_a_table_of_frames_and_one_of_nothing() -> None:
    pytest.importorskip("pandas", reason="the extra pandas is not installed")
    face = fx.TrackedFace(FACE.box, 0.9, (), FACE.prediction, track_id=3)
    frames = [fx.FrameResult(0, 0.0, 60, 40, (face,)), fx.FrameResult(1, 0.04, 60, 40)]
    table = fx.to_dataframe(frames)
    assert table[["frame", "track_id"]].iloc[0].tolist() == [0, 3]
    assert table.track_id.isna().tolist() == [False, True]
    assert "source" not in table
    assert frames[0].to_dataframe().equals(table.iloc[:1])
    empty = fx.to_dataframe([])
    assert len(empty) == 0
    assert "expression" in empty


def test_faces_become_a_table_with_the_size_of_their_image() -> None:
    pytest.importorskip("pandas", reason="the extra pandas is not installed")
    row = faces_of().to_dataframe().iloc[0]
    assert (row.source, row.width, row.expression) == ("<ndarray>", 60, "happy")


def test_a07_other_things_are_no_table() -> None:
    pytest.importorskip("pandas", reason="the extra pandas is not installed")
    with pytest.raises(TypeError, match="Face: not a result"):
        fx.to_dataframe([FACE])  # type: ignore[list-item]
    frame = fx.FrameResult(0, 0.0, 60, 40)
    with pytest.raises(TypeError, match="images and frames"):
        fx.to_dataframe([frame, fx.ImageResult("a.jpg", "ok", 60, 40)])


def test_a08_without_pandas_the_error_says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(MissingExtraError, match=r"extra 'pandas': not installed"):
        fx.to_dataframe([])


def test_a_misspelt_name_is_an_error_that_suggests_the_right_one() -> None:
    """Were it none under mypy, the remark that ignores it would be an error as unused."""
    with pytest.raises(AttributeError, match="Did you mean 'recognize'"):
        fx.recognise  # type: ignore[attr-defined]  # noqa: B018
    assert fx.Detection(FACE.box, 0.9, None).landmarks == ()


def test_quality_does_not_guess_what_landmarks_would_tell() -> None:
    seen = Quality(width_px=20, sharpness=0.6, light=90)
    face = fx.Face(FACE.box, 0.9, (), FACE.prediction, quality=seen)
    assert set(face.to_dict()["quality"]) == {"width_px", "sharpness", "light"}
