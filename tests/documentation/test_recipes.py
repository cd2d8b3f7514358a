"""The programs of ``examples/`` that need a video, a client, a browser or a folder do run."""

from __future__ import annotations

import ast
import csv
import json
import re
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from benchmarks.server_process import ask
from examples import fastapi_app, nightly_folder
from facial_expressions.server.connections import build_server, open_listener
from facial_expressions.server.limits import ServerLimits
from tests.documentation.pages import ROOT
from tests.documentation.test_examples import SCRIPTS
from tests.media.videos import even_times, face_image, scene, write_video

EXAMPLES = ROOT / "examples"


def test_every_program_is_a_recipe_that_a_test_runs() -> None:
    programs = {path.stem for path in EXAMPLES.glob("*.py")}
    text = Path(__file__).read_text(encoding="utf-8")
    here = {name for name in programs if re.search(rf"\b{name}\b", text)}
    assert programs == here | {path.stem for path in SCRIPTS}
    page = (ROOT / "docs" / "how-to" / "recipes.md").read_text(encoding="utf-8")
    own = {"demo", "convert_model"}  # which other pages show, and tests of their own run
    assert programs - own == set(re.findall(r"<!-- example: (\w+) -->", page))


def test_the_opencv_loop_reads_a_video_in_the_right_colors(tmp_path: Path, astronaut: Path) -> None:
    frames = [scene(face_image(astronaut), [(40, 60)])] * 3
    write_video(tmp_path / "clip.mp4", frames, even_times(3))
    words = [sys.executable, str(EXAMPLES / "opencv_loop.py"), str(tmp_path / "clip.mp4")]
    done = subprocess.run(words, capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stderr
    lines = [ast.literal_eval(line) for line in done.stdout.splitlines()]
    assert [[expression for expression, _ in faces] for faces in lines] == [["happy"]] * 3


def test_the_fastapi_application_answers_and_refuses(astronaut: Path) -> None:
    with open_listener("127.0.0.1", 0) as listener:
        server = build_server(fastapi_app.app, ServerLimits())
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        port = listener.getsockname()[1]
        good = ask(port, "POST", "/faces", astronaut.read_bytes())
        bad = ask(port, "POST", "/faces", b"no image")
        server.should_exit = True
        thread.join()
    assert [face["expression"] for face in json.loads(good[1])] == ["happy"]
    assert (good[0], bad[0]) == (200, 422)


def test_the_streamlit_page_shows_the_photo_and_its_faces() -> None:
    page = AppTest.from_file(str(EXAMPLES / "streamlit_app.py"), default_timeout=30).run()
    assert not page.exception
    assert not page.error
    assert [text.value for text in page.markdown] == ["1 face(s)"]


def test_the_nightly_job_adds_what_is_new_and_keeps_bad_images(
    tmp_path: Path, astronaut: Path
) -> None:
    folder, table = tmp_path / "incoming", tmp_path / "expressions.csv"
    folder.mkdir()
    Image.open(astronaut).save(folder / "a.jpg")
    (folder / "b.jpg").write_bytes(b"no image")
    assert nightly_folder.main([str(folder), str(table)]) == 0
    first = table.read_text(encoding="utf-8")
    Image.new("RGB", (64, 64)).save(folder / "c.png")
    assert nightly_folder.main([str(folder), str(table)]) == 0
    assert table.read_text(encoding="utf-8").startswith(first)
    rows = list(csv.DictReader(table.read_text(encoding="utf-8").splitlines()))
    found = [
        (Path(row["image"]).name, row["status"], row["face"], row["expression"]) for row in rows
    ]
    assert found == [
        ("a.jpg", "ok", "1", "happy"), ("b.jpg", "rejected", "0", ""), ("c.png", "ok", "0", ""),
    ]  # fmt: skip


def test_the_cells_of_the_notebook_run_and_end_with_something_to_show(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(EXAMPLES / "astronaut.jpg", tmp_path)
    monkeypatch.chdir(tmp_path)
    notebook = json.loads((EXAMPLES / "notebook.ipynb").read_text(encoding="utf-8"))
    names: dict[str, Any] = {}
    shown = []
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            *steps, last = ast.parse("".join(cell["source"])).body
            assert isinstance(last, ast.Expr)
            exec(compile(ast.Module(steps, []), "notebook", "exec"), names)
            shown.append(eval(compile(ast.Expression(last.value), "notebook", "eval"), names))
    assert [face.expression for face in shown[0]] == ["happy"]
    assert [type(one).__name__ for one in (shown[1], shown[3])] == ["Image", "Image"]
    assert shown[2]["happy"] > 0.5
