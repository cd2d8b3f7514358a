"""Opens zip and tar archives and folders for reading in place: nothing is unpacked to disk.

An archive comes from a stranger. Before a member is read its entry is checked: no absolute names
or ``..``, no links, no encryption, no name twice, and limits on how many members there are and how
large one may grow.
"""

from __future__ import annotations

import bz2
import errno
import gzip
import lzma
import os
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Final, Protocol, cast

from facial_expressions.errors import DatasetError

__all__ = ["FileTree", "is_tar", "is_zip", "open_csv", "open_tree", "walk_files"]

MAX_MEMBERS: Final = 1_000_000
"""Most members an archive may have, or files a folder."""

MAX_PICTURE_BYTES: Final = 64 * 1024**2
"""Largest picture file that is read."""

MAX_CSV_BYTES: Final = 1024**3
"""Largest table that is read; FER-2013 has 301 MB."""

MAX_TAR_BYTES: Final = 4 * 1024**3
"""Largest tar archive, unpacked."""

_MAX_DEPTH: Final = 5
_MAX_READ_BYTES: Final = 16 * 1024**2
_MAX_TAIL_BYTES: Final = 16 * 1024**2
_DAMAGED: Final = (
    tarfile.TarError,
    zipfile.BadZipFile,
    gzip.BadGzipFile,
    lzma.LZMAError,
    zlib.error,
    EOFError,
    NotImplementedError,
    OverflowError,
    UnicodeDecodeError,
    struct.error,
)


class FileTree(Protocol):
    """A folder or an archive: names of files, and their bytes."""

    @property
    def name(self) -> str:
        """Name of the folder or archive, without its suffix."""

    def names(self) -> list[str]:
        """Return the paths of all files below it, parted by ``/``, sorted, without hidden ones."""

    def read(self, name: str) -> bytes:
        """Return the bytes of one file.

        Raises:
            DatasetError: The file is too large, or cannot be read.
        """


def is_zip(path: Path) -> bool:
    """Return whether a file's first bytes are those of a zip archive."""
    return _starts_with(path, b"PK\x03\x04", b"PK\x05\x06")


def is_tar(path: Path) -> bool:
    """Return whether a file is a tar archive, compressed or not, judged by its first bytes."""
    if _starts_with(path, b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00"):
        return True
    with path.open("rb") as stream:
        return stream.read(262)[257:] == b"ustar"


def _starts_with(path: Path, *heads: bytes) -> bool:
    with path.open("rb") as stream:
        return stream.read(8).startswith(heads)


@contextmanager
def open_tree(path: Path) -> Iterator[FileTree]:
    """Open a folder or a zip archive as a tree of files.

    Args:
        path: A folder or a ``.zip``.

    Raises:
        DatasetError: The archive is damaged or not safe to read.
    """
    if path.is_dir():
        yield _Folder(path)
        return
    with _damage_named(path):
        archive = zipfile.ZipFile(path)
    with archive:
        yield _Zip(path, archive)


@contextmanager
def open_csv(path: Path, columns: Sequence[str]) -> Iterator[IO[bytes]]:
    """Open a table for reading as bytes: the file itself, or the one inside a zip or tar archive.

    Args:
        path: A plain file, or an archive.
        columns: Names in lower case that the table's first line must hold; they tell the table from
            others in the same archive.

    Raises:
        DatasetError: The archive is damaged, not safe to read, or holds no such table.
    """
    with _damage_named(path):
        if is_zip(path):
            with zipfile.ZipFile(path) as archive:
                tree = _Zip(path, archive)
                with _zip_table(tree, archive, columns) as stream:
                    yield stream
        elif is_tar(path):
            with (
                _unpacked(path) as bounded,
                tarfile.open(fileobj=cast(IO[bytes], bounded)) as tar,
                _tar_table(path, tar, columns) as stream,
            ):
                yield stream
                _read_to_end(path, tar)
        else:
            with path.open("rb") as stream:
                yield stream


def walk_files(folder: Path, *, prefix: str = "", depth: int = 0) -> Iterator[tuple[str, Path]]:
    """Yield the files below a folder, with their paths from it, parted by ``/``.

    Hidden files and folders are passed over. Links are followed, as the folder is the user's own;
    nothing deeper than five folders is seen, which ends a link's loop.

    Args:
        folder: Where to start.
        prefix: Put before each name.
        depth: How many folders lie above.
    """
    with os.scandir(folder) as entries:
        for entry in entries:
            if _is_hidden(entry.name):
                continue
            if not entry.is_dir():
                yield prefix + entry.name, Path(entry.path)
            elif depth < _MAX_DEPTH:
                below = f"{prefix}{entry.name}/"
                yield from walk_files(Path(entry.path), prefix=below, depth=depth + 1)


class _Folder:
    """A folder on disk."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def name(self) -> str:
        return self._path.resolve().name

    def names(self) -> list[str]:
        return sorted(name for name, _ in walk_files(self._path))

    def read(self, name: str) -> bytes:
        try:
            with (self._path / name).open("rb") as stream:
                data = stream.read(MAX_PICTURE_BYTES + 1)
        except OSError as error:
            raise DatasetError(
                f"{name} cannot be read; received {error.strerror}; check the file and its rights"
            ) from error
        _check_size(name, len(data), MAX_PICTURE_BYTES)
        return data


class _Zip:
    """A zip archive whose member list has been checked."""

    def __init__(self, path: Path, archive: zipfile.ZipFile) -> None:
        self._path = path
        self._archive = archive
        self.members: dict[str, zipfile.ZipInfo] = {}
        for member in archive.infolist():
            self._check(member)
            if not member.is_dir() and not any(map(_is_hidden, member.filename.split("/"))):
                self.members[member.filename] = member

    def _check(self, member: zipfile.ZipInfo) -> None:
        is_link = stat.S_ISLNK(member.external_attr >> 16)
        _check_name(self._path, member.orig_filename, is_link=is_link)
        if member.flag_bits & 0x1:
            raise _unsafe(self._path, "an encrypted member", member.filename)
        if member.filename in self.members:
            raise _unsafe(self._path, "two members of one name", member.filename)
        if len(self.members) >= MAX_MEMBERS:
            raise _unsafe(self._path, f"over {MAX_MEMBERS:,} members", member.filename)

    @property
    def name(self) -> str:
        return self._path.stem

    def names(self) -> list[str]:
        return sorted(self.members)

    def read(self, name: str) -> bytes:
        _check_size(name, self.members[name].file_size, MAX_PICTURE_BYTES)
        with _damage_named(self._path, name):
            return self._archive.read(self.members[name])


def _zip_table(tree: _Zip, archive: zipfile.ZipFile, columns: Sequence[str]) -> IO[bytes]:
    for name in sorted(tree.members, key=_likely_table):
        if not name.lower().endswith(".csv"):
            continue
        _check_size(name, tree.members[name].file_size, MAX_CSV_BYTES)
        with archive.open(tree.members[name]) as stream:
            first = stream.readline(4096)
        if _holds(first, columns):
            return archive.open(tree.members[name])
    raise _no_table(Path(archive.filename or ""), columns, list(tree.members))


class _Bounded:
    """A stream that never reads much at once nor goes far: a tar's headers say how much to read."""

    def __init__(self, path: Path, stream: IO[bytes]) -> None:
        self._path = path
        self._stream = stream

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= _MAX_READ_BYTES:
            raise _unsafe(self._path, "a header of many megabytes", f"{size:,} bytes")
        return self._stream.read(size)

    def seek(self, offset: int) -> int:
        if offset > MAX_TAR_BYTES:
            raise _unsafe(self._path, f"over {MAX_TAR_BYTES / 1e9:.0f} GB", f"{offset:,} bytes")
        return self._stream.seek(offset)

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._stream.tell()


@contextmanager
def _unpacked(path: Path) -> Iterator[_Bounded]:
    """Open a tar archive for reading, unpacked as its first bytes ask for."""
    openers: dict[bytes, type[gzip.GzipFile | bz2.BZ2File | lzma.LZMAFile]] = {
        b"\x1f\x8b": gzip.GzipFile,
        b"BZh": bz2.BZ2File,
        b"\xfd7z": lzma.LZMAFile,
    }
    opener = next((openers[head] for head in openers if _starts_with(path, head)), None)
    with opener(path) if opener else path.open("rb") as stream:
        yield _Bounded(path, cast(IO[bytes], stream))


def _tar_table(path: Path, tar: tarfile.TarFile, columns: Sequence[str]) -> IO[bytes]:
    names: list[str] = []
    for member in tar:
        _check_tar_member(path, member, len(names))
        names.append(member.name)
        if not (member.isfile() and member.name.lower().endswith(".csv")):
            continue
        _check_size(member.name, member.size, MAX_CSV_BYTES)
        stream = tar.extractfile(member)
        if stream is not None and _holds(stream.readline(4096), columns):
            stream.seek(0)
            return stream
    raise _no_table(path, columns, names)


def _read_to_end(path: Path, tar: tarfile.TarFile) -> None:
    """Go on to the last byte, so that damage behind the table is found and its checksum is read."""
    for count, member in enumerate(tar):
        _check_tar_member(path, member, count)
    stream = cast(IO[bytes], tar.fileobj)
    tail = 0
    while piece := stream.read(1024**2):
        tail += len(piece)
        if tail > _MAX_TAIL_BYTES:
            raise _unsafe(path, "many megabytes behind its end", "padding")


def _check_tar_member(path: Path, member: tarfile.TarInfo, count: int) -> None:
    _check_name(path, member.name, is_link=member.issym() or member.islnk() or member.isdev())
    if count >= MAX_MEMBERS:
        raise _unsafe(path, f"over {MAX_MEMBERS:,} members", member.name)


def _likely_table(name: str) -> tuple[bool, str]:
    return (PurePosixPath(name).name.lower() != "fer2013.csv", name)


def _holds(first_line: bytes, columns: Sequence[str]) -> bool:
    words = first_line.removeprefix(b"\xef\xbb\xbf").replace(b'"', b"").lower().split(b",")
    return set(columns) <= {word.strip().decode("latin-1") for word in words}


def _is_hidden(name: str) -> bool:
    return name.startswith((".", "__MACOSX")) or name in {"Thumbs.db", "desktop.ini"}


def _check_name(path: Path, name: str, *, is_link: bool) -> None:
    parts = name.replace("\\", "/").split("/")
    if is_link:
        raise _unsafe(path, "a link or device", name)
    if parts[0] == "" or ".." in parts or ":" in parts[0] or "\0" in name:
        raise _unsafe(path, "a name that leads out of the archive", name)


def _check_size(name: str, size: int, limit: int) -> None:
    if size > limit:
        raise DatasetError(
            f"{name} is too large; received {size / 1e6:,.0f} MB; "
            f"give a file of at most {limit / 1e6:,.0f} MB"
        )


def _unsafe(path: Path, what: str, name: str) -> DatasetError:
    return DatasetError(
        f"archive {path.name} is not safe to read: it holds {what}; received {name[:120]!r}; "
        "unpack it by hand, check it, and give the folder"
    )


def _no_table(path: Path, columns: Sequence[str], names: Sequence[str]) -> DatasetError:
    shown = ", ".join(names[:5]) or "no files"
    return DatasetError(
        f"archive {path.name} holds no csv file with the columns {', '.join(columns)}; "
        f"received {shown}; give fer2013.csv or the archive that holds it"
    )


@contextmanager
def _damage_named(path: Path, member: str = "") -> Iterator[None]:
    """Turn what the archive modules raise on a damaged file into one error of ours."""
    try:
        yield
    except (*_DAMAGED, OSError) as error:
        if not isinstance(error, _DAMAGED) and error.errno != errno.EINVAL:
            raise  # no permission, for example; a place before the file's beginning is damage
        where = f"{member} in {path.name}" if member else path.name
        raise DatasetError(
            f"archive {where} is damaged or cut short; received: {error}; get the file again"
        ) from error
