"""What the pages tell a reader to run does run: Python blocks, commands and the example scripts."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from facial_expressions.cli.main import main
from tests import builders
from tests.documentation.pages import ROOT, blocks, commands, pages
from tests.media.videos import even_times, face_picture, scene, write_video

PYTHON_PAGES = [page for page in pages() if blocks(page, "python")]
COMMAND_PAGES = [page for page in pages() if any(c.startswith("facial-") for c in commands(page))]

SHORTER = {
    "train": ["--set", "optimization.epochs=1", "--set", "optimization.batch_size=14"],
}
"""Options added to a verb, so that a page's run takes seconds instead of hours."""


@pytest.fixture
def workplace(tmp_path: Path, astronaut: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the files that the pages speak of; the data set is a tiny synthetic one."""
    Image.open(astronaut).save(tmp_path / "photo.jpg", quality=95)
    (tmp_path / "photos" / "inner").mkdir(parents=True)
    shutil.copy(tmp_path / "photo.jpg", tmp_path / "photos" / "inner" / "one.jpg")
    (tmp_path / "list.csv").write_text("path\nphotos/inner/one.jpg\n", encoding="utf-8")
    shown = [scene(face_picture(astronaut), [(40 + 5 * index, 60)]) for index in range(6)]
    write_video(tmp_path / "clip.mp4", shown, even_times(6), sound="aac")
    rows = builders.make_rows(train=4, public=1, private=1)
    builders.write_kaggle_zip(tmp_path / "archive.zip", rows)
    builders.write_competition_tar(tmp_path / "fer2013.tar.gz", rows)
    builders.write_ferplus_csv(tmp_path / "fer2013new.csv", rows)
    builders.write_folder(
        tmp_path / "my-faces",
        {
            f"{folder}/{number}.jpg": builders.jpeg(builders.draw_face(label, number))
            for folder, label in {"anger": "angry", "happiness": "happy"}.items()
            for number in range(3)
        },
    )
    shutil.copytree(ROOT / "recipes", tmp_path / "recipes")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("page", PYTHON_PAGES, ids=lambda page: page.name)
def test_python_blocks_run(page: Path, workplace: Path) -> None:
    """The blocks of a page run one after the other, as a reader would type them."""
    names: dict[str, object] = {"__name__": "__main__"}
    for block in blocks(page, "python"):
        code = compile("\n" * (block.line - 1) + block.text, str(page), "exec")
        exec(code, names)


@pytest.fixture
def _steps_without_a_graph() -> Iterator[None]:
    """Train without making a graph of a step: a page's runs take too few of them to pay for it.

    Runs as a user has them are in ``tests/test_end_to_end.py`` and ``tests/cli/test_train.py``.
    """
    import tensorflow

    tensorflow.config.run_functions_eagerly(True)
    yield
    tensorflow.config.run_functions_eagerly(False)


@pytest.mark.train
@pytest.mark.usefixtures("_steps_without_a_graph")
@pytest.mark.parametrize("page", COMMAND_PAGES, ids=lambda page: page.name)
def test_commands_run(page: Path, workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The commands of a page run in their order, each to exit code 0."""
    for command in commands(page):
        words = shlex.split(command)
        if words[0] == "facial-expressions":
            code = main([*words[1:], *additions(words)])
            assert code == 0, f"{command}\n{capsys.readouterr().err}"


def test_example_scripts_run(workplace: Path) -> None:
    scripts = sorted((ROOT / "examples").glob("*.py"))
    assert scripts
    for script in scripts:
        done = subprocess.run(
            [sys.executable, script], capture_output=True, encoding="utf-8", check=False
        )
        assert done.returncode == 0, f"{script.name}\n{done.stderr}"
        assert done.stdout


def additions(words: list[str]) -> list[str]:
    """Return what a page's command needs to take the tiny data set instead of FER-2013."""
    partial = ["--allow-partial"] if {"archive.zip", "fer2013.tar.gz"} & {*words} else []
    return [*partial, *SHORTER.get(words[1], [])]
