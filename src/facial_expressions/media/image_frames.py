"""Images as the frames of a video: numbered files, and animations in one file."""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Generator, Iterator
from itertools import chain, count, islice
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from facial_expressions.errors import ImageError, VideoError
from facial_expressions.image_formats import sniff
from facial_expressions.images import IMAGE_SUFFIXES, load_image, opened_image
from facial_expressions.media.frames import Frame, FrameSource
from facial_expressions.plain_text import counted

ANIMATED: Final = ("GIF", "PNG", "WEBP")
"""Formats of images that may hold several, one after the other."""

_FPS: Final = 25.0
_END_BYTES: Final = 64
_PLACE: Final = re.compile(r"%0?\d*d")
_SHORTEST_S: Final = 0.02
_SLOW_S: Final = 0.1
"""So long an image of an animation is shown that asks for less than that, as in browsers."""


def is_pattern(source: str | Path) -> bool:
    """Say whether a name stands for numbered images: with ``%04d`` or ``*``, and no file itself.

    Examples:
        >>> is_pattern("shots/%04d.png"), is_pattern("shots/*.png"), is_pattern("shots/1.png")
        (True, True, False)
    """
    name = Path(source).name
    return bool(_PLACE.search(name) or "*" in name) and not Path(source).exists()


def image_kind(source: str | Path) -> str:
    """Return the format of a file that begins as an image that is read; else nothing."""
    with contextlib.suppress(ImageError, OSError, ValueError):
        if Path(source).is_file():  # a pipe would be waited for
            with Path(source).open("rb") as file:
                return sniff(file.read(_END_BYTES), str(source))
    return ""


class NumberedImages(FrameSource):
    """A folder's images, or those whose names fit a pattern, in the order of their numbers.

    Raises:
        VideoError: There are none.
    """

    def __init__(self, source: str | Path, *, fps: float | None, max_pixels: int) -> None:
        self.name = str(source)
        self._paths = _numbered(Path(source))
        if not self._paths:
            raise VideoError(f"{self.name}: no images. Give a folder of images, or a pattern")
        self.frame_interval_s = 1 / (fps or _FPS)
        self.duration_s = len(self._paths) * self.frame_interval_s
        self._max_pixels = max_pixels

    def __iter__(self) -> Iterator[Frame]:
        """Yield the images; one that cannot be read leaves its time empty.

        Raises:
            VideoError: Not one can be read.
        """
        bad: list[str] = []
        for place, path in enumerate(self._paths):
            try:
                image = load_image(path, max_pixels=self._max_pixels)
            except ImageError as error:
                bad.append(str(error))
                continue
            yield Frame(place - len(bad), place * self.frame_interval_s, image)
        if len(bad) == len(self._paths):
            raise VideoError(f"{self.name}: no image can be read: {bad[0]}")
        if bad:
            self.note = f"{counted(len(bad), 'image')} left out: {bad[0]}"


class Animation(FrameSource):
    """The images of an animated GIF, WebP or PNG, at their own times.

    Raises:
        VideoError: The file is one still image.
    """

    def __init__(self, source: str | Path, *, max_pixels: int) -> None:
        self.name = str(source)
        self._images = _animation(Path(source), max_pixels)
        try:
            self._first = list(islice(self._images, 2))
        except ImageError as error:
            raise VideoError(str(error)) from error
        if len(self._first) < 2:
            raise not_a_video(source)
        self.frame_interval_s = _shown_s(self._first[0][1])

    def __iter__(self) -> Iterator[Frame]:
        """Yield the images; a file that breaks off ends with its last whole one."""
        time_s = 0.0
        try:
            for index, (image, length_s) in enumerate(chain(self._first, self._images)):
                yield Frame(index, time_s, image)
                time_s += _shown_s(length_s)
        except ImageError as error:
            self.note = str(error)

    def close(self) -> None:
        """Close the file."""
        self._images.close()


def not_a_video(source: str | Path) -> VideoError:
    """Return the error for an image that was given as a video."""
    return VideoError(f"{source}: an image, not a video. Read it with 'facial-expressions predict'")


def _animation(path: Path, max_pixels: int) -> Generator[tuple[NDArray[np.uint8], float]]:
    """Yield the images of a file, and for how many seconds each asks to be shown."""
    with path.open("rb") as file, opened_image(file, str(path), max_pixels) as image:
        for number in count():
            try:
                image.seek(number)
            except EOFError:
                file.seek(max(0, file.seek(0, io.SEEK_END) - _END_BYTES))
                if image.format == "GIF" and not file.read().rstrip(b"\0\r\n ").endswith(b";"):
                    raise EOFError("it has no end") from None
                return
            yield load_image(image), float(image.info.get("duration", 0)) / 1000


def _shown_s(length_s: float) -> float:
    return length_s if length_s >= _SHORTEST_S else _SLOW_S


def _numbered(source: Path) -> list[Path]:
    """Return the images that a folder holds or a pattern names, by the numbers in their names."""
    if source.is_dir():
        found = [path for path in source.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES]
    else:
        fits = _PLACE.sub(r"\\d+", re.escape(source.name).replace(r"\*", ".*"))
        folder = source.parent
        names = list(folder.iterdir()) if folder.is_dir() else []
        found = [path for path in names if re.fullmatch(fits, path.name)]
    shown = [path for path in found if not path.name.startswith(".")]
    return sorted(shown, key=_by_number)


def _by_number(path: Path) -> list[tuple[int, str]]:
    """Return a key that puts 2 before 10."""
    return [
        (int(one), "") if one.isdecimal() else (-1, one) for one in re.split(r"(\d+)", path.name)
    ]
