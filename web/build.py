"""Build the page that needs no server: a folder for any static host, under any path.

Its cards, boxes, camera and downloads are the files of the server's page, copied. Models and
runtime are packed with gzip, as many hosts send ``.onnx`` and ``.wasm`` as they are; the page
unpacks them.

Example:
    python -m web.build
    python -m web.build --serve
"""

from __future__ import annotations

import functools
import gzip
import hashlib
import http.server
import importlib.metadata
import json
import shutil
import sys
import webbrowser
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from facial_expressions.colors import css_variables
from facial_expressions.inference.detectors.centerface import centerface_path
from facial_expressions.inference.model_store import list_models
from web.export_facts import facts
from web.npm import PackageFetchError
from web.runtime import VERSION, runtime_files

__all__ = ["build", "main"]

ROOT: Final = Path(__file__).resolve().parents[1]
"""The repository."""

_OUTPUT: Final = ROOT / "build" / "web"
_PACKAGES: Final = ROOT / "build" / "npm"
_STATIC: Final = ROOT / "src" / "facial_expressions" / "server" / "static"
_OF_SERVER: Final = {"docs.html", "docs.js", "index.html", "main.js", "recognizer.js"}
"""Files of the server's page that this one has its own of, or none."""

_POLICY: Final = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self' blob:; "
    "style-src 'self'; img-src 'self' blob:; media-src 'self' blob:; connect-src 'self'; "
    "object-src 'none'; base-uri 'none'; form-action 'none'"
)
"""Nothing from or to another origin. A worker started from a ``blob:`` is bound by it as well."""

_DIFFERENCES: Final = {
    '  <meta name="viewport"': (
        f'  <meta http-equiv="content-security-policy" content="{_POLICY}">\n'
        '  <meta name="referrer" content="no-referrer">\n'
        '  <meta name="description" content="Recognises facial expressions in photos, videos and '
        'camera, in your browser. Nothing leaves your computer.">\n'
        '  <meta name="viewport"'
    ),
    '<link rel="stylesheet" href="style.css">': (
        '<link rel="stylesheet" href="style.css">\n  <link rel="stylesheet" href="local.css">'
    ),
    '<a class="api" href="docs">API</a>': '<a class="api" href="notices.txt">Licences</a>',
    '<div id="alert" class="alert" role="alert"></div>': (
        '<div id="alert" class="alert" role="alert"></div>\n\n'
        '      <div id="load" class="load">\n'
        '        <p id="load-words" role="status"><span class="from-file">A page that is opened as '
        "a file cannot start. Serve its folder, for example with: python -m http.server</span>"
        "</p>\n"
        '        <progress id="load-bar" max="1" aria-labelledby="load-words"></progress>\n'
        '        <button id="load-again" type="button" hidden>Try again</button>\n'
        "      </div>"
    ),
    '<p class="small">Images are sent to this server only. Nothing is stored. Example photo: '
    "NASA, public domain.</p>": (
        '<p class="small">Nothing leaves your computer: this browser does the work. Example '
        'photo: NASA, public domain.</p>\n        <p id="offline" class="small" role="status"></p>'
    ),
    "The images go to this server only, and nothing is stored.": "",  # main.js says where
    "This page needs JavaScript; the API works without it.": "This page needs JavaScript.",
}
"""What the server's page says, and what this one says instead."""


def main(arguments: Sequence[str]) -> int:
    """Write ``build/web`` and say how large it is."""
    try:
        packed = build(_OUTPUT)
    except PackageFetchError as error:
        print(error, file=sys.stderr)
        return 1
    print("\n".join(_sizes(_OUTPUT, packed)))
    if "--serve" in arguments:
        _serve(_OUTPUT)
    return 0


def build(folder: Path) -> dict[str, int]:
    """Write the page; what was in the folder goes.

    Args:
        folder: Where to.

    Returns:
        By file that the page loads, how many bytes it has where a host packs text.

    Raises:
        PackageFetchError: ONNX Runtime cannot be had.
    """
    loaded = _page_files() | _heavy_files()
    keys = {name: hashlib.sha256(content).hexdigest() for name, content in loaded.items()}
    worker = (ROOT / "web" / "offline" / "sw.js").read_text(encoding="utf-8")
    kept = f"const FILES = {json.dumps(keys, indent=2)};\n"
    others = {"sw.js": (kept + worker).encode(), "notices.txt": _notices().encode("utf-8-sig")}
    shutil.rmtree(folder, ignore_errors=True)
    for name, content in (loaded | others).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return {name: min(len(content), len(_pack(content))) for name, content in loaded.items()}


def _page_files() -> dict[str, bytes]:
    """Return what a browser reads as it is, by its name in the folder."""
    shared = {path.name: path for path in _STATIC.iterdir() if path.name not in _OF_SERVER}
    own = [path for path in (ROOT / "web").rglob("*") if path.suffix in {".js", ".css"}]
    files = shared | {path.relative_to(ROOT / "web").as_posix(): path for path in own}
    del files["offline/sw.js"]
    contents = {name: path.read_bytes() for name, path in sorted(files.items())}
    page = (_STATIC / "index.html").read_text(encoding="utf-8")
    for old, new in _DIFFERENCES.items():
        if page.count(old) != 1:
            raise ValueError(f"index.html: the page of the server no longer has once: {old}")
        page = page.replace(old, new)
    return contents | {"index.html": page.encode(), "colors.css": css_variables().encode()}


def _heavy_files() -> dict[str, bytes]:
    """Return models and runtime with what is known of them; hosts know the ending ``.bin``."""
    runtime = runtime_files(_PACKAGES)
    model = list_models()[0]
    packed = {
        "wasm": _pack(runtime["ort.wasm"]),
        "classifier": _pack(model.path.read_bytes()),
        "detector": _pack(centerface_path().read_bytes()),
    }
    files = {name: {"path": f"{name}.bin", "bytes": len(held)} for name, held in packed.items()}
    known = json.dumps({**facts(model.name), "runtime": "ort.js", "files": files}, indent=1)
    named = {f"{name}.bin": content for name, content in packed.items()}
    return named | {"ort.js": runtime["ort.js"], "model.json": known.encode()}


def _pack(content: bytes) -> bytes:
    return gzip.compress(content, 9, mtime=0)


def _notices() -> str:
    """Return the licences of all that the folder holds."""
    models = list_models()[0].path.parent
    runtime = importlib.metadata.distribution("onnxruntime").locate_file("onnxruntime")
    parts = {
        "Facial Expressions: this page and its classifier": ROOT / "LICENSE",
        "CenterFace: the face detector": models / "detector" / "NOTICE",
        f"ONNX Runtime {VERSION}, from the npm package onnxruntime-web": runtime / "LICENSE",
        "Parts of ONNX Runtime": runtime / "ThirdPartyNotices.txt",
    }
    texts = {title: Path(str(path)).read_text(encoding="utf-8") for title, path in parts.items()}
    return "\n\n".join(f"{title}\n{'=' * len(title)}\n\n{text}" for title, text in texts.items())


def _sizes(folder: Path, packed: dict[str, int]) -> list[str]:
    """Return one line for each large file, and one for the whole."""
    large = {name: size for name, size in packed.items() if size > 50_000}
    rows = large | {"all other files": sum(packed.values()) - sum(large.values())}
    lines = [f"{name:<16} {size / 1e6:6.2f} MB" for name, size in rows.items()]
    return [*lines, f"{folder}: a first visit loads {sum(packed.values()) / 1e6:.2f} MB"]


def _serve(folder: Path) -> None:
    """Serve the folder on this machine and open it, until Ctrl-C."""
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        address = f"http://127.0.0.1:{server.server_address[1]}/"
        print(f"Serving at {address} until Ctrl-C", flush=True)
        webbrowser.open(address)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
