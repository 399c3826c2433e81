"""The types of the options of `anchorloc doctor`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from rich.console import Console

from anchorloc.doctor.rules import Rule
from anchorloc.doctor.terminal import print_rules
from anchorloc.text import did_you_mean

MAX_FOLDS = 100


class PrintRules(argparse.Action):
    """Print the rules and exit, as --help does."""

    def __init__(self, option_strings: Sequence[str], dest: str, help: str | None = None) -> None:
        super().__init__(option_strings, dest, nargs=0, default=argparse.SUPPRESS, help=help)

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        print_rules(Console(highlight=False))
        parser.exit()


def rules_of(text: str) -> tuple[str, ...]:
    """Read an option that is a list of rules, separated by commas."""
    keys = {rule.key for rule in Rule}
    words = tuple(word.strip() for word in text.split(",") if word.strip())
    if unknown := [word for word in words if word not in keys]:
        raise argparse.ArgumentTypeError(f"{unknown[0]!r} is not a rule; {did_you_mean(unknown[0], sorted(keys))}")
    return words


def folds(text: str) -> int:
    """Read an option that is a number of folds."""
    if not text.isdecimal() or not 2 <= int(text) <= MAX_FOLDS:
        raise argparse.ArgumentTypeError(f"need a whole number from 2 to {MAX_FOLDS}, got {text!r}")
    return int(text)
