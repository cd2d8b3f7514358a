"""The output folder of a batch: its inputs, finished shards, and the manifest that resumes it.

::

    rows/
    ├── batch.json             the manifest: options, how many inputs, finished shards
    ├── inputs.list            the inputs, one a line, in the order of the rows
    ├── rows-000000.jsonl      a finished shard: whole lines, never touched again
    └── .lock                  held by the run that writes here

Every file but the lock appears under its name only when it is whole. Shards of JSON Lines hold the
rows as they are. Parquet has a row per input too, with the columns of the JSON: ``faces`` is a list
of structures, empty where there are none.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from facial_expressions import files
from facial_expressions.distributed.inputs import BatchInput
from facial_expressions.errors import BatchError, parsed
from facial_expressions.parquet_rows import parquet_writer
from facial_expressions.plain_text import shown
from facial_expressions.rows import IMAGE, rounded, to_json

ShardFormat = Literal["jsonl", "parquet"]

WriteRow = Callable[[Mapping[str, Any]], object]
"""Adds a row, which ``ImageResult.to_dict`` gives, to a shard."""

_SCHEMA: Final = 1
_LOCK: Final = ".lock"
_MANIFEST: Final = "batch.json"
_INPUTS: Final = "inputs.list"
_CHECK: Final = "manifest_sha256"


@dataclass(slots=True)
class BatchManifest:
    """What a batch is and how far it has come.

    Attributes:
        options: Everything that decides what its rows say and how they are divided.
        n_inputs: Inputs, one row each.
        n_left_out: Files skipped because they are not images.
        shards: Finished shards by number, counted from 0: size ``n_bytes`` of its file, and
            ``counts`` of rows of each status, and of ``faces``.
    """

    options: Mapping[str, Any]
    n_inputs: int
    n_left_out: int
    shards: dict[int, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def shard_size(self) -> int:
        """Rows of every shard but the last."""
        return int(self.options["shard_size"])

    @property
    def n_rows(self) -> int:
        """Rows in finished shards."""
        return sum(
            min(self.shard_size, self.n_inputs - number * self.shard_size) for number in self.shards
        )


@dataclass
class OutputFolder:
    """A batch's output folder, held by one run at a time.

    Attributes:
        path: The folder; made when it is not there.
        file_format: Of the shards, and the ending of their files.

    Raises:
        BatchError: Another run holds it.
        OSError: It cannot be made or written.
    """

    path: Path
    file_format: ShardFormat

    def __enter__(self) -> OutputFolder:
        with files.storage_errors(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
        with files.storage_errors(self.path / _LOCK):
            flags = os.O_RDWR | os.O_CREAT | files.NO_LINKS
            self._lock = os.open(self.path / _LOCK, flags, 0o666)
        try:
            _lock_file(self._lock)
        except OSError as error:
            os.close(self._lock)
            raise BatchError(
                f"{shown(self.path)}: another run is writing to this folder. Wait for it, or name "
                "another folder"
            ) from error
        files.remove_leftovers(self.path)
        return self

    def __exit__(self, *error: object) -> None:
        os.close(self._lock)

    def shard_path(self, number: int) -> Path:
        """Return where a shard lies; the first has the number 0."""
        return self.path / f"rows-{number:06d}.{self.file_format}"

    @contextlib.contextmanager
    def open_shard(self, number: int, labels: Sequence[str]) -> Iterator[WriteRow]:
        """Begin a shard; it has its name, or replaces what had it, when the block has ended well.

        Raises:
            StorageError: The file cannot be written.
            MissingExtraError: Parquet needs pyarrow, which is not installed.
        """
        with files.atomic_write(self.shard_path(number)) as file:
            if self.file_format == "parquet":
                with parquet_writer(file, IMAGE, labels, extra="parquet") as write:
                    yield lambda row: write(rounded(IMAGE, row))
            else:  # a name that is no UTF-8 becomes JSON's own escape of it
                yield lambda row: file.write(
                    f"{to_json(IMAGE, row)}\n".encode("utf-8", "backslashreplace")
                )

    def read_manifest(self) -> BatchManifest | None:
        """Return the manifest without shards that are gone or changed; None when there is none.

        Raises:
            BatchError: The folder holds something else, or the manifest is damaged.
        """
        path = self.path / _MANIFEST
        if not path.exists():
            self._check_empty()
            return None
        try:
            data = parsed(json.loads, path.read_text(encoding="utf-8"))
            if data.pop(_CHECK) != _digest(data):
                raise ValueError("it was changed")  # noqa: TRY301 - as the others
            if data.pop("schema") != _SCHEMA:
                raise ValueError(f"its schema is not {_SCHEMA}")  # noqa: TRY301 - as the others
            written = {int(key): shard for key, shard in data.pop("shards").items()}
            whole = {number: one for number, one in written.items() if self._is_whole(number, one)}
            return BatchManifest(**data, shards=whole)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise BatchError(
                f"{shown(path)}: the manifest of this batch is damaged. Start again in another "
                "folder"
            ) from error

    def write_manifest(self, manifest: BatchManifest) -> None:
        """Replace the manifest."""
        data = {"schema": _SCHEMA, **asdict(manifest)}
        data[_CHECK] = _digest(data)
        files.write_file(self.path / _MANIFEST, json.dumps(data, indent=1) + "\n")

    def write_inputs(self, inputs: Iterable[BatchInput]) -> None:
        """Write the list of inputs, taken one by one."""
        with files.atomic_write(self.path / _INPUTS) as file:
            file.writelines(f"{one.to_line()}\n".encode("ascii") for one in inputs)

    def check_inputs(self, inputs: Iterable[BatchInput]) -> None:
        """Compare inputs, taken one by one, with those that the batch was begun with.

        Raises:
            BatchError: They differ; the message says where first.
        """
        now = (one.to_line() for one in inputs)
        for number, (new, old) in enumerate(itertools.zip_longest(now, self._read_lines()), 1):
            if new != old:
                raise BatchError(
                    f"the inputs have changed since this batch was started: input {number} is "
                    f"{_named(new)}, it was {_named(old)}. Restore them, or start again in another "
                    "folder"
                )

    def read_inputs(self, manifest: BatchManifest) -> Iterator[tuple[int, BatchInput]]:
        """Yield position and input of everything whose shard the manifest does not have."""
        for index, line in enumerate(self._read_lines()):
            if index // manifest.shard_size not in manifest.shards:
                yield index, BatchInput.from_line(line)

    def _read_lines(self) -> Iterator[str]:
        with (self.path / _INPUTS).open(
            encoding="ascii", errors="backslashreplace", newline="\n"
        ) as file:
            for line in file:
                yield line.rstrip("\n")

    def _check_empty(self) -> None:
        """Refuse a folder with foreign files; what a run left that was killed early is ours."""
        ours = {_LOCK, _INPUTS}
        foreign = [
            p.name for p in self.path.iterdir() if p.name not in ours and p.suffix != files.PART
        ]
        if foreign:
            raise BatchError(
                f"{shown(self.path)}: the output folder holds other files "
                f"({shown(min(foreign))}). Name a new folder"
            )

    def _is_whole(self, number: int, shard: Mapping[str, Any]) -> bool:
        path = self.shard_path(number)
        return path.is_file() and path.stat().st_size == shard["n_bytes"]


def _digest(manifest: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(manifest).encode()).hexdigest()


def _lock_file(descriptor: int) -> None:
    """Take the lock of an open file, which the system gives back when its process ends."""
    if sys.platform == "win32":
        import msvcrt

        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _named(line: str | None) -> str:
    try:
        return "none" if line is None else repr(BatchInput.from_line(line).source)
    except (ValueError, TypeError):
        return "a damaged line"
