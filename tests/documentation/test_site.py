"""The documentation site: it builds without a warning, is complete, and asks nobody else."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.documentation.pages import ROOT, pages
from tests.server.browser import NEEDS_BROWSER, open_browser

FETCHED = re.compile(r"""<(?:script|img|iframe|source)[^>]*\bsrc="(https?:)?//|
                         <link[^>]*\bhref="(https?:)?//""", re.VERBOSE)  # fmt: skip
REPOSITORY = "https://code.example/facial-expressions"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built elsewhere so that the repository's own copy stays."""
    folder = tmp_path_factory.mktemp("documentation")
    shutil.copy(ROOT / "mkdocs.yml", folder)
    for name in ("docs", "overrides"):
        shutil.copytree(ROOT / name, folder / name)
    (folder / "src").symlink_to(ROOT / "src")
    done = subprocess.run(
        [sys.executable, "-m", "zensical", "build", "--strict"],
        cwd=folder, env=os.environ | {"REPOSITORY_URL": REPOSITORY},
        capture_output=True, encoding="utf-8", check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "site"


@pytest.mark.slow
def test_no_page_fetches_anything_from_elsewhere(site: Path) -> None:
    built = {path: path.read_text(encoding="utf-8") for path in site.glob("**/*.html")}
    built = {path: text for path, text in built.items() if "reports" not in path.parts}
    assert len(built) > 30
    assert [path.name for path, text in built.items() if FETCHED.search(text)] == []
    styles = "".join(path.read_text(encoding="utf-8") for path in site.glob("**/*.css"))
    assert not re.search(r"(url\(|@import)\s*[\"']?(https?:)?//", styles)


@pytest.mark.slow
def test_the_site_has_search_dark_mode_copy_buttons_and_the_repository(site: Path) -> None:
    home = (site / "index.html").read_text(encoding="utf-8")
    assert 'data-md-component="search"' in home
    assert "content.code.copy" in home
    assert 'data-md-color-scheme="slate"' in home
    assert f'<a href="{REPOSITORY}"' in home
    assert 'data-md-component="source"' not in home  # it would ask for the number of stars
    assert "predict" in (site / "search.json").read_text(encoding="utf-8")


@pytest.mark.slow
@NEEDS_BROWSER[0]
@NEEDS_BROWSER[1]
def test_copied_commands_come_without_their_prompt(site: Path, tmp_path: Path) -> None:
    """The theme's script marks the code, takes its text as it is rendered, and copies that."""
    browser = open_browser(tmp_path / "no-camera.mjpeg", tmp_path)
    try:
        browser.get((site / "how-to" / "predict.html").as_uri())
        copied = browser.execute_script(
            "const code = document.querySelector('.highlight code');"
            "code.setAttribute('data-md-copying', ''); return code.innerText;"
        )
    finally:
        browser.quit()
    assert copied.splitlines()[0] == "facial-expressions predict photo.jpg"
    assert "$" not in copied


@pytest.mark.slow
def test_the_python_page_has_signatures_and_docstrings(site: Path) -> None:
    page = (site / "python.html").read_text(encoding="utf-8")
    assert 'id="facial_expressions.inference.recognizer.load_recognizer"' in page
    assert "Raises" in page


def test_every_page_is_in_the_navigation() -> None:
    listed = set(re.findall(r": ([\w/-]+\.md)$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE))
    docs = ROOT / "docs"
    assert listed == {page.relative_to(docs).as_posix() for page in pages() if docs in page.parents}
