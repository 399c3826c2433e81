"""The command line: words to files and overrides, option types, and exit statuses."""

from __future__ import annotations

import argparse
import errno
import io
import os
import re
import shutil
import sys
import textwrap
from collections.abc import Callable, Sequence
from itertools import groupby
from pathlib import Path
from typing import NoReturn

from anchorloc.errors import InputError
from anchorloc.files import exists, refuse_missing
from anchorloc.startup import prepare_process
from anchorloc.text import nearest, printable

UNWRITABLE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}
_UNRECOGNIZED = "unrecognized arguments: "  # argparse's words
_OUT_OF_MEMORY = re.compile(r"out of memory|allocate memory|bad_alloc|bad allocation", re.IGNORECASE)
_KEY = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+(?<!\.yaml)(?<!\.yml)(?<!\.json)")
_OVERRIDE = re.compile(r"\w[\w-]*(\.\w[\w-]*)*=")


def run_command(command: Callable[[Sequence[str] | None], int], argv: Sequence[str] | None = None) -> int:
    """Run the `main` of a command and return its exit status, without a traceback for a mistake of the user.

    An InputError, memory that runs out, or a refusal of the system such as a full disk, is one line on stderr and
    status 2. Ctrl-C is 130; a closed pipe (`| head`) is a quiet 141. A character that the terminal cannot show is
    written as an escape.

    Without `argv` the command has the process for itself, and sets threads and memory before torch is loaded.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    if argv is None:
        for sentence in prepare_process():
            warn(sentence)
    try:
        status = command(argv)
        if sys.stdout is not None:  # None where the shell has closed it (`>&-`)
            sys.stdout.flush()
    except InputError as error:
        print(f"error: {printable(str(error))}", file=sys.stderr)
        return 2
    except (MemoryError, RuntimeError) as error:
        if not isinstance(error, MemoryError) and not _OUT_OF_MEMORY.search(str(error)):
            raise
        reason = (str(error).splitlines() or [""])[0]
        what = f"memory ran out ({reason})" if reason else "memory ran out"
        print(f"error: {printable(what)}; end other programs, or give fewer or smaller files", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except SystemExit as error:
        if isinstance(error.__context__, BrokenPipeError):  # rich exits with status 1, as for findings of the doctor
            _drop_output()
            return 141
        raise
    except OSError as error:
        if _is_closed_pipe(error):
            _drop_output()
            return 141
        if error.filename is not None:
            what = f"{error.filename!r} cannot be used"
        elif error.errno in UNWRITABLE:  # writes to files name theirs
            what = "the output cannot be written"
            _drop_output()
        else:
            raise
        print(f"error: {printable(what)}: {error.strerror}", file=sys.stderr)
        return 2
    return status


def command_parser(name: str, description: str | None) -> argparse.ArgumentParser:
    """Return the parser of `anchorloc NAME`, which keeps the indented lines of the description as they are."""
    return _Parser(prog=f"anchorloc {name}", description=description, formatter_class=_HelpFormatter)


def add_allow_import(parser: argparse.ArgumentParser) -> None:
    """Add the option that lets settings name Python code of the user's own."""
    parser.add_argument(
        "--allow-import",
        action="store_true",
        help="import the Python code of your own that settings name as kind: package.module.Class",
    )


def wrap_help(text: str, width: int) -> str:
    """Wrap the paragraphs of a help text to `width`; indented lines, which hold commands, stay as they are."""
    blocks = groupby(text.strip().splitlines(), key=lambda line: bool(line) and not line.startswith(" "))
    return "\n".join(
        textwrap.fill(" ".join(lines), width, break_long_words=False, break_on_hyphens=False)
        if is_paragraph
        else "\n".join(lines)
        for is_paragraph, lines in blocks
    )


def help_width() -> int:
    """Return the width of help texts: two columns less than the terminal, as in argparse."""
    return shutil.get_terminal_size().columns - 2


class _HelpFormatter(argparse.RawDescriptionHelpFormatter):
    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return wrap_help(text, width)


class _Parser(argparse.ArgumentParser):
    """Reports a mistake in one line, without the usage, and suggests the option that an unknown one resembles."""

    def error(self, message: str) -> NoReturn:
        words = message.removeprefix(_UNRECOGNIZED).split(" ")
        if message.startswith(_UNRECOGNIZED):
            option = next((word.partition("=")[0] for word in words if word.startswith("-")), None)
            known = [name for name in self._option_string_actions if name.startswith("--")]
            close = None if option is None else nearest(option, known)
            hint = f"did you mean {close}?" if close else f"{self.prog} --help lists the options"
            what = f"unexpected argument {words[0]}" if option is None else f"unknown option {option}"
            message = f"{what}; {hint}"
        self.exit(2, f"error: {printable(message)}\n")


def split_words(words: Sequence[str]) -> tuple[list[Path], list[str]]:
    """Split the words of a command line into paths and `key=value` overrides; an existing path is never an override."""
    overrides = [word for word in words if _OVERRIDE.match(word) and not exists(word)]
    return [Path(word) for word in words if word not in overrides], overrides


def split_settings(words: Sequence[str]) -> tuple[Path | None, list[str]]:
    """Return the path of the data or of the config, if there is one, and the `key=value` overrides.

    Raises:
        InputError: there is more than one file, or it is missing, or a key has no value.
    """
    files, overrides = split_words(words)
    for file in files:
        if _KEY.fullmatch(str(file)) and not exists(str(file)):
            raise InputError(f"{file} is neither a file nor an override; write {file}=VALUE")
    if len(files) > 1:
        raise InputError(
            f"give one data set or config, got {' and '.join(map(str, files))}; write overrides as key=value"
        )
    if files and not files[0].is_dir():
        refuse_missing(files[0])
    return (files[0] if files else None), overrides


def warn(sentence: str) -> None:
    """Print a warning on stderr."""
    print(f"warning: {printable(sentence)}", file=sys.stderr)


def non_negative_int(text: str) -> int:
    """Read an option that is a whole number from 0."""
    if not text.isdecimal() or len(text) > 9:
        raise argparse.ArgumentTypeError(f"need a whole number from 0, got {text!r}")
    return int(text)


def positive_int(text: str) -> int:
    """Read an option that is a whole number from 1."""
    if not text.isdecimal() or len(text) > 9 or not int(text):
        raise argparse.ArgumentTypeError(f"need a whole number from 1, got {text!r}")
    return int(text)


def positive_float(text: str) -> float:
    """Read an option that is a number above 0."""
    value = _as_float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"need a number above 0, got {text!r}")
    return value


def positive_fraction(text: str) -> float:
    """Read an option that is above 0 and at most 1."""
    value = _as_float(text)
    if not 0 < value <= 1:
        raise argparse.ArgumentTypeError(f"need a number above 0 and up to 1, got {text!r}")
    return value


def fraction(text: str) -> float:
    """Read an option that is from 0 to 1."""
    value = _as_float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"need a number from 0 to 1, got {text!r}")
    return value


def fractions(text: str) -> list[float]:
    """Read an option that is a list of numbers above 0 and at most 1, separated by commas."""
    return [positive_fraction(part) for part in text.split(",")]


def add_scoring_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `anchorloc evaluate` on what counts."""
    counting = parser.add_argument_group("what counts; the report names each choice")
    counting.add_argument("--class-agnostic", action="store_true", help="count all classes as one")
    counting.add_argument(
        "--subset",
        metavar="WHICH",
        help="score only the images that a file lists by file name or id, one a line; or START:STOP or START:STOP:STEP "
        "of all images, as in Python",
    )
    counting.add_argument(
        "--iou-thresholds",
        type=fractions,
        metavar="A,B,...",
        help="IoU thresholds that AP and AR are means over (default: 0.50 to 0.95 in steps of 0.05)",
    )
    counting.add_argument(
        "--size-borders",
        type=positive_float,
        nargs=2,
        metavar=("A", "B"),
        help="square roots of the areas between small, medium and large boxes, in px (default: 32 96)",
    )
    add_grouping(counting, "draw images together for the intervals, such as the frames of a video,")


def add_grouping(parser: argparse.ArgumentParser | argparse._ArgumentGroup, effect: str, *names: str) -> None:
    """Add --group-by and --group-by-name.

    Args:
        effect: what they do with images, as the start of their help.
        names: other names of --group-by.
    """
    group = parser.add_mutually_exclusive_group()
    group.add_argument(
        "--group-by",
        *names,
        metavar="KEY",
        help=f"{effect} if their entries in the COCO file have the same value of KEY",
    )
    group.add_argument(
        "--group-by-name",
        metavar="REGEX",
        help=f"{effect} if the capture group of REGEX matches the same text of file_name",
    )


def _as_float(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")


def _is_closed_pipe(error: OSError) -> bool:
    """Return whether nobody reads the output any more; Windows calls that an invalid argument."""
    on_windows = os.name == "nt" and error.errno == errno.EINVAL and error.filename is None
    return isinstance(error, BrokenPipeError) or on_windows


def _drop_output() -> None:
    """Redirect stdout to /dev/null, so that the flush at exit succeeds."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
