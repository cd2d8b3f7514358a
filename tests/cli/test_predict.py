"""The verb predict: rows for every input, three formats, marked images, exit codes."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from facial_expressions.cli.main import main
from facial_expressions.colors import expression_color
from facial_expressions.inference.classifier import load_classifier
from facial_expressions.inference.finding import FaceFinder, Found
from facial_expressions.labels import FER2013, FERPLUS
from facial_expressions.results import Face


@pytest.fixture
def folder(tmp_path: Path, astronaut: Path) -> Path:
    """Images of several kinds, a text named as an image, a note, hidden files and folders."""
    root = tmp_path / "images"
    (root / "inner" / "deep").mkdir(parents=True)
    (root / ".hidden").mkdir()
    shutil.copy(astronaut, root / "b.png")
    with Image.open(astronaut) as photo:
        photo.save(root / "inner" / "a.JPG", quality=95)
    Image.new("RGB", (60, 40), "white").save(root / "inner" / "deep" / "写真 ü.webp")
    (root / "c.jpg").write_text("no image")
    (root / "notes.txt").write_text("not looked at")
    shutil.copy(astronaut, root / ".hidden" / "d.png")
    shutil.copy(astronaut, root / ".e.png")
    return root


def run(
    capsys: pytest.CaptureFixture[str], model: Path, *words: str | Path
) -> tuple[int, str, str]:
    code = main(["predict", *map(str, words), "--model", str(model), "--threads", "1"])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def rows_of(out: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.splitlines()]


def test_json_has_the_documented_fields(
    capsys: pytest.CaptureFixture[str], tiny_model: Path, astronaut: Path
) -> None:
    code, out, err = run(capsys, tiny_model, astronaut, "--format", "json")
    (row,) = rows_of(out)
    assert code == 0
    assert err == ""
    assert list(row) == ["schema", "source", "status", "width", "height", "faces"]
    assert {**row, "faces": 0} == {
        "schema": 1, "source": str(astronaut), "status": "ok", "width": 512, "height": 512,
        "faces": 0,
    }  # fmt: skip
    (face,) = row["faces"]
    documented = {
        "box",
        "detection_score",
        "expression",
        "confidence",
        "uncertain",
        "probabilities",
    }
    assert documented <= set(face)
    assert list(face["probabilities"]) == list(FER2013)
    assert max(face["probabilities"].values()) == face["confidence"]
    assert sum(face["probabilities"].values()) == pytest.approx(1, abs=1e-5)
    assert face["box"] == pytest.approx([182, 58, 270, 178], abs=6)
    assert Face.from_dict(face).expression == face["expression"]


def test_folders_are_walked_in_order_and_one_bad_file_is_its_own_row(
    capsys: pytest.CaptureFixture[str], tiny_model: Path, folder: Path
) -> None:
    code, out, err = run(capsys, tiny_model, folder, "--format", "json")
    rows = rows_of(out)
    names = ["b.png", "c.jpg", "inner/a.JPG", "inner/deep/写真 ü.webp"]
    assert [row["source"] for row in rows] == [str(folder / name) for name in names]
    assert [row["status"] for row in rows] == ["ok", "rejected", "ok", "ok"]
    assert [len(row.get("faces", [])) for row in rows] == [1, 0, 1, 0]
    assert "not an image" in rows[1]["error"]
    assert code == 1
    assert err == "4 images: 3 ok, 1 rejected; 2 faces\n"


def test_a_photo_without_a_face_is_ok(
    capsys: pytest.CaptureFixture[str], tiny_model: Path, astronaut: Path
) -> None:
    code, out, _ = run(capsys, tiny_model, astronaut.parent / "coffee.png", "--format", "json")
    (row,) = rows_of(out)
    assert (code, row["status"], row["faces"]) == (0, "ok", [])


@pytest.mark.parametrize("content", [None, b"", b"text", b"\xff\xd8\xff\xe0 cut"])
def test_missing_empty_foreign_and_cut_files_are_rejected(
    capsys: pytest.CaptureFixture[str], tiny_model: Path, tmp_path: Path, content: bytes | None
) -> None:
    path = tmp_path / "bad.jpg"
    if content is not None:
        path.write_bytes(content)
    code, out, _ = run(capsys, tiny_model, path, "--format", "json")
    (row,) = rows_of(out)
    expected = 2 if content is None else 1  # a name of nothing is a slip in the command
    assert (code, row["status"], row["source"]) == (expected, "rejected", str(path))
    assert str(path) in row["error"]


def test_a_folder_without_images_is_skipped(
    capsys: pytest.CaptureFixture[str], tiny_model: Path, tmp_path: Path
) -> None:
    for name in ("a.txt", "b.txt", ".hidden.png"):
        (tmp_path / name).touch()
    code, out, _ = run(capsys, tiny_model, tmp_path)
    assert code == 0
    assert "skipped: no images in this folder; it holds 2 other files" in out


def test_a_missing_file_beside_one_that_is_there_is_a_row(
    capsys: pytest.CaptureFixture[str], tiny_model: Path, tmp_path: Path, astronaut: Path
) -> None:
    code, out, _ = run(capsys, tiny_model, tmp_path / "gone.png", astronaut, "--format", "json")
    assert [row["status"] for row in rows_of(out)] == ["rejected", "ok"]
    assert code == 1


def test_a_file_named_twice_is_skipped_the_second_time(
    capsys: pytest.CaptureFixture[str], tiny_model: Path, folder: Path
) -> None:
    code, out, err = run(
        capsys, tiny_model, folder / "b.png", folder / "inner", folder / "b.png", "--format", "json"
    )
    assert [row["status"] for row in rows_of(out)] == ["ok", "ok", "ok", "skipped"]
    assert code == 0
    assert "1 skipped" in err


def test_text_names_image_and_faces(
    capsys: pytest.CaptureFixture[str], tiny_model: Path, astronaut: Path
) -> None:
    _, out, _ = run(capsys, tiny_model, astronaut, astronaut.parent / "coffee.png")
    first, face, second = out.splitlines()
    assert first == f"{astronaut}  512x512  1 face"
    assert any(f" {name} " in face for name in FER2013)
    assert "%" in face
    assert second.endswith("600x400  no face")


def test_csv_has_a_line_per_face_and_one_for_an_image_without(
    capsys: pytest.CaptureFixture[str], tiny_model: Path, folder: Path
) -> None:
    _, out, _ = run(capsys, tiny_model, folder, "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert [(row["status"], row["face"]) for row in rows] == [
        ("ok", "1"), ("rejected", ""), ("ok", "1"), ("ok", ""),
    ]  # fmt: skip
    assert float(rows[0][rows[0]["expression"]]) == float(rows[0]["confidence"])
    assert rows[1]["error"]
    assert all(None not in row and None not in row.values() for row in rows)


def test_marked_images_are_written_and_inputs_left_alone(
    capsys: pytest.CaptureFixture[str], tiny_model: Path, folder: Path
) -> None:
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    code, _, err = run(capsys, tiny_model, folder, "--draw", folder)
    assert code == 1
    assert f"wrote {folder}" in err
    written = {path.name for path in folder.rglob("*") if path.is_file()} - {p.name for p in before}
    assert written == {"b-faces.png", "a-faces.jpg", "写真 ü-faces.png"}
    assert (folder / "inner" / "deep" / "写真 ü-faces.png").is_file()
    assert all(path.read_bytes() == content for path, content in before.items())
    with Image.open(folder / "b-faces.png") as marked:
        assert marked.size == (512, 512)


def test_min_confidence_marks_answers_as_uncertain(
    capsys: pytest.CaptureFixture[str], tiny_model: Path, astronaut: Path
) -> None:
    options = ("--format", "json", "--min-confidence")
    _, out, _ = run(capsys, tiny_model, astronaut, *options, "1")
    assert rows_of(out)[0]["faces"][0]["uncertain"] is True
    _, out, _ = run(capsys, tiny_model, astronaut, *options, "0")
    assert rows_of(out)[0]["faces"][0]["uncertain"] is False


def test_larger_images_than_allowed_are_rejected(
    capsys: pytest.CaptureFixture[str], tiny_model: Path, astronaut: Path
) -> None:
    code, out, _ = run(capsys, tiny_model, astronaut, "--max-pixels", "1000")
    assert code == 1
    assert "too large" in out


def test_control_characters_in_a_name_do_not_reach_the_terminal(
    capsys: pytest.CaptureFixture[str], tiny_model: Path, tmp_path: Path
) -> None:
    _, out, _ = run(capsys, tiny_model, tmp_path / "a\x1b[31m\nb.jpg")
    assert out.startswith(str(tmp_path / "a\\u001b[31m\\u000ab"))
    assert out.count("\n") == 1
    assert "\x1b" not in out


@pytest.mark.parametrize("name", ["gone.onnx", "no-such-model"])
def test_m01_a_missing_model_is_exit_code_3(
    capsys: pytest.CaptureFixture[str], astronaut: Path, tmp_path: Path, name: str
) -> None:
    model = tmp_path / name
    code, out, err = run(capsys, model, astronaut)
    assert (code, out) == (3, "")
    assert err.startswith(f"facial-expressions: {model}: ")


def test_a_changed_model_is_exit_code_3(
    capsys: pytest.CaptureFixture[str], tiny_model: Path, astronaut: Path, tmp_path: Path
) -> None:
    data = bytearray(tiny_model.read_bytes())
    data[1000] ^= 255
    changed = tmp_path / "changed.onnx"
    changed.write_bytes(data)
    code, _, err = run(capsys, changed, astronaut)
    assert code == 3
    assert "changed after it was written" in err


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["a.jpg", "--format", "xml"],
        ["a.jpg", "--min-confidence", "2"],
        ["a.jpg", "--min-score", "-0.1"],
        ["a.jpg", "--report", "page.txt"],
    ],
)
def test_c19_wrong_usage_is_exit_code_2(words: list[str]) -> None:
    assert main(["predict", *words]) == 2


def test_standard_input_and_a_real_process(tiny_model: Path, astronaut: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "facial_expressions", "predict", "-", "--format", "json",
         "--model", str(tiny_model)],
        input=astronaut.read_bytes(), capture_output=True, check=False,
    )  # fmt: skip
    (row,) = rows_of(done.stdout.decode())
    assert (done.returncode, row["source"], row["status"], len(row["faces"])) == (0, "-", "ok", 1)
    assert done.stderr == b""


def test_explain_adds_a_heat_map_to_each_face(
    capsys: pytest.CaptureFixture[str], mapped_model: Path, astronaut: Path, tmp_path: Path
) -> None:
    plain, warm = tmp_path / "plain", tmp_path / "warm"
    run(capsys, mapped_model, astronaut, "--draw", plain)
    code, out, _ = run(
        capsys, mapped_model, astronaut, "--explain", "--draw", warm, "--format", "json"
    )
    assert code == 0
    explanation = rows_of(out)[0]["faces"][0]["explanation"]
    assert explanation["expression"] == rows_of(out)[0]["faces"][0]["expression"]
    assert [len(row) for row in explanation["heat"]] == [6] * 6
    assert len(explanation["corners"]) == 4
    first, second = (
        np.asarray(Image.open(folder / "astronaut-faces.png")).astype(int)
        for folder in (plain, warm)
    )
    (left, top), _, (right, bottom), _ = explanation["corners"]
    inside = np.zeros(first.shape[:2], bool)
    inside[int(top) : int(bottom) + 1, int(left) : int(right) + 1] = True
    differs = np.any(first != second, axis=2)
    assert differs[inside].any()
    assert not differs[~inside].any()


def test_explain_without_a_place_to_show_it_is_a_usage_error(
    capsys: pytest.CaptureFixture[str], mapped_model: Path, astronaut: Path
) -> None:
    code, out, err = run(capsys, mapped_model, astronaut, "--explain")
    assert (code, out) == (2, "")
    assert "--draw or --format json" in " ".join(err.split())


def test_a_model_without_maps_cannot_explain(
    capsys: pytest.CaptureFixture[str], tiny_model: Path, astronaut: Path
) -> None:
    code, out, err = run(capsys, tiny_model, astronaut, "--explain", "--format", "json")
    assert (code, out) == (3, "")
    assert "cannot explain its answers" in err


def test_labels_choose_the_label_set(
    capsys: pytest.CaptureFixture[str], mapped_model: Path, astronaut: Path
) -> None:
    words = (astronaut, "--labels", "ferplus", "--format", "json")
    code, out, _ = run(capsys, mapped_model, *words)
    assert code == 0
    assert list(rows_of(out)[0]["faces"][0]["probabilities"]) == list(FERPLUS)


@pytest.mark.parametrize("output", ["text", "json"])
def test_c18_a_data_uri_is_not_read_and_shown_shortened(
    capsys: pytest.CaptureFixture[str], tiny_model: Path, output: str
) -> None:
    code, out, _ = run(
        capsys, tiny_model, f"data:image/png;base64,{'A' * 3000}", "--format", output
    )
    assert code == 2  # nothing that was named is there
    assert "data URIs are not read" in out
    assert out.count("data:image") == {"text": 1, "json": 2}[output]
    assert len(out) < 400


@pytest.mark.parametrize("address", ["http://localhost:1/a/photo.jpg?x=1", "s3://bucket/a.png"])
def test_c18_an_address_is_not_fetched_and_shown_whole(
    capsys: pytest.CaptureFixture[str], tiny_model: Path, address: str
) -> None:
    code, out, _ = run(capsys, tiny_model, address)
    assert code == 2
    assert out.startswith(f"{address}  rejected: addresses are not fetched.")


@pytest.mark.parametrize(
    "head",
    [
        b"\0\0\0\x20ftypisom",
        b"\x1aE\xdf\xa3",
        b"RIFF\0\0\0\0AVI ",
        b"\0\0\0\x14ftypqt  ",
        b"G\x40\x11\x10" + bytes(184) + b"G",
        b"YUV4MPEG2 W48",
        b"\x1f\7\0",
        b"\0\0\0\1\x67\x64",
    ],
)
def test_c18_a_video_names_the_verb_for_videos(
    capsys: pytest.CaptureFixture[str], tiny_model: Path, tmp_path: Path, head: bytes
) -> None:
    clip = tmp_path / "clip.jpg"
    clip.write_bytes(head + bytes(100))
    code, out, _ = run(capsys, tiny_model, clip)
    assert code == 1
    assert f"{clip}  rejected: a video, not an image. Read it with 'facial-expressions " in out


def test_a_terminal_gets_a_bar_of_the_shares_in_the_colours_of_pictures(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tiny_model: Path,
    astronaut: Path,
) -> None:
    _, plain, _ = run(capsys, tiny_model, astronaut)
    assert "\x1b" not in plain
    _, out, _ = run(capsys, tiny_model, astronaut, "--format", "json")
    shares = rows_of(out)[0]["faces"][0]["probabilities"]
    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("COLORTERM", "truecolor")
    monkeypatch.setenv("TERM", "xterm")
    main(["predict", str(astronaut), "--model", str(tiny_model)])
    drawn = terminal.getvalue()
    top = max(shares, key=lambda name: shares[name])
    color = ";".join(map(str, expression_color(top)))
    cells = drawn.partition(f"\x1b[38;2;{color}m")[2].partition("\x1b")[0]
    assert cells == "█" * round(20 * shares[top])
    assert drawn.count("█") == 20
    assert re.sub(r"  (\x1b\[[\d;]*m|█)+", "", drawn) == plain


def test_no_color_keeps_a_terminal_plain(
    monkeypatch: pytest.MonkeyPatch, tiny_model: Path, astronaut: Path
) -> None:
    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("NO_COLOR", "1")
    main(["predict", str(astronaut), "--model", str(tiny_model)])
    assert "\x1b" not in terminal.getvalue()
    assert "█" not in terminal.getvalue()


def test_draw_writes_the_file_that_is_named_and_the_row_names_it(
    capsys: pytest.CaptureFixture[str], tiny_model: Path, astronaut: Path, tmp_path: Path
) -> None:
    out_file = tmp_path / "out.jpg"
    words = (astronaut, "--draw", out_file, "--format")
    code, out, _ = run(capsys, tiny_model, *words, "json")
    assert (code, rows_of(out)[0]["drawn"]) == (0, str(out_file))
    with Image.open(out_file) as marked:
        assert (marked.format, marked.size) == ("JPEG", (512, 512))
    code, out, err = run(capsys, tiny_model, *words, "text")
    assert (code, out) == (2, "")
    assert "Add --overwrite" in " ".join(err.split())
    _, out, _ = run(capsys, tiny_model, *words, "csv", "--overwrite")
    assert [row["drawn"] for row in csv.DictReader(io.StringIO(out))] == [str(out_file)]


def test_rows_name_the_files_in_a_folder_of_marked_images(
    capsys: pytest.CaptureFixture[str], tiny_model: Path, folder: Path, tmp_path: Path
) -> None:
    _, out, _ = run(capsys, tiny_model, folder, "--draw", tmp_path / "m", "--format", "json")
    names = [row.get("drawn") for row in rows_of(out)]
    inner = tmp_path / "m" / "inner"
    expected = [tmp_path / "m" / "b-faces.png", None, inner / "a-faces.jpg"]
    assert names == [path and str(path) for path in expected] + [
        str(inner / "deep" / "写真 ü-faces.png")
    ]
    assert all(Path(name).is_file() for name in names if name)


@pytest.mark.parametrize(
    ("draw", "problem"),
    [
        ("out.png", "is one file for 4 images. Name a folder"),
        ("out.tiff", "marked images are written as .png"),
    ],
)
def test_c20_one_file_for_many_marked_images_is_wrong_usage(
    capsys: pytest.CaptureFixture[str],
    tiny_model: Path,
    folder: Path,
    tmp_path: Path,
    draw: str,
    problem: str,
) -> None:
    code, out, err = run(capsys, tiny_model, folder, "--draw", tmp_path / draw)
    assert (code, out) == (2, "")
    assert problem in " ".join(err.split())
    assert not (tmp_path / draw).exists()


def test_c20_the_input_is_never_drawn_over(
    capsys: pytest.CaptureFixture[str], tiny_model: Path, folder: Path
) -> None:
    path, before = folder / "b.png", (folder / "b.png").read_bytes()
    code, _, err = run(capsys, tiny_model, path, "--draw", path, "--overwrite")
    assert code == 2
    assert "this is an input" in " ".join(err.split())
    assert path.read_bytes() == before


@pytest.fixture
def two_faces(tmp_path: Path, astronaut: Path) -> Path:
    """The astronaut beside herself at half the size."""
    with Image.open(astronaut) as photo:
        whole = Image.new("RGB", (800, 512), "white")
        whole.paste(photo.resize((256, 256)), (0, 0))
        whole.paste(photo, (288, 0))
    path = tmp_path / "two.png"
    whole.save(path)
    return path


def test_largest_keeps_one_face_of_each_image(
    capsys: pytest.CaptureFixture[str], tiny_model: Path, two_faces: Path
) -> None:
    _, out, _ = run(capsys, tiny_model, two_faces, "--format", "json")
    small, large = rows_of(out)[0]["faces"]
    assert small["box"][2] < 256 < large["box"][0]
    _, out, _ = run(capsys, tiny_model, two_faces, "--format", "json", "--largest")
    assert rows_of(out)[0]["faces"] == [large]


def test_min_score_leaves_out_what_the_detector_is_less_sure_of(
    capsys: pytest.CaptureFixture[str], tiny_model: Path, two_faces: Path
) -> None:
    _, out, _ = run(capsys, tiny_model, two_faces, "--format", "json")
    scores = [face["detection_score"] for face in rows_of(out)[0]["faces"]]
    between = str(sum(scores) / 2)
    _, out, _ = run(capsys, tiny_model, two_faces, "--format", "json", "--min-score", between)
    assert [face["detection_score"] for face in rows_of(out)[0]["faces"]] == [max(scores)]


def test_crops_are_answered_as_the_classifier_answers_them(
    capsys: pytest.CaptureFixture[str], tiny_model: Path, tmp_path: Path
) -> None:
    crop = np.random.default_rng(0).integers(0, 256, (48, 48), np.uint8)
    Image.fromarray(crop).save(tmp_path / "crop.png")
    code, out, _ = run(capsys, tiny_model, tmp_path / "crop.png", "--crops", "--format", "json")
    (face,) = rows_of(out)[0]["faces"]
    expected = load_classifier(tiny_model).predict_proba(crop[None])[0]
    assert code == 0
    assert face["box"] == [0, 0, 48, 48]
    assert list(face["probabilities"].values()) == pytest.approx(expected.tolist(), abs=1e-6)


def test_report_is_one_page_of_all_images(
    capsys: pytest.CaptureFixture[str], tiny_model: Path, folder: Path, tmp_path: Path
) -> None:
    report = tmp_path / "out.html"
    code, _, err = run(capsys, tiny_model, folder, "--report", report)
    page = report.read_text(encoding="utf-8")
    assert code == 1
    assert f"wrote {report}" in err
    assert "4 images, 2 faces" in page
    assert page.count('class="thumb"') == 3
    assert "c.jpg" in page
    code, out, err = run(capsys, tiny_model, folder, "--report", report)
    assert (code, out) == (2, "")
    assert "Add --overwrite" in " ".join(err.split())


def test_ctrl_c_keeps_the_rows_and_the_report_of_what_was_done(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tiny_model: Path,
    folder: Path,
    tmp_path: Path,
) -> None:
    real = FaceFinder.find

    def find(self: FaceFinder, source: Path) -> Found:
        found = real(self, source)
        if found.height == 40:
            raise KeyboardInterrupt
        return found

    monkeypatch.setattr(FaceFinder, "find", find)
    words = (folder, "--format", "json", "--report", tmp_path / "out.html")
    code, out, _ = run(capsys, tiny_model, *words)
    assert code == 130
    assert [row["status"] for row in rows_of(out)] == ["ok", "rejected", "ok"]
    assert "3 images, 2 faces" in (tmp_path / "out.html").read_text(encoding="utf-8")
