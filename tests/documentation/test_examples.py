"""What the pages tell a reader to run does run: Python blocks, commands and the example scripts."""

from __future__ import annotations

import contextlib
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from facial_expressions.cli.main import main
from tests import builders
from tests.documentation.pages import ROOT, blocks, chains, link, pages
from tests.eager import steps_without_a_graph
from tests.media.videos import even_times, face_image, scene, write_video

PYTHON_PAGES = [page for page in pages() if blocks(page, "python")]
CHAINS = chains()
SCRIPTS = [
    ROOT / "examples" / f"{name}.py"
    for name in ("demo", "moving_image", "own_detector", "pandas_table")
]
"""Those that need nothing but what is there; the others are run by ``test_recipes.py``."""

SHORTER = {
    "train": ["--set", "optimization.epochs=1", "--set", "optimization.batch_size=14"],
}
"""Options added to a verb, so that a page's run takes seconds instead of hours."""


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory, astronaut: Path) -> Path:
    """A folder with the files that the pages speak of; the data set is a tiny synthetic one."""
    folder = tmp_path_factory.mktemp("files")
    Image.open(astronaut).save(folder / "photo.jpg", quality=95)
    Image.open(astronaut).crop((170, 60, 280, 170)).save(folder / "crop.png")
    (folder / "photos" / "inner").mkdir(parents=True)
    shutil.copy(folder / "photo.jpg", folder / "photos" / "inner" / "one.jpg")
    (folder / "list.csv").write_text("path\nphotos/inner/one.jpg\n", encoding="utf-8")
    shown = [scene(face_image(astronaut), [(40 + 5 * index, 60)]) for index in range(6)]
    write_video(folder / "clip.mp4", shown, even_times(6), sound="aac")
    rows = builders.make_rows(train=4, public=1, private=1)
    builders.write_kaggle_zip(folder / "archive.zip", rows)
    builders.write_competition_tar(folder / "fer2013.tar.gz", rows)
    builders.write_ferplus_csv(folder / "fer2013new.csv", rows)
    builders.write_folder(
        folder / "my-faces",
        {
            f"{folder}/{number}.jpg": builders.jpeg(builders.draw_face(label, number))
            for folder, label in {"anger": "angry", "happiness": "happy"}.items()
            for number in range(3)
        },
    )
    builders.write_folder(
        folder / "reactions",
        {
            f"{part}/{name}/{number}.jpg": builders.jpeg(builders.draw_face(label, number))
            for name, label in {"bored": "neutral", "confused": "fear"}.items()
            for part, n in {"train": 10, "test": 2}.items()
            for number in range(n)
        },
    )
    shutil.copytree(ROOT / "recipes", folder / "recipes")
    return folder


@pytest.fixture
def workplace(files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of those files, which is the present folder."""
    shutil.copytree(files, tmp_path, dirs_exist_ok=True)
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
def _made_for_the_tiny_data(
    chain: list[str], monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    """Take the tiny data set for FER-2013, and what is made of it for worth making.

    To see where a network without maps looks, 9 places of an image are covered instead of 144.
    The charts of thirty reports are drawn where a chain does more than to evaluate.
    """
    if all(shlex.split(command)[1] == "evaluate" for command in chain):
        request.getfixturevalue("without_charts")
    monkeypatch.setattr("facial_expressions.data.load.check_fer2013_counts", lambda reading: None)
    monkeypatch.setattr("facial_expressions.evaluation.samples._STRIDE_FRACTION", 1 / 3)
    monkeypatch.setattr("facial_expressions.training.quantization._times_as_fast", lambda *_: 2.0)
    monkeypatch.setattr("facial_expressions.training.quantization.MAX_LOSS", 1.0)


@pytest.mark.train
@pytest.mark.usefixtures("workplace", "_made_for_the_tiny_data")
@pytest.mark.parametrize("chain", CHAINS, ids=lambda chain: chain[-1].partition(" ")[2])
def test_commands_run(chain: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Commands that need one another run in their order, each to exit code 0."""
    has_training = any(shlex.split(command)[1] == "train" for command in chain)
    with steps_without_a_graph() if has_training else contextlib.nullcontext():
        for command in chain:
            words = shlex.split(command)
            code = main([*words[1:], *SHORTER.get(words[1], [])])
            assert code == 0, f"{command}\n{capsys.readouterr().err}"


def test_the_quickstart_shows_what_its_first_command_prints(
    workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = ROOT / "docs" / "quickstart.md"
    first = blocks(page, "bash")[0].text.split()[1:]
    assert main(first) == 0
    shown, printed = blocks(page, "text")[0].text, capsys.readouterr().out
    numbers = [[*map(int, re.findall(r"\d+", text))] for text in (shown, printed)]
    assert re.sub(r"\d+", "N", shown) == re.sub(r"\d+", "N", printed)
    assert numbers[0] == pytest.approx(numbers[1], abs=2)  # the photo was compressed once more


def test_commands_that_need_one_another_are_found() -> None:
    """A comparison needs two reports; the last run of a name counts. Resuming needs the start."""
    report, other = "x evaluate a --out report", "x evaluate b --out other"
    again, both = "x evaluate c --out report", "x compare report other --out page"
    assert link([report, other, both]) == [[report, other, both]]
    assert link([report, again, other, both]) == [[report], [again, other, both]]
    start, rest, resume = "x batch a rows", "x batch a more", "x batch a rows --resume"
    assert link([start, rest, resume]) == [[start, resume], [rest]]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_example_scripts_run(script: Path, workplace: Path) -> None:
    done = subprocess.run(
        [sys.executable, script], capture_output=True, encoding="utf-8", check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout
