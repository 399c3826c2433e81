"""The command line: words, option types and exit statuses."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from anchorloc import cli
from anchorloc.__main__ import COMMANDS, main
from anchorloc.cli import (
    command_parser,
    non_negative_int,
    positive_float,
    positive_fraction,
    positive_int,
    run_command,
    split_words,
    warn,
    wrap_help,
)
from anchorloc.errors import InputError


def test_words_are_paths_or_overrides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.b=c.png").touch()
    words = ["config.yaml", "data.root=x=y", "a.b=c.png", "./a=b", "train.seed=", "x" * 5000, "detector.head={a: 1}"]
    paths, overrides = split_words(words)
    assert overrides == ["data.root=x=y", "train.seed=", "detector.head={a: 1}"]
    assert paths == [Path("config.yaml"), Path("a.b=c.png"), Path("./a=b"), Path("x" * 5000)]
    assert split_words([]) == ([], [])


@pytest.mark.parametrize(
    ("read", "good", "bad"),
    [
        (non_negative_int, {"0": 0, "12": 12}, ["-1", "1.5", "x", "", "1" * 10]),
        (positive_int, {"1": 1, "12": 12}, ["0", "-1", "1.5", "x", ""]),
        (positive_float, {"0.5": 0.5, "1e3": 1000.0}, ["0", "-1", "nan", "inf", "x"]),
        (positive_fraction, {"0.5": 0.5, "1": 1.0}, ["0", "1.01", "-1", "nan", "x"]),
    ],
)
def test_option_types(read: Callable[[str], float], good: dict[str, float], bad: Sequence[str]) -> None:
    assert {text: read(text) for text in good} == good
    for text in bad:
        with pytest.raises(argparse.ArgumentTypeError, match=r"^need a .*, got "):
            read(text)


def raising(error: BaseException) -> Callable[[Sequence[str] | None], int]:
    def command(_: Sequence[str] | None) -> int:
        raise error

    return command


@pytest.mark.parametrize(
    ("error", "status", "words"),
    [
        (InputError("bad \x1b[2J"), 2, "error: bad \\x1b[2J\n"),
        (FileNotFoundError(2, "No such file", "a.txt"), 2, "error: 'a.txt' cannot be used: No such file\n"),
        (KeyboardInterrupt(), 130, "interrupted\n"),
    ],
)
def test_mistakes_are_one_line(
    error: BaseException, status: int, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command(raising(error), []) == status
    assert capsys.readouterr().err == words


def test_bugs_keep_their_traceback_and_commands_their_status() -> None:
    with pytest.raises(KeyError):
        run_command(raising(KeyError("x")), [])
    with pytest.raises(OSError, match="odd"):
        run_command(raising(OSError(1, "odd")), [])
    with pytest.raises(OSError, match="Invalid argument"):
        run_command(raising(OSError(22, "Invalid argument")), [])
    assert run_command(lambda argv: len(argv or ()), ["a", "b"]) == 2


def test_output_that_nobody_reads_is_no_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Windows has another error for it."""
    monkeypatch.setattr(cli, "_drop_output", lambda: None)
    assert run_command(raising(BrokenPipeError(32, "Broken pipe")), []) == 141
    with monkeypatch.context() as patch:
        patch.setattr(os, "name", "nt")
        status = run_command(raising(OSError(22, "Invalid argument")), [])
    assert (status, capsys.readouterr().err) == (141, "")


def test_a_table_that_nobody_reads_is_no_finding(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Rich ends the program with status 1, which the doctor has for errors in the data."""
    monkeypatch.setattr(cli, "_drop_output", lambda: None)

    def prints(_: object) -> int:
        try:
            raise BrokenPipeError(32, "Broken pipe")
        except BrokenPipeError:
            raise SystemExit(1)  # noqa: B904 as rich.console.Console.on_broken_pipe

    assert (run_command(prints, []), capsys.readouterr().err) == (141, "")
    with pytest.raises(SystemExit):
        run_command(raising(SystemExit(2)), [])


def test_help_wraps_paragraphs_and_keeps_commands() -> None:
    text = "One two three four.\n\n    anchorloc lab report CONFIG\n    anchorloc lab fit\n\nFive\nsix.\n"
    assert wrap_help(text, 12) == (
        "One two\nthree four.\n\n    anchorloc lab report CONFIG\n    anchorloc lab fit\n\nFive six."
    )


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_no_help_is_wider_than_80_columns(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    with suppress(SystemExit):
        main([name, "--help"])
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 79


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--lst"], "unknown option --lst; did you mean --list?"),
        (["--lst=3"], "unknown option --lst; did you mean --list?"),
        (["--zzz"], "unknown option --zzz; anchorloc lab --help lists the options"),
        (["stray"], "unexpected argument stray; anchorloc lab --help lists the options"),
        (["--list", "x"], "argument --list: need a whole number from 1, got 'x'"),
        (["--list"], "argument --list: expected one argument"),
    ],
)
def test_a_wrong_option_is_one_line(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    parser = command_parser("lab", None)
    parser.add_argument("--list", type=positive_int)
    with pytest.raises(SystemExit) as caught:
        parser.parse_args(words)
    assert caught.value.code == 2
    assert capsys.readouterr().err == f"error: {message}\n"


@pytest.mark.parametrize("words", [["--train-images", "-3"], ["--val-images", "0"], ["--size", "x"], ["--seed", "-1"]])
def test_shapes_refuses_numbers_out_of_range(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["shapes", str(tmp_path / "out"), *words])
    assert capsys.readouterr().err.startswith(f"error: argument {words[0]}: need a whole number from ")
    assert not (tmp_path / "out").exists()


def test_a_parser_is_named_after_its_command(capsys: pytest.CaptureFixture[str]) -> None:
    parser = command_parser("lab", "First.\n\n    as written")
    assert parser.format_usage().startswith("usage: anchorloc lab ")
    assert "\n    as written" in parser.format_help()
    warn("a\x07b")
    assert capsys.readouterr().err == "warning: a\\x07b\n"
