"""The one error a user can cause, and how a command tells it."""

from __future__ import annotations

import errno
import io
import os
import sys
import unicodedata
from collections.abc import Callable, Sequence

_JOINERS = "\u200c\u200d"  # Persian words and family emoji need them


UNWRITABLE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}


class InputError(ValueError):
    """A mistake in data, config or command line, told in one sentence that names the file, the item and the value.

    Commands print the sentence and exit with status 2; every other exception is a bug of ours.
    """


def run_command(command: Callable[[Sequence[str] | None], int], argv: Sequence[str] | None = None) -> int:
    """Run the `main` of a command and return its exit status, with no traceback for what is not a bug.

    An InputError is one line on stderr and status 2, as is what the system refuses, such as output to a full disk.
    Ctrl-C is 130, a closed pipe (`| head`) is a quiet 141. A terminal that cannot show a character gets an escape.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        status = command(argv)
        if sys.stdout is not None:  # as it is where the shell has closed it (`>&-`)
            sys.stdout.flush()
    except InputError as error:
        print(f"error: {printable(str(error))}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        _drop_output()
        return 141
    except OSError as error:
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


def _drop_output() -> None:
    """Let what stdout could not take go nowhere, or the flush at exit would complain."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def printable(text: str) -> str:
    r"""Replace what could steer a terminal or turn a line around (control, bidi, lone surrogate) by its escape.

    >>> printable("red\x1b[2J\u202e")
    'red\\x1b[2J\\u202e'
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(_escape(character) if _steers(character) else character for character in text)


def _steers(character: str) -> bool:
    category = unicodedata.category(character)
    tag = "\U000e0020" <= character <= "\U000e007f"  # spells the flags of regions
    return category in ("Cc", "Zl", "Zp", "Cs") or (category == "Cf" and character not in _JOINERS and not tag)


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
