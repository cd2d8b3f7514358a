"""Batches by real processes: deaths contained, resumed without gaps or doubles, misuse refused."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from benchmarks.children import children
from facial_expressions.distributed.batch import (
    BatchOptions,
    BatchSummary,
    WorkerOptions,
    run_batch,
)
from facial_expressions.errors import BatchError, ModelError
from facial_expressions.inference.options import RecognizerOptions, with_keywords_of
from facial_expressions.inference.recognizer import load_recognizer
from tests.distributed import factories

WriteList = Callable[[Sequence[str]], Path]
ReadRows = Callable[[Path], list[dict[str, Any]]]

TWO = WorkerOptions(n_workers=2)
ONE = WorkerOptions(n_workers=1)
IN_FIVES = BatchOptions(shard_size=5)


@with_keywords_of(RecognizerOptions)
def in_fives(options: RecognizerOptions) -> BatchOptions:
    return BatchOptions(options, shard_size=5)


def test_rows_equal_those_of_one_recognizer(
    tmp_path: Path, astronaut: Path, read_rows: ReadRows
) -> None:
    names = ["astronaut.png", "coffee.png", "camera.png", "nothing.png"]
    photos = [astronaut.with_name(name) for name in names] * 2
    paths = tmp_path / "photos.csv"
    paths.write_text("path\n" + "".join(f"{photo}\n" for photo in photos))
    summary = run_batch(paths, tmp_path / "rows", workers=TWO, options=BatchOptions(shard_size=3))
    rows = read_rows(tmp_path / "rows")
    alone = list(load_recognizer(threads=1).recognize_rows(photos[:4]))
    assert [row["source"] for row in rows] == [str(photo) for photo in photos]
    assert [row["status"] for row in rows[:4]] == [one.status for one in alone]
    assert [row["status"] for row in rows[4:]] == ["skipped"] * 4
    for row, one in zip(rows[:3], alone[:3], strict=True):
        assert [face["expression"] for face in row["faces"]] == [f.expression for f in one.faces]
        for face, expected in zip(row["faces"], one.faces, strict=True):
            assert face["probabilities"] == pytest.approx(expected.probabilities, abs=1e-5)
    assert summary.counts == {
        "ok": 3,
        "rejected": 1,
        "skipped": 4,
        "faces": summary.counts["faces"],
    }


def test_images_that_kill_their_worker_cost_their_own_rows_only(
    tmp_path: Path, write_list: WriteList, read_rows: ReadRows
) -> None:
    names = [f"{number}.jpg" for number in range(24)]
    names[3], names[17], names[20] = "poison.jpg", "bug.jpg", "once.jpg"
    summary = run_batch(
        write_list(names), tmp_path / "rows", workers=TWO, factory=factories.obedient
    )
    rows = read_rows(tmp_path / "rows")
    assert [Path(row["source"]).name for row in rows] == names
    failed = {Path(row["source"]).name: row["error"] for row in rows if row["status"] != "ok"}
    assert [*failed] == ["poison.jpg", "bug.jpg"]
    assert f"exit code {factories.POISON_EXIT}" in failed["poison.jpg"]
    assert summary.counts == Counter(ok=22, failed=2)
    assert (tmp_path / "once.died").exists()


def test_an_image_that_never_ends_is_given_up(
    tmp_path: Path, write_list: WriteList, read_rows: ReadRows
) -> None:
    workers = WorkerOptions(n_workers=1, timeout_s=0.5)
    paths = write_list(["a.jpg", "stuck.jpg", "b.jpg"])
    run_batch(paths, tmp_path / "rows", workers=workers, factory=factories.obedient)
    assert [row["status"] for row in read_rows(tmp_path / "rows")] == ["ok", "failed", "ok"]


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="finds workers in /proc")
def test_workers_that_are_killed_lose_no_row(
    tmp_path: Path, write_list: WriteList, read_rows: ReadRows
) -> None:
    """Again and again a worker gets SIGKILL, while it does innocent images."""
    names = [f"{number}.jpg" for number in range(120)]
    killed: list[int] = []

    def kill_now_and_then(n_done: int, n_inputs: int | None) -> None:
        if n_inputs is not None and n_done % 30 == 0:
            living = worker_ids()
            killed.append(living[len(killed) % len(living)])
            with contextlib.suppress(ProcessLookupError):
                os.kill(killed[-1], signal.SIGKILL)

    run_batch(
        write_list(names),
        tmp_path / "rows",
        workers=TWO,
        factory=factories.slow,
        on_progress=kill_now_and_then,
    )
    rows = read_rows(tmp_path / "rows")
    assert len(killed) == 4
    assert [Path(row["source"]).name for row in rows] == names
    assert {row["status"] for row in rows} == {"ok"}


def test_a_worker_killed_in_its_constructor_is_replaced(
    tmp_path: Path, write_list: WriteList, read_rows: ReadRows
) -> None:
    factory = factories.dying_once_at_start(tmp_path / "marker")
    run_batch(write_list(["a.jpg"]), tmp_path / "rows", workers=ONE, factory=factory)
    assert (tmp_path / "marker").exists()
    assert [row["status"] for row in read_rows(tmp_path / "rows")] == ["ok"]


def test_workers_that_never_start_stop_the_batch(tmp_path: Path, write_list: WriteList) -> None:
    with pytest.raises(ChildProcessError, match=f"exit code {factories.POISON_EXIT}"):
        run_batch(
            write_list(["a.jpg"]), tmp_path / "rows", workers=ONE, factory=factories.dying_at_start
        )


def test_a_model_that_a_worker_cannot_open_is_said_once(
    tmp_path: Path, write_list: WriteList
) -> None:
    with pytest.raises(ModelError, match="worker: no model"):
        run_batch(write_list(["a.jpg"]), tmp_path / "rows", workers=ONE, factory=factories.refused)


def test_an_interrupted_batch_is_resumed_without_gaps_or_doubles(
    tmp_path: Path, write_list: WriteList, read_rows: ReadRows
) -> None:
    names = [f"{number}.jpg" for number in range(23)]
    paths, output = write_list(names), tmp_path / "rows"

    def interrupt(n_done: int, n_inputs: int | None) -> None:
        if n_inputs is not None and n_done == 12:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        batch_of_fives(paths, output, on_progress=interrupt)
    assert worker_ids() == []
    assert len(read_rows(output)) == 10
    assert not list(output.glob("*.part"))
    first = (output / "rows-000000.jsonl").stat()
    summary = batch_of_fives(paths, output, resume=True)
    assert (summary.n_inputs, summary.n_before, summary.counts["ok"]) == (23, 10, 23)
    assert [Path(row["source"]).name for row in read_rows(output)] == names
    assert (output / "rows-000000.jsonl").stat().st_mtime_ns == first.st_mtime_ns


def test_shards_that_are_gone_cut_or_unlisted_are_done_again(
    tmp_path: Path, write_list: WriteList, read_rows: ReadRows
) -> None:
    names = [f"{number}.jpg" for number in range(18)]
    paths, output = write_list(names), tmp_path / "rows"
    batch_of_fives(paths, output)
    (output / "rows-000001.jsonl").unlink()
    whole = (output / "rows-000002.jsonl").read_bytes()
    (output / "rows-000002.jsonl").write_bytes(whole[:-20])
    manifest = json.loads((output / "batch.json").read_text())
    del manifest["shards"]["3"]  # as if killed between the shard's name and the manifest
    del manifest["manifest_sha256"]
    manifest["manifest_sha256"] = hashlib.sha256(json.dumps(manifest).encode()).hexdigest()
    (output / "batch.json").write_text(json.dumps(manifest))
    summary = batch_of_fives(paths, output, resume=True)
    assert summary.n_before == 5
    assert [Path(row["source"]).name for row in read_rows(output)] == names


def test_a_finished_batch_is_not_done_again(tmp_path: Path, write_list: WriteList) -> None:
    paths = write_list(["a.jpg", "poison.jpg"])
    done = batch_of_fives(paths, tmp_path / "rows")
    again = batch_of_fives(paths, tmp_path / "rows", resume=True, factory=factories.dying_at_start)
    assert (again.counts, again.n_before) == (done.counts, 2)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (BatchOptions(shard_size=6), "shard_size 6, it was begun with 5"),
        (in_fives(min_confidence=0.5), "min_confidence 0.5, it was begun with None"),
        (in_fives(max_pixels=9), "max_pixels 9, it was begun with 178000000"),
        (BatchOptions(shard_size=5, file_format="parquet"), "format 'parquet'"),
        (in_fives(small_faces=True), "small_faces True, it was begun with False"),
        (in_fives(tta=True), "tta True, it was begun with False"),
        (in_fives(device="auto"), "device 'auto', it was begun with 'cpu'"),
        (in_fives("compact", labels="ferplus"), "labels 'ferplus', it was begun with 'people'"),
    ],
)
def test_other_options_are_refused_by_name(
    options: BatchOptions, said: str, tmp_path: Path, write_list: WriteList
) -> None:
    paths = write_list(["a.jpg"])
    batch_of_fives(paths, tmp_path / "rows")
    with pytest.raises(BatchError, match=said):
        run_batch(paths, tmp_path / "rows", options=options, resume=True)


def test_another_model_is_refused_by_name(
    tmp_path: Path, tiny_model: Path, write_list: WriteList
) -> None:
    paths = write_list(["a.jpg"])
    batch_of_fives(paths, tmp_path / "rows")
    options = in_fives(tiny_model)
    with pytest.raises(BatchError, match=r"model 'tiny', .*; model_sha256 "):
        run_batch(paths, tmp_path / "rows", options=options, resume=True)


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["a.jpg", "x.jpg", "c.jpg"], "input 2 is '.*x.jpg', it was '.*b.jpg'"),
        (["a.jpg", "b.jpg"], "input 3 is none, it was '.*c.jpg'"),
        (["a.jpg", "b.jpg", "c.jpg", "d.jpg"], "input 4 is '.*d.jpg', it was none"),
    ],
)
def test_other_inputs_are_refused_by_name(
    names: list[str], said: str, tmp_path: Path, write_list: WriteList
) -> None:
    batch_of_fives(write_list(["a.jpg", "b.jpg", "c.jpg"]), tmp_path / "rows")
    with pytest.raises(BatchError, match=said):
        batch_of_fives(write_list(names), tmp_path / "rows", resume=True)


def test_an_output_that_holds_something_is_refused(tmp_path: Path, write_list: WriteList) -> None:
    paths, output = write_list(["a.jpg"]), tmp_path / "rows"
    output.mkdir()
    (output / "mine.txt").write_text("mine")
    with pytest.raises(BatchError, match=r"holds other files \(mine.txt\)"):
        batch_of_fives(paths, output, resume=True)
    (output / "mine.txt").unlink()
    batch_of_fives(paths, output, resume=True)
    with pytest.raises(BatchError, match=r"1 of 1 rows. Add --resume"):
        batch_of_fives(paths, output)


def test_c14_two_runs_do_not_write_into_one_output(tmp_path: Path, write_list: WriteList) -> None:
    paths, output = write_list(["a.jpg"]), tmp_path / "rows"

    def start_another(_: int, n_inputs: int | None) -> None:
        if n_inputs is not None:
            with pytest.raises(BatchError, match="another run is writing"):
                batch_of_fives(paths, output, resume=True)

    assert batch_of_fives(paths, output, on_progress=start_another).counts["ok"] == 1


def test_a_damaged_manifest_is_refused(tmp_path: Path, write_list: WriteList) -> None:
    paths, output = write_list(["a.jpg"]), tmp_path / "rows"
    batch_of_fives(paths, output)
    (output / "batch.json").write_text('{"schema": 1')
    with pytest.raises(BatchError, match="manifest of this batch is damaged"):
        batch_of_fives(paths, output, resume=True)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"n_inputs": 1', '"n_inputs": null'),
        ('"n_inputs": 1', '"n_inputs": "1"'),
        ('"n_left_out": 0', '"n_left_out": [0]'),
        ('"ok": 1', '"ok": {"a": 1}'),
        ('"ok": 1', '"ok": 7'),
        ('"schema": 1', '"schema": 2'),
    ],
)
def test_a_manifest_that_was_changed_is_refused(
    old: str, new: str, tmp_path: Path, write_list: WriteList
) -> None:
    paths, output = write_list(["a.jpg"]), tmp_path / "rows"
    batch_of_fives(paths, output)
    text = (output / "batch.json").read_text()
    assert old in text
    (output / "batch.json").write_text(text.replace(old, new))
    with pytest.raises(BatchError, match="manifest of this batch is damaged"):
        batch_of_fives(paths, output, resume=True)


@pytest.mark.parametrize("line", [b"\xff", b"{", b"[1]", b'{"source": 1}', b"[" * 100_000, b""])
def test_a_list_of_inputs_that_was_changed_is_refused(
    line: bytes, tmp_path: Path, write_list: WriteList
) -> None:
    paths, output = write_list(["a.jpg", "b.jpg"]), tmp_path / "rows"
    batch_of_fives(paths, output)
    first, _ = (output / "inputs.list").read_bytes().splitlines()
    (output / "inputs.list").write_bytes(first + b"\n" + line + b"\n")
    with pytest.raises(BatchError, match="the inputs have changed since"):
        batch_of_fives(paths, output, resume=True)


def run_script(text: str, script: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a program in a folder."""
    script.write_text("from facial_expressions.distributed.batch import run_batch\n" + text)
    words = [sys.executable, str(script)]
    return subprocess.run(words, cwd=folder, capture_output=True, encoding="utf-8", check=False)


def test_a_script_needs_no_main_guard(tmp_path: Path) -> None:
    """Workers import neither it nor what lies among the photos."""
    photos = tmp_path / "photos"
    photos.mkdir()
    (photos / "no-image.jpg").write_bytes(b"text")
    (photos / "numpy.py").write_text("raise SystemExit('this is no NumPy')")
    text = "print(run_batch('.', '../rows').counts['rejected'])"
    done = run_script(text, tmp_path / "script.py", photos)
    assert done.stdout == "1\n", done.stderr


def test_a_factory_of_the_script_itself_is_refused(tmp_path: Path) -> None:
    """Workers cannot import it."""
    (tmp_path / "a.jpg").write_bytes(b"text")
    script = "def factory(): ...\nrun_batch('a.jpg', 'rows', factory=factory)"
    done = run_script(script, tmp_path / "script.py", tmp_path)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(
        "facial_expressions.errors.BatchError: workers cannot import the factory, as they do not"
    )


def test_a10_a_factory_that_cannot_be_sent_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"text")
    with pytest.raises(BatchError, match="at the top of a module of its own"):
        run_batch(tmp_path / "a.jpg", tmp_path / "rows", factory=lambda: load_recognizer("compact"))


@pytest.mark.parametrize(
    "build",
    [
        lambda: BatchOptions(shard_size=0),
        lambda: BatchOptions(file_format="csv"),  # type: ignore[arg-type]
        lambda: WorkerOptions(n_workers=0),
        lambda: in_fives(threads=0),
    ],
)
def test_options_out_of_range_are_refused(build: Callable[[], object]) -> None:
    with pytest.raises(ValueError, match=r"of 1 row or more|must be (1 or more|int .*), not 0"):
        build()


def batch_of_fives(
    paths: Path,
    output: Path,
    *,
    resume: bool = False,
    factory: Callable[[], Any] = factories.obedient,
    on_progress: Callable[[int, int | None], None] | None = None,
) -> BatchSummary:
    return run_batch(
        paths,
        output,
        options=IN_FIVES,
        workers=ONE,
        resume=resume,
        factory=factory,
        on_progress=on_progress,
    )


def worker_ids() -> list[int]:
    """Return the workers of this process that live."""
    return children("facial_expressions.distributed.local_workers")
