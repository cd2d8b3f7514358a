r"""Text that cannot steer what shows it: neither a terminal nor a spreadsheet.

A name of a file, or what a model's file says of itself, may hold characters that move a terminal's
cursor, colour it, or turn the direction of writing. They are shown as JSON writes them (as
``\u001b``), so that a line of JSON means the same afterwards.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

_STEERING: Final = (
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # C0 without tab and line feed, DEL, C1
    "\u061c\u200e\u200f\u2028-\u202e\u2066-\u206f"  # direction of writing, ends of lines
    "\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"  # marks and tags that nobody sees
)
_FORMULA_STARTS: Final = ("=", "+", "-", "\N{MINUS SIGN}", "@")
_LINE_STARTS: Final = ("\t", "\n", "\r")
_STANDARD_INPUT: Final = "-"
_LONGEST: Final = 200
_LONG_WORD: Final = rf"\S{{{_LONGEST + 1},}}"


def visible(text: str) -> str:
    r"""Return a text with escapes for what would steer a terminal; tabs and line feeds stay.

    Examples:
        >>> visible("a\x1b[31m.png")
        'a\\u001b[31m.png'
    """
    if text.replace("\n", "").isprintable():  # nearly all text: spares the pattern at each start
        return text
    return re.sub(_STEERING, lambda found: _escaped(found[0]), text)


def one_line(text: str) -> str:
    r"""Return a name as part of a line: as ``visible``, with escapes for tabs and line feeds too.

    Examples:
        >>> one_line("a\nb.png")
        'a\\u000ab.png'
    """
    return visible(text).replace("\n", r"\u000a").replace("\t", r"\u0009")


def no_formula(text: str) -> str:
    """Return a cell's text with an apostrophe before what a spreadsheet would run as a formula.

    That is also one in wide or small letters, or behind white space and marks that nobody sees. A
    lone ``-`` stands for standard input and stays.

    Examples:
        >>> no_formula("=1+1"), no_formula("a=1"), no_formula("-")
        ("'=1+1", 'a=1', '-')
    """
    import unicodedata  # not at each start of the command line

    first = next((letter for letter in text if _is_seen(letter)), "")
    is_formula = unicodedata.normalize("NFKC", first).startswith(_FORMULA_STARTS)
    if text != _STANDARD_INPUT and (is_formula or text.startswith(_LINE_STARTS)):
        return f"'{text}"
    return text


def shown(name: object) -> str:
    """Return a name for a message: of more than 200 characters, the beginning and the end.

    Examples:
        >>> shown("photo.jpg"), len(shown("x" * 100_000))
        ('photo.jpg', 200)
    """
    text = str(name)
    return text if len(text) <= _LONGEST else f"{text[:120]}…{text[-79:]}"


def short_words(text: str) -> str:
    """Return a text in which no word is longer than ``shown`` lets a name be.

    Examples:
        >>> len(short_words("no such file: " + "x" * 100_000))
        214
    """
    return re.sub(_LONG_WORD, lambda found: shown(found[0]), text)


def counted(number: int, noun: str) -> str:
    """Return how many there are, in singular or in the plural, which ends in s.

    Examples:
        >>> counted(1, "face"), counted(0, "track"), counted(1_200, "image")
        ('1 face', '0 tracks', '1,200 images')
    """
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def few(names: Sequence[str], most: int) -> str:
    """Return names in a line: the first ones, and how many more there are.

    Examples:
        >>> few(["a", "b", "c"], 2), few(["a"], 2)
        ('a, b and 1 more', 'a')
    """
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _escaped(letter: str) -> str:
    units = letter.encode("utf-16-be")
    return "".join(f"\\u{units[i : i + 2].hex()}" for i in range(0, len(units), 2))


def _is_seen(letter: str) -> bool:
    import unicodedata

    return not letter.isspace() and unicodedata.category(letter) not in ("Cc", "Cf")
