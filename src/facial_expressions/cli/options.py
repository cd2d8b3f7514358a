"""Options that several verbs have: of a recognizer, of how a data set is read, of files written."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Sequence
from dataclasses import fields
from inspect import Parameter
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, Final, get_args, get_type_hints

import typer
from typer import Option

from facial_expressions.inference.options import RecognizerOptions
from facial_expressions.plain_text import shown

DataOption = Annotated[
    Path, Option(help="FER-2013 as csv, zip, tar.gz or folder, or any folder of class folders.")
]
FerplusOption = Annotated[Path | None, Option(metavar="FILE", help="FER+ votes (fer2013new.csv).")]
CompetitionOption = Annotated[
    Path | None,
    Option(metavar="FILE", help="Competition file; FER+ needs it when DATA has the Kaggle layout."),
]
OverwriteOption = Annotated[bool, Option("--overwrite", help="Replace files that exist.")]
PartialOption = Annotated[
    bool, Option("--allow-partial", help="Accept FER-2013 with missing images.")
]

_PLAIN: Final = {bool, int, float, str, NoneType}

Verb = Callable[..., None]


def takes_recognizer_options(
    kind: type[RecognizerOptions] = RecognizerOptions,
    *,
    without: Sequence[str] = (),
    **defaults: object,
) -> Callable[[Verb], Verb]:
    """Give a verb every option of a recognizer, in the place of its parameter ``options``.

    Args:
        kind: The class of the options; each of its fields is an option with that field's help.
        without: Fields that make no sense for this verb.
        **defaults: What this verb takes where an option is not given, instead of the field's own.
    """
    hints = get_type_hints(kind)
    taken = [one for one in fields(kind) if one.name not in without]
    added = [
        Parameter(
            one.name,
            Parameter.KEYWORD_ONLY,
            default=defaults.get(one.name, one.default),
            annotation=Annotated[
                _plain(hints[one.name]), Option(f"--{one.name.replace('_', '-')}", **one.metadata)
            ],
        )
        for one in taken
    ]

    def extend(verb: Verb) -> Verb:
        own = inspect.signature(verb, eval_str=True)
        whole = list(own.parameters.values())
        place = list(own.parameters).index("options")
        whole[place : place + 1] = added

        @functools.wraps(verb)
        def extended(*args: Any, **given: Any) -> None:  # noqa: ANN401 - as Typer converts them
            chosen = {one.name: given.pop(one.name) for one in taken}
            try:
                options = kind(**chosen)
            except ValueError as error:
                raise typer.BadParameter(f"{error}.") from error
            verb(*args, options=options, **given)

        extended.__dict__["__signature__"] = own.replace(parameters=whole)
        extended.__annotations__ = {one.name: one.annotation for one in whole}
        return extended

    return extend


def check_output(
    file: Path,
    option: str,
    suffixes: Sequence[str],
    *,
    sources: Iterable[Path] = (),
    overwrite: bool = False,
) -> None:
    """Refuse a file that cannot be written, as wrong usage.

    Args:
        file: The file.
        option: The option that names it, for the message.
        suffixes: Endings that it may have.
        sources: Inputs, none of which it may be.
        overwrite: Whether a file that exists is replaced.

    Raises:
        typer.BadParameter: The file cannot be written so.
    """
    problem = ""
    if file.suffix.lower() not in suffixes:
        problem = f"the name needs to end in {', '.join(suffixes)}"
    elif not file.parent.is_dir():
        problem = "the folder does not exist. Create it first"
    elif file.exists() and any(one.exists() and file.samefile(one) for one in sources):
        problem = "this is an input. Choose another name"
    elif file.exists() and not overwrite:
        problem = "the file exists. Add --overwrite to replace it"
    if problem:
        raise typer.BadParameter(f"{shown(file)}: {problem}.", param_hint=option)


def _plain(hint: Any) -> Any:  # noqa: ANN401 - types have none
    """Return the type of a value on the command line: text, where a field also takes objects."""
    return hint if set(get_args(hint)) <= _PLAIN else str
