"""Reads folders, zip and tar archives in place, and tables: nothing is unpacked to disk.

An archive comes from a stranger. Before a member is read its entry is checked: no absolute names
or ``..``, no links, no encryption, no name twice, and limits on how many members there are and how
large one may grow.
"""

from __future__ import annotations

import errno
import lzma
import os
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, Any, Final, NamedTuple, Self

from facial_expressions.errors import DatasetError, first_line
from facial_expressions.plain_text import shown

_MAX_MEMBERS: Final = 1_000_000
_MAX_IMAGE_BYTES: Final = 64 * 1024**2
_MAX_LINE_BYTES: Final = 64 * 1024
_MAX_ROWS: Final = 1_000_000
_MAX_CSV_BYTES: Final = 1024**3  # FER-2013 has 301 MB
_MAX_TAR_BYTES: Final = 4 * 1024**3  # unpacked
_MAX_HEADER_BYTES: Final = 16 * 1024**2
_MAX_TAIL_BYTES: Final = 16 * 1024**2
_TAR_HEADS: Final = {b"\x1f\x8b": "r:gz", b"BZh": "r:bz2", b"\xfd7z": "r:xz"}
"""First bytes of compressed tar archives, and how ``tarfile`` opens each."""

_DAMAGED: Final = (
    tarfile.TarError, zipfile.BadZipFile, lzma.LZMAError, zlib.error, struct.error, EOFError,
    NotImplementedError, OverflowError, RecursionError, UnicodeDecodeError,
)  # fmt: skip


class _File(NamedTuple):
    """A file in a folder or archive: its path there, parted by ``/``, its size, what opens it."""

    name: str
    size: int
    open: Callable[[], IO[Any]]


class FileTree:
    """A folder or a zip archive: names of files, and their bytes.

    Attributes:
        name: Name of the folder or archive, without its suffix.
        names: The paths of all files, sorted, without hidden ones.
    """

    def __init__(self, name: str, files: Iterable[_File]) -> None:
        self.name = name
        self._openers = {file.name: file.open for file in files}
        self.names = sorted(self._openers)

    def read(self, name: str) -> bytes:
        """Return the bytes of one file.

        Raises:
            DatasetError: The file is too large, or cannot be read.
        """
        try:
            with self._openers[name]() as stream:
                data: bytes = stream.read(_MAX_IMAGE_BYTES + 1)
        except (*_DAMAGED, OSError) as error:
            raise DatasetError(
                f"{shown(name)}: cannot be read: {first_line(error)}. Check it and its permissions"
            ) from error
        _check_size(name, len(data), _MAX_IMAGE_BYTES)
        return data


def is_zip(path: Path) -> bool:
    """Return whether a file's first bytes are those of a zip archive."""
    return _head(path).startswith((b"PK\x03\x04", b"PK\x05\x06"))


def _tar_mode(path: Path) -> str:
    """Return how ``tarfile`` opens a file; an empty text for one that is no tar archive."""
    head = _head(path)
    plain = "r:" if head[257:] == b"ustar" else ""
    return next((mode for start, mode in _TAR_HEADS.items() if head.startswith(start)), plain)


def _head(path: Path) -> bytes:
    with path.open("rb") as stream:
        return stream.read(262)


@contextmanager
def open_tree(path: Path) -> Iterator[FileTree]:
    """Open a folder or a zip archive as a tree of files.

    Raises:
        DatasetError: The archive is damaged or not safe to read.
    """
    with _open_files(path) as files:
        yield FileTree(path.resolve().name if path.is_dir() else path.stem, files)


def read_table(
    path: Path, columns: Sequence[str], *, what: str, hint: str
) -> Iterator[list[bytes]]:
    """Yield of each row of a table the cells of some columns, without white space around them.

    A byte-order mark, CRLF and quotes are understood, empty lines are passed over, and columns may
    stand in any order beside others.

    Args:
        path: A CSV file, or a folder, a zip or a tar archive that holds it.
        columns: Names in lower case; they tell the table from others in the same archive.
        what: What the table is called in a message.
        hint: Which file to give instead of one that is not the table.

    Raises:
        DatasetError: The archive is damaged, not safe to read or holds no such table, a column is
            missing, a row has another number of columns, or there is no end of a row or of rows.
    """
    is_archive = path.is_dir() or is_zip(path) or _tar_mode(path)
    with _table_in(path, columns) if is_archive else path.open("rb") as stream:
        lines = _lines(stream, f"{path.name}: not {what}", hint)
        names = _column_names(next(lines, b""))
        if not set(columns) <= set(names):
            raise DatasetError(
                f"{path.name}: not {what}: it needs the columns {', '.join(columns)} and has "
                f"{', '.join(names)[:80] or 'none'}. {hint}"
            )
        places = [names.index(column) for column in columns]
        for row, line in enumerate(lines):
            cells = line.replace(b'"', b"").split(b",")
            if len(cells) != len(names):
                raise bad_row(path, row, f"{len(names)} columns", str(len(cells)))
            if row >= _MAX_ROWS:
                raise DatasetError(f"{path.name}: not {what}: over {_MAX_ROWS:,} rows. {hint}")
            yield [cells[place].strip() for place in places]


def bad_row(path: Path, row: int, needed: str, received: str) -> DatasetError:
    """Return the error for a row of a table, counted from 0 under the header."""
    return DatasetError(
        f"{path.name}: row {row} (line {row + 2}) needs {needed}, not {received}. Get the whole "
        "file again, or correct the row"
    )


def _lines(stream: IO[bytes], is_wrong: str, hint: str) -> Iterator[bytes]:
    """Yield lines without their ends; empty ones are passed over, endless ones refused."""
    while line := stream.readline(_MAX_LINE_BYTES):
        if len(line) == _MAX_LINE_BYTES:
            raise DatasetError(
                f"{is_wrong}: it has a line of over {_MAX_LINE_BYTES:,} bytes. {hint}"
            )
        if line := line.strip():
            yield line


@contextmanager
def _table_in(path: Path, columns: Sequence[str]) -> Iterator[IO[bytes]]:
    with _open_files(path) as files, _find_table(path, files, columns) as stream:
        yield stream


@contextmanager
def _open_files(path: Path) -> Iterator[Iterable[_File]]:
    """Open a folder or archive, whose likeliest table comes first where the order is ours."""
    with _damage_named(path):
        if path.is_dir():
            found = [_File(name, 0, partial(one.open, "rb")) for name, one in walk_files(path)]
            yield sorted(found, key=_likely_table_first)
        elif is_zip(path):
            with zipfile.ZipFile(path) as archive:
                yield sorted(_zip_files(path, archive), key=_likely_table_first)
        else:
            mode = _tar_mode(path)
            with tarfile.open(path, mode, tarinfo=_TarHeader) as tar:  # type: ignore[call-overload]
                yield (
                    _File(one.name, one.size, partial(tar.extractfile, one))
                    for one in _tar_members(path, tar)
                    if one.isfile()
                )
                _read_to_end(path, tar)


def _likely_table_first(file: _File) -> tuple[bool, str]:
    return (PurePosixPath(file.name).name.lower() != "fer2013.csv", file.name)


def walk_files(folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield the files below a folder, with their paths from it, parted by ``/``.

    Hidden files and folders are passed over. Links are followed, as the folder is the user's own;
    one that leads back to a folder above it is passed over.
    """

    def refuse(error: OSError) -> None:
        raise error

    for root, folders, names in os.walk(folder, onerror=refuse, followlinks=True):
        here = Path(root)
        prefix = "" if here == folder else f"{here.relative_to(folder).as_posix()}/"
        folders[:] = [
            one
            for one in folders
            if not _is_hidden(one) and not here.resolve().is_relative_to((here / one).resolve())
        ]
        yield from ((prefix + name, here / name) for name in names if not _is_hidden(name))


def _zip_files(path: Path, archive: zipfile.ZipFile) -> Iterator[_File]:
    """Yield the files of an archive, each of whose entries is checked."""
    names = set()
    for count, member in enumerate(archive.infolist()):
        is_link = stat.S_ISLNK(member.external_attr >> 16)
        _check_member(path, member.orig_filename, count, is_link=is_link)
        if member.flag_bits & 0x1:
            raise _unsafe(path, "an encrypted member", member.filename)
        if member.filename in names:
            raise _unsafe(path, "two members of one name", member.filename)
        if not member.is_dir() and not any(map(_is_hidden, member.filename.split("/"))):
            names.add(member.filename)
            yield _File(member.filename, member.file_size, partial(archive.open, member))


def _find_table(path: Path, files: Iterable[_File], columns: Sequence[str]) -> IO[bytes]:
    """Open the first of the files that is the table."""
    names: list[str] = []
    for file in files:
        names.append(file.name)
        if not file.name.lower().endswith(".csv"):
            continue
        _check_size(file.name, file.size, _MAX_CSV_BYTES)
        stream = file.open()
        if set(columns) <= set(_column_names(stream.readline(4096))):
            stream.seek(0)
            return stream
        stream.close()
    raise DatasetError(
        f"{shown(path.name)}: no CSV file with the columns {', '.join(columns)}, only "
        f"{', '.join(map(shown, names[:5])) or 'no files'}. Give fer2013.csv or its archive"
    )


class _TarHeader(tarfile.TarInfo):
    """A header that may not ask for much: those before a member are read into memory at once."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        header = super().frombuf(buf, encoding, errors)
        if not 0 <= header.size <= (_MAX_TAR_BYTES if header.isreg() else _MAX_HEADER_BYTES):
            raise tarfile.ReadError(f"a header that claims {header.size:,} bytes")
        return header


def _tar_members(path: Path, tar: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    for count, member in enumerate(tar):
        is_link = member.issym() or member.islnk() or member.isdev()
        _check_member(path, member.name, count, is_link=is_link)
        if member.offset_data + member.size > _MAX_TAR_BYTES:
            raise _unsafe(path, f"over {_MAX_TAR_BYTES / 1e9:.0f} GB", member.name)
        yield member


def _read_to_end(path: Path, tar: tarfile.TarFile) -> None:
    """Read to the last byte, so that damage behind the table is found and its checksum is read."""
    for _ in _tar_members(path, tar):
        pass
    tail = 0
    while tar.fileobj and (piece := tar.fileobj.read(1024**2)):
        tail += len(piece)
        if tail > _MAX_TAIL_BYTES:
            raise _unsafe(path, "many megabytes behind its end", "padding")


def _column_names(first_line: bytes) -> list[str]:
    """Return the columns that a table's first line names, in lower case."""
    words = first_line.removeprefix(b"\xef\xbb\xbf").replace(b'"', b"").lower().split(b",")
    return [word.strip().decode("latin-1") for word in words]


def _is_hidden(name: str) -> bool:
    return name.startswith((".", "__MACOSX")) or name in {"Thumbs.db", "desktop.ini"}


def _check_member(path: Path, name: str, count: int, *, is_link: bool) -> None:
    parts = name.replace("\\", "/").split("/")
    if is_link:
        raise _unsafe(path, "a link or device", name)
    if parts[0] == "" or ".." in parts or ":" in parts[0] or "\0" in name:
        raise _unsafe(path, "a name that leads out of the archive", name)
    if count >= _MAX_MEMBERS:
        raise _unsafe(path, f"over {_MAX_MEMBERS:,} members", name)


def _check_size(name: str, size: int, limit: int) -> None:
    if size > limit:
        raise DatasetError(
            f"{shown(name)}: too large with {size / 1e6:,.0f} MB or more. Allowed are "
            f"{limit / 1e6:,.0f} MB"
        )


def _unsafe(path: Path, what: str, name: str) -> DatasetError:
    return DatasetError(
        f"{shown(path.name)}: not safe to read: it holds {what}: {shown(name)!r}. Unpack it by "
        "hand, check it, and give the folder"
    )


@contextmanager
def _damage_named(path: Path) -> Iterator[None]:
    """Turn what the archive modules raise on a damaged file into one error of ours."""
    try:
        yield
    except (*_DAMAGED, OSError) as error:
        if not isinstance(error, _DAMAGED) and error.errno not in (None, errno.EINVAL):
            raise  # no permission, for example; a place before the file's beginning is damage
        raise DatasetError(
            f"{shown(path.name)}: damaged or truncated: {first_line(error)}. Get the file again"
        ) from error
