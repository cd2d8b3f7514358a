"""Batches by two real workers of a local Ray: same rows, deaths contained, resumed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from facial_expressions.distributed import crew
from facial_expressions.distributed.batch import (
    BatchOptions,
    WorkerOptions,
    run_batch,
)
from facial_expressions.inference.recognizer import load_recognizer
from tests.distributed import factories

ray = pytest.importorskip("ray", reason="Ray is not installed; run: pip install '.[ray]'")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),  # on a busy machine Ray starts for minutes
    pytest.mark.filterwarnings("default"),  # Ray's own
]

WriteList = Callable[[Sequence[str]], Path]
ReadRows = Callable[[Path], list[dict[str, Any]]]

TWO = WorkerOptions("ray", n_workers=2)


@pytest.fixture(autouse=True)
def _no_ray_is_left() -> Iterator[None]:
    yield
    assert not ray.is_initialized()


def test_rows_equal_those_of_one_recognizer(
    tmp_path: Path, astronaut: Path, read_rows: ReadRows
) -> None:
    names = ["astronaut.png", "coffee.png", "camera.png", "nothing.png"]
    photos = [astronaut.with_name(name) for name in names]
    paths = tmp_path / "photos.csv"
    paths.write_text("path\n" + "".join(f"{photo}\n" for photo in photos))
    run_batch(paths, tmp_path / "rows", workers=TWO)
    rows = read_rows(tmp_path / "rows")
    alone = list(load_recognizer(threads=1).recognize_rows(photos))
    assert [row["source"] for row in rows] == [str(photo) for photo in photos]
    assert [row["status"] for row in rows] == [one.status for one in alone]
    for row, one in zip(rows[:3], alone[:3], strict=True):
        assert [face["expression"] for face in row["faces"]] == [f.expression for f in one.faces]
        for face, expected in zip(row["faces"], one.faces, strict=True):
            assert face["probabilities"] == pytest.approx(expected.probabilities, abs=1e-5)


def test_deaths_cost_one_row_each_and_an_interrupted_batch_is_resumed(
    tmp_path: Path, write_list: WriteList, read_rows: ReadRows, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Our own processes finish what Ray's actors began.

    An actor dies in its constructor; one image always kills, one raises, one kills once; then
    comes Ctrl-C. An actor takes seconds to start, so two deaths are enough to give an image up.
    """
    monkeypatch.setattr(crew, "MAX_DEATHS", 2)
    names = [f"{number}.jpg" for number in range(24)]
    names[3], names[9], names[13] = "poison.jpg", "bug.jpg", "once.jpg"
    paths, output, options = write_list(names), tmp_path / "rows", BatchOptions(shard_size=5)
    factory = factories.dying_once_at_start(tmp_path / "marker")

    def interrupt(n_done: int, n_inputs: int | None) -> None:
        if n_inputs is not None and n_done == 22:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_batch(
            paths, output, options=options, workers=TWO, factory=factory,
            on_progress=interrupt,
        )  # fmt: skip
    begun = read_rows(output)
    assert len(begun) == 20
    failed = {Path(row["source"]).name: row["error"] for row in begun if row["status"] != "ok"}
    assert [*failed] == ["poison.jpg", "bug.jpg"]
    assert all("killed 2 workers" in error for error in failed.values())
    assert (tmp_path / "marker").exists()
    assert (tmp_path / "once.died").exists()

    summary = run_batch(
        paths, output, options=options, workers=WorkerOptions(n_workers=1), resume=True,
        factory=factories.obedient,
    )  # fmt: skip
    assert (summary.n_before, summary.counts) == (20, Counter(ok=22, failed=2))
    rows = read_rows(output)
    assert rows[:20] == begun
    assert [Path(row["source"]).name for row in rows] == names
