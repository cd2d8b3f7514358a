"""The command ``facial-expressions``: its verbs, exit codes and logging.

This is the one place where an error becomes text. A verb is a file beside this one that holds
either a function ``command`` or, when it has verbs of its own, a Typer application ``app``; at its
top it imports Typer and the standard library only, so that ``--help`` stays quick.

Results go to stdout, all else to stderr. The exit codes are listed in ``docs/cli.md``.
"""

from __future__ import annotations

import importlib
import logging
import os
import re
import sys
import traceback
from collections.abc import Iterable, Sequence
from types import ModuleType
from typing import Annotated, Any, Final, Literal, cast

import typer
from typer import Option
from typer.core import TyperGroup
from typer.exceptions import TyperException

from facial_expressions import errors
from facial_expressions.cli.stop_signals import explain_stop, stop_in_order
from facial_expressions.cli.streams import harmless_streams
from facial_expressions.plain_text import short_words

VERBS: Final = {
    "predict": "predict photo.jpg --draw marked.png",
    "batch": "batch photos rows --resume",
    "video": "video clip.mp4 --out rows.jsonl --out marked.mp4 --smooth 0.5",
    "serve": "serve --port 8000",
    "train": "train recipes/standardized-cnn.toml --data archive.zip --out runs/mine",
    "average": "average runs/first runs/second --data archive.zip --out runs/average",
    "evaluate": "evaluate standardized-cnn --data archive.zip --split test --out report",
    "compare": "compare report report-tta",
    "export": "export runs/mine --out mine.onnx",
    "models": "models list",
    "data": "data audit archive.zip",
}
"""The verbs, each the name of a file beside this one, with the example that ends its help."""

PROGRAM: Final = "facial-expressions"
LOG_LEVEL_VARIABLE: Final = "FACIAL_EXPRESSIONS_LOG_LEVEL"
_PYDANTIC: Final = re.compile(r"Value error, |, unable to parse string as an? \w+")
"""What Typer's messages repeat of the library that checks values."""

_VALUES: Final = {
    "<int>": "N", "<int range>": "N", "<float range>": "X", "<path>": "PATH",
}  # fmt: skip
"""What the help calls values of each of Typer's types; a text is called after its option."""

_PACKAGES: Final = (
    "numpy", "pillow", "onnxruntime", "typer", "rich", "scikit-learn", "matplotlib", "keras",
    "tensorflow", "tensorflow-cpu", "torch", "jax", "onnx",
)  # fmt: skip
_EXIT_CODES: Final = {
    errors.RecipeError: 2, errors.BatchError: 2, errors.ModelError: 3, errors.CheckpointError: 3,
    errors.StorageError: 4, errors.CameraError: 4, errors.MissingExtraError: 4,
}  # fmt: skip
_INPUT_FAILED = 1
_USAGE = 2
_ENVIRONMENT = 4
_INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: Words after the program's name; None takes them from the command line.

    Returns:
        The exit code.

    Examples:
        >>> main(["--version"])  # doctest: +ELLIPSIS
        facial-expressions ...
        0
    """
    with harmless_streams():
        return _exit_code(arguments)


def _exit_code(arguments: Sequence[str] | None) -> int:
    """Run the command line, and say what went wrong."""
    try:
        with stop_in_order():
            code = _run(arguments)
            sys.stdout.flush()
    except errors.FacialExpressionsError as error:
        return _explain(error, _EXIT_CODES.get(type(error), _INPUT_FAILED))
    except BrokenPipeError:
        return _INPUT_FAILED
    except OSError as error:
        return _explain(_in_words(error), _ENVIRONMENT)
    except KeyboardInterrupt:
        code = _INTERRUPTED
    except Exception:  # noqa: BLE001 - the outermost frame: whatever arrives here is a bug to report
        return _report_bug()
    return explain_stop(code)


def build_app(verbs: Iterable[str] = VERBS) -> typer.Typer:
    """Build the Typer application, and these verbs; the others are when they are asked for."""
    app = typer.Typer(
        name=PROGRAM,
        cls=_Verbs,
        help="Recognise facial expressions in photos, folders, videos and live camera; train, "
        "measure and export the networks.",
        epilog=f"'{PROGRAM} photo.jpg' runs predict. Example: {PROGRAM} {VERBS['predict']}",
        context_settings={"help_option_names": ["-h", "--help"]},
        invoke_without_command=True,
        rich_markup_mode=None,
        callback=_common_options,
    )
    for verb in verbs:
        module, epilog = _module_of(verb), f"Example: {PROGRAM} {VERBS[verb]}"
        if hasattr(module, "app"):
            app.add_typer(module.app, name=verb, epilog=epilog)
        else:
            app.command(name=verb, epilog=epilog)(module.command)
    return app


def _module_of(verb: str) -> ModuleType:
    return importlib.import_module(f"facial_expressions.cli.{verb}")


class _Verbs(TyperGroup):
    """The verbs, and ``predict`` for a first word that is not a verb but a file or an address.

    A verb is built when it is asked for; the list in the help takes no more than its docstring.
    """

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ANN401 - Typer's own
        """Name the verbs."""
        return list(VERBS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ANN401 - Typer's own
        """Build a verb, once."""
        if cmd_name in VERBS and cmd_name not in self.commands:
            built = cast("TyperGroup", typer.main.get_command(build_app([cmd_name])))
            _name_values(built.commands[cmd_name], ctx)
            self.commands.update(built.commands)
        return self.commands.get(cmd_name)

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401 - Typer's own
        """Write the list of verbs, each with the first sentence of its help."""
        modules = {verb: _module_of(verb) for verb in VERBS}
        told = {
            verb: module.app.info.help if hasattr(module, "app") else module.command.__doc__
            for verb, module in modules.items()
        }
        with formatter.section("Commands"):
            formatter.write_dl([(verb, text.partition(".")[0]) for verb, text in told.items()])

    def invoke(self, ctx: Any) -> Any:  # noqa: ANN401 - Typer's own
        """Run a verb; on wrong usage shorten long values, and say what is wrong in our words."""
        try:
            return super().invoke(ctx)
        except TyperException as error:
            if isinstance(message := vars(error).get("message"), str):
                plain = _PYDANTIC.sub("", message).replace("Input should be", "must be")
                vars(error)["message"] = short_words(plain)
            raise

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:  # noqa: ANN401 - Typer's own
        """Find the verb of some words."""
        word = args[0]
        looks_like_input = "." in word or "/" in word or word == "-"
        if word not in VERBS and (looks_like_input or os.path.lexists(word)):
            args = ["predict", *args]
        elif word not in VERBS:
            for verb in VERBS:  # the message suggests the nearest
                self.get_command(ctx, verb)
        return super().resolve_command(ctx, args)


def _name_values(command: Any, ctx: Any) -> None:  # noqa: ANN401 - Typer's own
    """Have the help of a verb call its values PATH or N, where Typer names types of Python."""
    for inner in getattr(command, "commands", {}).values():
        _name_values(inner, ctx)
    for one in command.params:
        kind = one.display_type(ctx)
        if one.param_type_name == "argument":
            name = one.display_name_raw + "..." * (one.nargs != 1)
            usage = name if one.required else f"[{name}]"
            one.get_usage_pieces = lambda _, usage=usage: [usage]
            one.display_type_rich = lambda ctx: ""
        elif one.metavar is None and kind in _VALUES:
            one.metavar = _VALUES[kind]
        elif one.metavar is None and kind in ("<str>", "<list[str]>"):
            one.metavar = one.name.upper()


def _common_options(
    context: typer.Context,
    *,
    version: Annotated[bool, Option("--version", help="Print the version and exit.")] = False,
    verbose: Annotated[
        bool, Option("-v", "--verbose", help="With --version: add details for a bug report.")
    ] = False,
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"],
        Option(help="Minimum log level.", envvar=LOG_LEVEL_VARIABLE),
    ] = "warning",
) -> None:
    _configure_logging(log_level)
    if version:
        from importlib.metadata import version as installed

        print(f"{PROGRAM} {installed(PROGRAM)}")
        if verbose:
            _describe_installation()
        raise typer.Exit
    if context.invoked_subcommand is None:
        print(context.get_help(), file=sys.stderr)
        raise typer.Exit(_USAGE)


def _describe_installation() -> None:
    """Print what a maintainer asks in a bug report."""
    import platform

    from facial_expressions.data.cache import cache_folder
    from facial_expressions.evaluation.provenance import installed_version
    from facial_expressions.inference.runtime import available_providers

    print(f"python {platform.python_version()} on {platform.platform()}")
    for name in _PACKAGES:
        print(name, installed_version(name) or "not installed")
    print("providers", ", ".join(available_providers()))
    print("cache folder", cache_folder())


def _run(arguments: Sequence[str] | None) -> int:
    command = typer.main.get_command(build_app(()))
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:  # the verbs find the words in their context
        command.main(None if arguments is None else words, prog_name=PROGRAM, obj=words)
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    return 0


def _configure_logging(level: str) -> None:
    logging.basicConfig(format="%(levelname)s: %(message)s", stream=sys.stderr)
    logging.getLogger("facial_expressions").setLevel(level.upper())
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # a cache that cannot be kept


def _in_words(error: OSError) -> str:
    """Say what the system refused, without its numbers; an error of our own has its sentence."""
    if error.errno is None:
        return str(error)
    from facial_expressions.files import reason_of

    name = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else "the system"
    return f"{name}: {reason_of(error)}"


def _explain(error: Exception | str, code: int) -> int:
    text = " ".join(str(error).split()) or type(error).__name__
    print(f"{PROGRAM}: {short_words(text)}", file=sys.stderr)
    return code


def _report_bug() -> int:
    traceback.print_exc()
    print(
        f"{PROGRAM}: this is a bug; please report it with the lines above "
        f"and what '{PROGRAM} --version -v' prints",
        file=sys.stderr,
    )
    return _INPUT_FAILED
