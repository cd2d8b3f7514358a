"""Pages say what is true: generated parts are fresh, lists complete, links and paths resolve."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from urllib.parse import unquote

import pytest

from facial_expressions import errors
from tests.documentation.pages import ROOT, commands, pages

LINK = re.compile(r"(?<!!)\[[^\]]+\]\(([^)\s]+)\)")
IMAGE = re.compile(r"!\[[^\]]*\]\(([^)\s]+)\)")
MOST_IMAGE_BYTES = 700_000
PACKAGE = ROOT / "src" / "facial_expressions"


@pytest.mark.parametrize("script", ["write_reference", "update_figures", "update_benchmarks"])
def test_generated_parts_are_fresh(script: str) -> None:
    """A process of its own: the width of the help and warnings of libraries are as for a user."""
    command = [sys.executable, "-m", f"scripts.{script}", "--check"]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=False, cwd=ROOT)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr


def test_the_readme_gives_the_measured_size_of_the_base_install() -> None:
    result = json.loads((ROOT / "benchmarks/results/footprint.json").read_text(encoding="utf-8"))
    size = f"base install takes {result['figures']['base_install_mb']:.0f} MB"
    for page in ("README.md", "CHANGELOG.md"):
        assert size in (ROOT / page).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", [name for name in vars(errors) if name.endswith("Error")])
def test_every_error_has_its_section(name: str) -> None:
    page = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
    assert f"\n## {name}\n" in page


def test_every_dependency_has_its_line() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    listed = [*project["dependencies"]]
    for extra in project["optional-dependencies"].values():
        listed += extra
    names = {re.split(r"[\[<>=; ]", entry)[0] for entry in listed} - {"facial-expressions"}
    page = (ROOT / "docs" / "decisions" / "0002-dependencies.md").read_text(encoding="utf-8")
    missing = {name for name in names if name.removeprefix("pytest-") not in page}
    assert missing == set()


def test_every_version_in_the_dependency_table_is_the_locked_one() -> None:
    page = (ROOT / "docs" / "decisions" / "0002-dependencies.md").read_text(encoding="utf-8")
    lock = (ROOT / "requirements" / "dev.lock").read_text(encoding="utf-8")
    locked = dict(reversed(re.findall(r"^([\w-]+)==([\w.]+)", lock, re.MULTILINE)))
    rows = re.findall(r"^\| (?:— which needs )?([\w-]+)[^|]*\|[^|]*\| ([\d.]+) \|", page, re.M)
    assert len(rows) > 15
    assert {name: version for name, version in rows if locked.get(name) != version} == {}


def test_links_resolve() -> None:
    dead = []
    for page in pages():
        text = page.read_text(encoding="utf-8")
        for target in LINK.findall(text):
            if target.startswith("https://"):
                continue
            name, _, anchor = unquote(target).partition("#")
            path = (page.parent / name).resolve() if name else page
            if not path.exists() or (anchor and anchor not in anchors(path)):
                dead.append(f"{page.relative_to(ROOT)}: {target}")
    assert dead == []


def test_images_are_there_and_small() -> None:
    shown = {
        (page.parent / target).resolve()
        for page in pages()
        for target in IMAGE.findall(page.read_text(encoding="utf-8"))
    }
    assert ROOT / "docs" / "assets" / "astronaut.webp" in shown
    assert {path.name for path in shown if path.stat().st_size > MOST_IMAGE_BYTES} == set()


def test_no_page_offers_the_package_on_an_index() -> None:
    offers = re.compile(r"pip install [^\n`]*facial-expressions")
    assert [page.name for page in pages() if offers.search(page.read_text(encoding="utf-8"))] == []


def test_badges_say_what_the_project_declares() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    project, tools = settings["project"], settings["tool"]
    minors = re.findall(r":: Python :: (3\.\d+)", "\n".join(project["classifiers"]))
    declared = {
        "python": f"Python: {minors[0]} to {minors[-1]}",
        "licence": f"licence: {project['license']}",
        "typed": f"mypy: {'' if tools['mypy']['strict'] else 'not '}strict",
        "coverage": f"coverage: {tools['coverage']['report']['fail_under']}% or more",
    }
    for name, text in declared.items():
        badge = (ROOT / "docs" / "assets" / f"badge-{name}.svg").read_text(encoding="utf-8")
        assert f'aria-label="{text}"' in badge
        assert all(f">{word}</text>" in badge for word in text.split(": "))


@pytest.mark.parametrize("name", ["ARCHITECTURE.md", "CONTRIBUTING.md"])
def test_named_files_exist(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    named = set(re.findall(r"`([\w/.-]+(?:\.py|\.toml|\.json|\.md|/))[:`]", text))
    missing = {
        path for path in named if not (ROOT / path).exists() and not (PACKAGE / path).exists()
    }
    assert missing == set()


def test_every_make_target_that_is_mentioned_exists() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    text = "".join(page.read_text(encoding="utf-8") for page in pages())
    assert set(re.findall(r"`?make ([a-z-]+)`", text)) <= targets
    typed = [
        command.split()[1] for page in pages() for command in commands(page) if "make " in command
    ]
    assert typed
    assert set(typed) <= targets


FOREIGN = re.compile(
    r"\b(?:films?|pictures?|anew|afresh|quicker|quickest|surest|spoilt|spoils|mend|mends|mended)\b|"
    r"\bsave for\b|\blooked for again\b|\bthree deaths\b|\bno doubles\b|\bfor ever\b|\bby heart\b|"
    r"\bbox lies off\b|\bmeans what it means\b|\bWhat is missing says\b|\bLeast serious\b|"
    r"\bGo on with\b|\bnone of ours\b|\bof one's own\b|\d %(?!\}| \d)",
    re.IGNORECASE,
)
"""Turns of phrase that are not English, or not the field's."""


def test_words_are_those_of_the_field() -> None:
    code = [path for end in ("py", "html", "js", "css", "md") for path in PACKAGE.rglob(f"*.{end}")]
    shell = [ROOT / name for name in ("Makefile", "Dockerfile", "mkdocs.yml", "pyproject.toml")]
    found = {
        f"{path.relative_to(ROOT)}: {match[0]}"
        for path in (*pages(), *code, *shell, *(ROOT / "examples").glob("*.py"))
        for match in FOREIGN.finditer(re.sub(r"\s+", " ", path.read_text(encoding="utf-8")))
    }
    assert found == set()


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as Markdown renderers make them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {
        re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings
    }
