"""Run a batch: any number of inputs to one row each, in shards, resumable at any point."""

from __future__ import annotations

import contextlib
import functools
import itertools
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final, Literal, get_args

from facial_expressions.distributed.crew import IMAGE_TIMEOUT_S, Crew, RowMaker, Start
from facial_expressions.distributed.inputs import BatchInput, InputListing
from facial_expressions.distributed.output_folder import BatchManifest, OutputFolder, ShardFormat
from facial_expressions.errors import BatchError
from facial_expressions.inference.contracts import RowRecognizer
from facial_expressions.inference.options import RecognizerOptions
from facial_expressions.inference.recognizer import load_recognizer
from facial_expressions.inference.runtime import file_sha256
from facial_expressions.parquet_rows import import_pyarrow

_TASK_IMAGES: Final = 8


@dataclass(frozen=True, slots=True)
class BatchOptions:
    """Options that affect the rows; a batch can only be resumed with the same.

    Attributes:
        recognizer: How each worker opens its recognizer. Its ``threads`` may change when a batch is
            resumed; None is one thread a worker.
        file_format: ``jsonl`` or ``parquet``.
        shard_size: Rows per file.

    Raises:
        ValueError: An option is out of its range.
    """

    recognizer: RecognizerOptions = field(default_factory=RecognizerOptions)
    file_format: ShardFormat = "jsonl"
    shard_size: int = 1000

    def __post_init__(self) -> None:
        if self.file_format not in get_args(ShardFormat) or self.shard_size < 1:
            raise ValueError(
                f"{self}: a batch needs a format of {get_args(ShardFormat)} and shards of 1 row "
                "or more"
            )


@dataclass(frozen=True, slots=True)
class WorkerOptions:
    """Workers, and where they run; this may change when a batch is resumed.

    Attributes:
        engine: ``local`` for processes of this machine, ``ray`` for actors.
        n_workers: How many; None takes one per core, divided by the threads of each.
        address: A Ray cluster's address; None starts Ray on this machine.
        timeout_s: A worker that needs longer for an image is ended.

    Raises:
        ValueError: An option is out of its range.
    """

    engine: Literal["local", "ray"] = "local"
    n_workers: int | None = None
    address: str | None = None
    timeout_s: float = IMAGE_TIMEOUT_S

    def __post_init__(self) -> None:
        if self.n_workers is not None and self.n_workers < 1:
            raise ValueError(f"n_workers: must be 1 or more, not {self.n_workers}")


@dataclass(frozen=True, slots=True)
class BatchSummary:
    """What became of a batch.

    Attributes:
        n_inputs: Inputs, and rows.
        counts: Rows of each status, and ``faces``.
        n_left_out: Files skipped because they are not images.
        n_before: Rows that earlier runs had done.
    """

    n_inputs: int
    counts: Counter[str]
    n_left_out: int
    n_before: int


OnProgress = Callable[[int, int | None], object]
"""Takes how many inputs are done, those of earlier runs included, and how many there are: None
while they are being listed, and then the first is how many are listed."""


def run_batch(
    source: str | Path,
    output: str | Path,
    *,
    options: BatchOptions | None = None,
    workers: WorkerOptions | None = None,
    resume: bool = False,
    on_progress: OnProgress | None = None,
    factory: Callable[[], RowRecognizer] | None = None,
) -> BatchSummary:
    """Recognise any number of images into a folder of shards, one row per input.

    Args:
        source: A folder, a glob, a list of paths, a tar archive or an image; see ``InputListing``.
        output: A new or empty folder; with ``resume`` also that of an unfinished batch.
        options: Options that affect the rows.
        workers: Workers, and where they run.
        resume: Whether to continue with the batch in ``output``, if there is one.
        on_progress: Called after every input; see ``OnProgress``.
        factory: Opens a worker's recognizer instead of ``options``; must pickle, and be defined in
            a module that workers can import.

    Raises:
        BatchError: There is no such input, or the output holds something else.
        ModelError: The model is missing, damaged or not one of ours.
        MissingExtraError: Parquet or Ray is not installed.
        OSError: The output cannot be written, or workers cannot be started.

    Examples:
        >>> with open("none.txt", "w") as paths:
        ...     _ = paths.write("")
        >>> run_batch("none.txt", "rows").n_inputs
        0
    """
    options, workers = options or BatchOptions(), workers or WorkerOptions()
    on_progress = on_progress or (lambda *_: None)
    listing = InputListing(str(source), Path(output))
    if options.file_format == "parquet":
        import_pyarrow("parquet")  # says before the work that it is missing
    threads = options.recognizer.threads or 1
    options = replace(options, recognizer=replace(options.recognizer, threads=threads))
    labels, described = _describe(options)
    factory = factory or functools.partial(load_recognizer, options.recognizer)
    maker = RowMaker(factory, Path.cwd())
    with OutputFolder(Path(output), options.file_format) as folder:
        manifest = _begin(folder, listing, described, resume=resume, on_progress=on_progress)
        before = manifest.n_rows
        if before < manifest.n_inputs:
            with _engine(workers, maker, threads) as (start, n_cores):
                n_workers = workers.n_workers or max(1, n_cores // threads)
                n_workers = min(n_workers, manifest.n_inputs - before)
                with contextlib.closing(Crew(start, n_workers, workers.timeout_s)) as crew:
                    _write_shards(folder, manifest, labels, crew, on_progress)
    counts = sum((Counter(one["counts"]) for one in manifest.shards.values()), Counter[str]())
    return BatchSummary(manifest.n_inputs, counts, manifest.n_left_out, before)


def _describe(options: BatchOptions) -> tuple[tuple[str, ...], dict[str, Any]]:
    """Return the names of the expressions, and all that decides what rows say."""
    classifier = load_recognizer(options.recognizer).classifier
    described = options.recognizer.to_dict()
    del described["threads"]  # they change how long it takes, and no row
    return classifier.labels.names, {
        **described,
        "version": version("facial-expressions"),
        "model": classifier.metadata.name,
        "model_sha256": file_sha256(classifier.path),
        "labels": classifier.head.name,
        "format": options.file_format,
        "shard_size": options.shard_size,
    }


def _begin(
    folder: OutputFolder,
    listing: InputListing,
    described: dict[str, Any],
    *,
    resume: bool,
    on_progress: OnProgress,
) -> BatchManifest:
    """Return the manifest of a new batch, or that of the one to continue with."""
    n_inputs = 0

    def listed() -> Iterator[BatchInput]:
        nonlocal n_inputs
        for n_inputs, one in enumerate(listing, 1):
            on_progress(n_inputs, None)
            yield one

    manifest = folder.read_manifest()
    if manifest is None:
        folder.write_inputs(listed())
        manifest = BatchManifest(described, n_inputs, listing.n_left_out)
        folder.write_manifest(manifest)
        return manifest
    if not resume:
        raise BatchError(
            f"the output folder already holds a batch with {manifest.n_rows:,} of "
            f"{manifest.n_inputs:,} rows. Add --resume to continue it, or name a new folder"
        )
    differing = [
        f"{name} {described.get(name)!r}, it was begun with {manifest.options.get(name)!r}"
        for name in {**manifest.options, **described}
        if described.get(name) != manifest.options.get(name)
    ]
    if differing:
        raise BatchError(
            f"the options differ from those this batch was started with: "
            f"{'; '.join(differing)}. Use the same, or name a new folder"
        )
    folder.check_inputs(listed())
    return manifest


def _engine(
    workers: WorkerOptions, maker: RowMaker, threads: int
) -> contextlib.AbstractContextManager[tuple[Start, int]]:
    if workers.engine == "ray":
        from facial_expressions.distributed.ray_workers import ray_workers

        return ray_workers(maker, threads, workers.n_workers, workers.address)
    from facial_expressions.distributed.local_workers import local_workers

    return local_workers(maker)


def _write_shards(
    folder: OutputFolder,
    manifest: BatchManifest,
    labels: tuple[str, ...],
    crew: Crew,
    on_progress: OnProgress,
) -> None:
    """Do what is left, shard after shard."""
    done, total, size = manifest.n_rows, manifest.n_inputs, manifest.shard_size
    task_size = max(1, min(_TASK_IMAGES, (total - done) // (4 * crew.n_workers)))
    rows = crew.rows_in_order(folder.read_inputs(manifest), task_size)
    for number, group in itertools.groupby(rows, lambda numbered: numbered[0] // size):
        counts: Counter[str] = Counter()
        with folder.open_shard(number, labels) as write_row:
            for _, row in group:
                write_row(row)
                counts.update({row["status"]: 1, "faces": len(row.get("faces", ()))})
                done += 1
                on_progress(done, total)
        n_bytes = folder.shard_path(number).stat().st_size
        manifest.shards[number] = {"n_bytes": n_bytes, "counts": dict(counts)}
        folder.write_manifest(manifest)
