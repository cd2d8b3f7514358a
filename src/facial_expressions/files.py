"""Write files whole or not at all: the one way in which this package writes its results.

The content goes into a temporary file in the same folder, which is flushed to the disk and renamed.
After a kill, a power cut or on a full disk the name still holds what it held before. The temporary
name cannot be foreseen, and a link, folder or device under either name is refused, never followed.
"""

from __future__ import annotations

import errno
import io
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

from facial_expressions.errors import StorageError, first_line
from facial_expressions.plain_text import visible

if TYPE_CHECKING:
    from typing_extensions import Buffer

PART: Final = ".part"
"""Ending of temporary files."""

NO_LINKS: Final[int] = getattr(os, "O_NOFOLLOW", 0)
"""Flag of ``os.open`` that refuses a link; Windows has none, and needs a privilege to make one."""

_NEW_FILE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | NO_LINKS | getattr(os, "O_BINARY", 0)
_CHUNK_BYTES: Final = 1024 * 1024
_MAKE_ROOM: Final = "Free some space, then run the same command again"
_CHECK: Final = "Check the permissions, or write to another folder"
_RENAME: Final = "Choose another name"
_REASONS: Final = {
    errno.ENOSPC: ("the disk is full", _MAKE_ROOM),
    errno.EDQUOT: ("the disk quota is used up", _MAKE_ROOM),
    errno.EFBIG: ("the file would be larger than is allowed here", "Raise the limit (ulimit -f)"),
    errno.EACCES: ("no permission to write here", _CHECK),
    errno.EPERM: ("no permission to write here", _CHECK),
    errno.EROFS: ("the disk is read-only", _CHECK),
    errno.EIO: ("the disk does not answer", "Check the disk, or write to another one"),
    errno.ENOENT: ("the folder does not exist", "Create it, or write to another folder"),
    errno.ENOTDIR: ("part of the path is a file, not a folder", _RENAME),
    errno.EEXIST: ("the name is taken by something else", _RENAME),
    errno.EISDIR: ("the name is taken by a folder", _RENAME),
    errno.ELOOP: ("the name is a symbolic link, which is not followed", _RENAME),
    errno.ENAMETOOLONG: ("the name is too long", "Choose a shorter name"),
}
"""What the system's errors mean here, and what to do about each."""


@contextmanager
def atomic_write(path: str | Path) -> Iterator[BinaryIO]:
    """Open a file for writing that appears under its name, whole, when the block ends well.

    An error in the block leaves the name as it was and nothing beside it. Permissions are those of
    the file that is replaced, or of a new file under the user's mask.

    Args:
        path: The file; its folder must exist.

    Yields:
        A binary file. It can seek, but holds nothing to read.

    Raises:
        StorageError: The file cannot be written; the message says why in words.

    Examples:
        >>> with atomic_write("rows.txt") as file:
        ...     _ = file.write(b"happy")
        >>> Path("rows.txt").read_text()
        'happy'
    """
    with _new_content(Path(path)) as handle, os.fdopen(handle, "wb", closefd=False) as file:
        yield file


def check_name(path: Path, *, overwrite: bool) -> None:
    """Refuse a name that cannot be written at the end of a long piece of work, at its start.

    Raises:
        StorageError: The name is taken by a folder, a link or the like, or by a file.
    """
    with storage_errors(path):
        _mode(path)
        if not overwrite and path.exists():
            raise FileExistsError(errno.EEXIST, "", str(path))


def write_file(
    path: str | Path, content: str | bytes | memoryview, *, overwrite: bool = True
) -> None:
    """Write a file whole or not at all.

    Args:
        path: The file; its folder must exist.
        content: Bytes; or a text, written as UTF-8 with line ends as they are. What UTF-8 cannot
            hold, as part of an odd file name, is escaped, and so is what would steer a terminal.
        overwrite: Whether a file of this name is replaced.

    Raises:
        StorageError: The file cannot be written; the message says why in words.
        FileExistsError: The name is taken and may not be overwritten.
    """
    path = Path(path)
    if isinstance(content, str):
        content = "\r\n".join(map(visible, content.split("\r\n")))
        content = content.encode("utf-8", "backslashreplace")
    with _new_content(path, overwrite=overwrite) as handle:
        rest = memoryview(content)
        while rest:
            rest = rest[os.write(handle, rest[:_CHUNK_BYTES]) :]
        written = os.fstat(handle).st_size
        if written != len(content):
            reason = f"only {written:,} of {len(content):,} bytes were written"
            raise _storage_error(path, reason, "Check the disk, or write to another one")


class GrowingFile(io.FileIO):
    """A new file that is readable under its name while it grows, for a recording.

    What one call writes is in the file whole or not at all.

    Raises:
        StorageError: The file cannot be made or written; the message says why in words.
    """

    def __init__(self, path: Path, *, overwrite: bool = False) -> None:
        self._path = path
        with storage_errors(path):
            mode = _mode(path) if overwrite else 0o666
            if overwrite:
                path.unlink(missing_ok=True)
            super().__init__(os.open(path, _NEW_FILE, mode), "wb")

    def write(self, content: Buffer) -> int:
        """Write all of it, or nothing."""
        before, rest = os.fstat(self.fileno()).st_size, memoryview(content)
        with storage_errors(self._path):
            try:
                while rest:
                    rest = rest[super().write(rest) :]
            except OSError:
                self.truncate(before)
                raise
        return memoryview(content).nbytes

    def remove(self) -> None:
        """Take the file's name away, as nothing came to be written."""
        with suppress(OSError):
            self._path.unlink(missing_ok=True)


@contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Turn the system's errors in a block into one that says in words what is wrong with a file.

    Errors that name a file elsewhere pass.

    Raises:
        StorageError: Something in the block could not be written.
    """
    try:
        yield
    except OSError as error:
        named = Path(os.fsdecode(error.filename)) if error.filename else path
        is_elsewhere = named.parent != path.parent and named not in path.parents
        if error.errno is None or is_elsewhere:
            raise
        raise _storage_error(path, *_in_words(error)) from error


def reason_of(error: OSError) -> str:
    """Return in words, without numbers and names of files, why the system refused something.

    Examples:
        >>> reason_of(OSError(28, "No space left on device"))
        'the disk is full'
    """
    return _in_words(error)[0]


def output_error(name: str, error: Exception) -> str:
    """Return on one line which output could not be written, and why.

    Examples:
        >>> output_error("rows.csv", OSError(28, "No space left on device"))
        'rows.csv: the disk is full'
    """
    text = first_line(error)
    if isinstance(error, OSError) and not isinstance(error, StorageError):
        text = reason_of(error)
    return text if text.startswith(name) else f"{name}: {text}"


def remove_leftovers(folder: Path) -> None:
    """Remove what killed writers left in a folder into which nobody else writes at the moment."""
    with suppress(OSError):
        for part in folder.glob(f".*{PART}"):
            part.unlink(missing_ok=True)


@contextmanager
def _new_content(path: Path, *, overwrite: bool = True) -> Iterator[int]:
    """Yield the descriptor of a temporary file, which takes the name when the block ends well."""
    temporary = path.with_name(f".{os.urandom(8).hex()}{PART}")
    with storage_errors(path):
        handle = os.open(temporary, _NEW_FILE, _mode(path) if overwrite else 0o666)
    try:
        with storage_errors(path):
            try:
                yield handle
                os.fsync(handle)
            finally:
                os.close(handle)
        if not overwrite:
            _rename_to_free(temporary, path)
        with storage_errors(path):
            if overwrite:
                os.replace(temporary, path)  # noqa: PTH105 - one call to the system, as the others
            _flush_folder(path.parent)
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def _mode(path: Path) -> int:
    """Return the permissions that a file gets; refuse a name that something else has."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return 0o666
    if stat.S_ISREG(mode):
        return stat.S_IMODE(mode) & 0o777
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, "", str(path))
    if stat.S_ISLNK(mode):
        raise OSError(errno.ELOOP, "", str(path))
    raise FileExistsError(errno.EEXIST, "", str(path))


def _rename_to_free(temporary: Path, path: Path) -> None:
    """Give a file its name unless that is taken, which a plain rename would not notice."""
    try:
        os.link(temporary, path)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links
        if os.path.lexists(path):
            raise FileExistsError(errno.EEXIST, "the name is taken", str(path)) from None
        with storage_errors(path):
            temporary.rename(path)


def _flush_folder(folder: Path) -> None:
    """Make a rename durable; Windows cannot open folders and needs none of this."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _in_words(error: OSError) -> tuple[str, str]:
    unknown = (error.strerror or first_line(error), _CHECK)
    return _REASONS.get(error.errno or 0, unknown)


def _storage_error(path: Path, reason: str, advice: str) -> StorageError:
    if advice is _MAKE_ROOM:
        with suppress(OSError):
            reason += f" ({shutil.disk_usage(path.parent).free / 1e6:,.1f} MB are free)"
    return StorageError(f"{path}: cannot be written: {reason}. {advice}")
