"""List the inputs of a batch one after the other: folder, glob, list of paths, tar archives.

An input says what its row is called and where its bytes lie; workers read it.
"""

from __future__ import annotations

import csv
import glob
import hashlib
import json
import os
import sqlite3
import stat
import tarfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from facial_expressions.errors import BatchError, first_line, parsed
from facial_expressions.images import IMAGE_SUFFIXES
from facial_expressions.plain_text import shown
from facial_expressions.results import ImageResult, Status

MAX_MEMBER_BYTES: Final = 256 * 1024**2
"""Larger members of an archive are rejected unread."""

_JSON_LINES: Final = (".jsonl", ".ndjson")
_LISTS: Final = (".csv", *_JSON_LINES, ".lst", ".txt")
_PATH_NAMES: Final = ("path", "source", "file", "filename")
"""Columns or keys of a list that hold the path; the first that is there is taken."""

_TAR: Final = ".tar"
_COMPRESSED: Final = (".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar.zst")
_WILDCARDS: Final = frozenset("*?[")


@dataclass(frozen=True, slots=True)
class BatchInput:
    """One input, which becomes exactly one row.

    Attributes:
        source: What the row calls it; the path of the file unless it lies in an archive.
        archive: Path of the tar archive that holds it; empty for a file of its own.
        offset: Where its bytes begin in the archive.
        n_bytes: How many they are.
        is_listed: Whether the file was seen when the inputs were listed, so that it has vanished
            when it is not there.
        status: Its row's status where that is known already; None when it is to be read.
        error: The row's sentence for such a status.

    Examples:
        >>> BatchInput.from_line(BatchInput("a.jpg", is_listed=True).to_line()).source
        'a.jpg'
    """

    source: str
    archive: str = ""
    offset: int = 0
    n_bytes: int = 0
    is_listed: bool = False
    status: Status | None = None
    error: str = ""

    def to_line(self) -> str:
        """Return one line of ASCII: JSON without the fields that have their default."""
        return json.dumps({name: v for name in self.__slots__ if (v := getattr(self, name))})

    @classmethod
    def from_line(cls, line: str) -> BatchInput:
        """Rebuild an input from what ``to_line`` returned."""
        return cls(**parsed(json.loads, line))

    def read(self, root: Path) -> Path | bytes | ImageResult:
        """Return what a recognizer reads, or the result when that cannot be read at all.

        Args:
            root: Folder at which relative paths start.
        """
        if self.status:
            return ImageResult(self.source, self.status, error=self.error)
        path = root / (self.archive or self.source)
        if self.n_bytes > MAX_MEMBER_BYTES:
            reason = (
                f"{shown(self.source)}: too large ({self.n_bytes:,} bytes). The limit "
                f"is {MAX_MEMBER_BYTES:,}"
            )
            return ImageResult(self.source, "rejected", error=reason)
        reason = ""
        try:
            if self.archive:
                with path.open("rb") as file:
                    file.seek(self.offset)
                    return file.read(self.n_bytes)
            if stat.S_ISREG(path.stat().st_mode):
                path.open("rb").close()
        except FileNotFoundError:
            if self.is_listed or self.archive:
                reason = f"vanished: {shown(path)} was there when the inputs were listed"
        except PermissionError:
            reason = f"permission: {shown(path)} cannot be read"
        except (OSError, ValueError) as error:
            if self.archive:
                reason = f"{shown(path)}: the archive cannot be read: {first_line(error)}"
        # Whatever else is wrong with a file, the recognizer says so.
        return ImageResult(self.source, "failed", error=reason) if reason else path


class InputListing:
    """The inputs, always in the same order; nothing is held but one folder's names.

    A folder is walked with all folders inside it, each folder's names sorted and its files before
    its folders; hidden files and folders and links to folders are passed over. Files that are
    neither images nor tar archives are left out and counted. A path that is named again, and a
    member that an archive holds again, are inputs of status ``skipped``.

    Args:
        source: A folder, a glob (``**`` for any folders), a list of paths (``.txt``, ``.csv``,
            ``.jsonl``; relative paths start at the list's folder), a tar archive or an image.
        output: A folder that is not looked into.

    Attributes:
        n_left_out: Files skipped because they are not images, so far.

    Raises:
        BatchError: There is no such input, or it is of a kind that is not read.

    Examples:
        >>> list(InputListing("no-such-folder", Path("out")))
        Traceback (most recent call last):
        facial_expressions.errors.BatchError: no-such-folder: not found
    """

    def __init__(self, source: str, output: Path) -> None:
        self._source = source
        self._output = os.path.realpath(output)
        self.n_left_out = 0
        self._list = self._walk
        if os.path.isdir(source):  # noqa: PTH112 - also says no to a name that is too long
            return
        if not os.path.lexists(source):
            self._list = self._match
            if not _WILDCARDS & set(source):
                raise BatchError(f"{shown(source)}: not found")
            if next(glob.iglob(source, recursive=True), None) is None:  # noqa: PTH207
                raise BatchError(f"{shown(source)}: no file matches this pattern")
        elif source.lower().endswith(_COMPRESSED):
            raise BatchError(f"{shown(source)}: compressed archive. Decompress it to .tar")
        elif _suffix(source) in _LISTS:
            self._list = self._read_list
        elif _suffix(source) in {*IMAGE_SUFFIXES, _TAR}:
            self._list = lambda: iter([BatchInput(source, is_listed=True)])
        else:
            raise BatchError(
                f"{shown(source)}: not supported. Give a folder, a quoted pattern, a list of "
                f"paths ({', '.join(_LISTS)}), a .tar archive or an image"
            )

    def __iter__(self) -> Iterator[BatchInput]:
        """Yield the inputs."""
        self.n_left_out = 0
        for one in self._list():
            if one.source.lower().endswith(_TAR) and one.status is None:
                yield from self._members(one.source)
            else:
                yield one

    def _match(self) -> Iterator[BatchInput]:
        for path in sorted(set(glob.iglob(self._source, recursive=True))):  # noqa: PTH207 - absolute ones too
            if not os.path.realpath(path).startswith(self._output + os.sep):
                yield from self._classify(path)

    def _read_list(self) -> Iterator[BatchInput]:
        path_of_list = Path(self._source)
        folder = "" if path_of_list.parent == Path() else str(path_of_list.parent)
        with _once_each() as once:
            for named in _read_paths(path_of_list):
                if named.status:
                    yield named
                    continue
                path = os.path.join(folder, named.source)  # noqa: PTH118
                yield once(os.path.abspath(path), BatchInput(path))  # noqa: PTH100

    def _walk(self) -> Iterator[BatchInput]:
        waiting = [self._source]
        while waiting:
            folder = waiting.pop()
            if os.path.realpath(folder) == self._output:
                continue
            try:
                with os.scandir(folder) as entries:
                    seen = [one for one in entries if one.name[0] != "."]
            except OSError as error:
                reason = _unreadable("folder", folder, error)
                yield BatchInput(folder, status="failed", error=reason)
                continue
            seen.sort(key=lambda one: one.name)
            for one in seen:
                yield from self._classify(one.path)
            waiting += [one.path for one in reversed(seen) if one.is_dir(follow_symlinks=False)]

    def _classify(self, path: str) -> Iterator[BatchInput]:
        """Yield an image or an archive; count any other file, and pass over a folder."""
        # pathlib would keep every name that it ever saw.
        if os.path.isdir(path):  # noqa: PTH112
            return
        if _suffix(path) not in {*IMAGE_SUFFIXES, _TAR}:
            self.n_left_out += 1
        elif os.path.isfile(path):  # noqa: PTH113
            yield BatchInput(path, is_listed=True)
        elif os.path.exists(path):  # noqa: PTH110
            error = f"{shown(path)}: a device or pipe, not an image file"
            yield BatchInput(path, status="skipped", error=error)
        else:
            error = f"{shown(path)}: the link leads nowhere"
            yield BatchInput(path, status="rejected", error=error)

    def _members(self, archive: str) -> Iterator[BatchInput]:
        try:
            with tarfile.open(archive, "r:") as tar, _once_each() as once:
                while (member := tar.next()) is not None:
                    vars(tar)["members"] = []  # it would remember each one
                    name = member.name
                    if not member.isfile() or _suffix(name) not in IMAGE_SUFFIXES:
                        self.n_left_out += member.isfile()
                        continue
                    one = BatchInput(f"{archive}/{name}", archive, member.offset_data, member.size)
                    yield once(name, one)
        except tarfile.TarError:
            reason = f"{shown(archive)}: the archive is damaged or compressed"
            yield BatchInput(archive, status="rejected", error=reason)
        except OSError as error:
            yield BatchInput(archive, status="failed", error=_unreadable("archive", archive, error))


def _read_paths(path: Path) -> Iterator[BatchInput]:
    """Read a list of paths, one a line where it is neither CSV nor JSON Lines.

    A line that names none is an input that is rejected. Bytes that are no UTF-8 are kept.
    """
    suffix = path.suffix.lower()
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        if suffix == ".csv":
            yield from _read_csv(file, path)
        else:
            for number, line in enumerate(file, 1):
                text = line.rstrip("\r\n")
                if text.strip() and suffix in _JSON_LINES:
                    yield _parse_json(text, f"{path}:{number}")
                elif text.strip():
                    yield BatchInput(text)


def _read_csv(lines: Iterator[str], path: Path) -> Iterator[BatchInput]:
    rows = csv.reader(line.replace("\0", "") for line in lines)
    header = [name.strip().lower() for name in next(rows, [])]
    column = next((header.index(name) for name in _PATH_NAMES if name in header), None)
    if column is None:
        raise BatchError(
            f"{shown(path)}: no column named {' or '.join(_PATH_NAMES)}, only "
            f"{', '.join(header[:10])!r}. Name the column that holds the paths"
        )
    while True:
        try:
            row = next(rows, None)
        except csv.Error:  # a cell of over 128 KB, or a line that ends within a cell
            row = [""]
        if row is None:
            return
        if len(row) > column and row[column]:
            yield BatchInput(row[column])
        elif row:
            where = f"{path}:{rows.line_num}"
            yield BatchInput(where, status="rejected", error="no path in this line")


def _parse_json(line: str, where: str) -> BatchInput:
    try:
        value = parsed(json.loads, line)
    except ValueError:
        reason = f"not JSON: {line[:80]!r}. Correct this line"
        return BatchInput(where, status="rejected", error=reason)
    if isinstance(value, dict):
        value = next((value[name] for name in _PATH_NAMES if name in value), None)
    if isinstance(value, str) and value:
        return BatchInput(value)
    reason = f"no path in {line[:80]!r}. It needs a key {' or '.join(_PATH_NAMES)}"
    return BatchInput(where, status="rejected", error=reason)


@contextmanager
def _once_each() -> Iterator[Callable[[str, BatchInput], BatchInput]]:
    """Yield a function that has inputs skipped whose name it has had before.

    It remembers names in a database on disk, so that memory stays flat.
    """
    with closing(sqlite3.connect("")) as database:
        database.execute("PRAGMA journal_mode = OFF")
        database.execute("CREATE TABLE seen (digest BLOB PRIMARY KEY) WITHOUT ROWID")

        def check(name: str, one: BatchInput) -> BatchInput:
            digest = hashlib.blake2b(os.fsencode(name), digest_size=16).digest()
            added = database.execute("INSERT OR IGNORE INTO seen VALUES (?)", (digest,))
            return one if added.rowcount else replace(one, status="skipped", error="named before")

        yield check


def _suffix(path: str) -> str:
    """Return a path's ending in lower case; pathlib would keep every name that it ever saw."""
    return os.path.splitext(path)[1].lower()  # noqa: PTH122


def _unreadable(what: str, path: str, error: OSError) -> str:
    kind = "permission" if isinstance(error, PermissionError) else "reading"
    return f"{kind}: the {what} {shown(path)} cannot be read: {first_line(error)}"
