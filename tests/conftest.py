"""What every test gets: no network, a cache folder of its own, the real data when it is there."""

from __future__ import annotations

import itertools
import os
import signal
import socket
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import pytest
from hypothesis import HealthCheck, settings

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("MPLBACKEND", "Agg")
# Small sums in several threads, in several workers, mostly wait for one another: ten times as long.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

# Started in the background of a script, this process ignores Ctrl-C, and so would the programs that
# the tests start and interrupt.
for _number in (signal.SIGINT, getattr(signal, "SIGHUP", signal.SIGINT)):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(
            _number,
            signal.default_int_handler if _number == signal.SIGINT else signal.SIG_DFL,
        )

# How long an example takes says how busy the machine is, not whether a property holds.
settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")

REPOSITORY: Final = Path(__file__).resolve().parents[1]
SHARED_DATA: Final = REPOSITORY.parent / "shared" / "data" / "fer2013"
Address = tuple[str, int] | str | bytes
_LOOPBACK: Final = ("127.", "::1", "localhost")
_SLOW: Final = ("slow", "train", "browser")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Start a worker more than there are cores: tests wait for browsers, servers and clocks."""
    has_affinity = hasattr(os, "sched_getaffinity")
    return 1 + (len(os.sched_getaffinity(0)) if has_affinity else os.cpu_count() or 1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let every worker begin with files of slow tests, so that none of these is the last alone.

    Workers take equal parts of the list, and what one is through with from another's end.
    """
    n_workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    marked = (one for one in items for name in _SLOW if one.get_closest_marker(name))
    slow = list(dict.fromkeys(one.path for one in marked))
    quick = iter([one for one in items if one.path not in slow])
    parts = [[one for one in items if one.path in slow[n::n_workers]] for n in range(n_workers)]
    size = -(-len(items) // n_workers)
    items[:] = [
        one for part in parts for one in (*part, *itertools.islice(quick, max(0, size - len(part))))
    ] + list(quick)


@pytest.fixture(autouse=True)
def _no_network(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse connections to anything but this machine, unless the test is marked ``network``."""
    if request.node.get_closest_marker("network"):
        return
    connect, connect_ex = socket.socket.connect, socket.socket.connect_ex

    def guarded_connect(self: socket.socket, address: Address) -> None:
        _refuse_remote(self, address)
        connect(self, address)

    def guarded_connect_ex(self: socket.socket, address: Address) -> int:
        _refuse_remote(self, address)
        return connect_ex(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded_connect)
    monkeypatch.setattr(socket.socket, "connect_ex", guarded_connect_ex)


def _refuse_remote(endpoint: socket.socket, address: Address) -> None:
    if endpoint.family in (socket.AF_INET, socket.AF_INET6):
        host = str(address[0])
        if not host.startswith(_LOOPBACK):
            raise ConnectionRefusedError(
                f"tests use no network; received a connection to {host}; mark the test 'network'"
            )


@pytest.fixture(scope="session", autouse=True)
def _private_folders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Point the cache folder at a temporary one, here, in child processes and in other workers."""
    folder = tmp_path_factory.getbasetemp()
    shared = folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FACIAL_EXPRESSIONS_CACHE", str(shared / "cache"))
        yield


@pytest.fixture
def without_charts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave drawing a report's charts, which takes seconds, to the tests that look at them."""
    monkeypatch.setattr(
        "facial_expressions.pages.drawing._saved", lambda figure, **options: b"<svg></svg>"
    )


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root folder of this repository."""
    return REPOSITORY


@pytest.fixture(scope="session")
def astronaut() -> Path:
    """Scikit-image's photograph of an astronaut: 512x512, one face, which smiles."""
    spec = find_spec("skimage")
    assert spec
    assert spec.origin
    return Path(spec.origin).parent / "data" / "astronaut.png"


@pytest.fixture(scope="session")
def fer2013_archive() -> Path:
    """The real FER-2013 in the Kaggle layout, a zip."""
    return _real_file("archive.zip")


@pytest.fixture(scope="session")
def fer2013_table() -> Path:
    """The real competition file, a tar.gz."""
    return _real_file("fer2013.tar.gz")


@pytest.fixture(scope="session")
def ferplus_votes() -> Path:
    """The real file of FER+ votes."""
    return _real_file("fer2013new.csv")


def _real_file(name: str) -> Path:
    path = SHARED_DATA / name
    if not path.is_file():
        pytest.skip(f"the real FER-2013 is not here: no {name} in {SHARED_DATA}")
    return path
