"""Text helpers: what they show, and what they never let through."""

from __future__ import annotations

import doctest

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from anchorloc import text
from anchorloc.text import csv_cell, did_you_mean, first_few, json_type, percent, plural, printable, shorten


def test_the_examples_of_the_docstrings() -> None:
    failed, tried = doctest.testmod(text)
    assert (failed, tried > 5) == (0, True)


@given(st.text(st.characters(exclude_categories=()), max_size=20))
@example("red\x1b[2J\r\n\u202e\x00\ud800\x9b2J\x7f")
def test_no_text_steers_a_terminal(name: str) -> None:
    shown = printable(name)
    assert not {"\x1b", "\x9b", "\n", "\r", "\u202e", "\x00", "\x7f"} & set(shown)
    assert printable(shown) == shown
    shown.encode("utf-8")  # no lone surrogates


@given(st.text(), st.integers(2, 100))
def test_a_short_name_has_a_greatest_length(name: str, longest: int) -> None:
    shown = shorten(name, longest)
    assert len(shown) <= longest
    assert shown == printable(name) or shown.endswith("…")


@given(st.floats(0, 1))
def test_only_one_is_100_percent_and_only_zero_is_0(fraction: float) -> None:
    assert (percent(fraction) == "100%") == (fraction == 1)
    assert (percent(fraction) == "0%") == (fraction == 0)


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_a_spreadsheet_runs_no_cell(start: str) -> None:
    cell = csv_cell(f"{start}cmd")
    assert isinstance(cell, str)
    assert not cell.startswith(("=", "+", "-", "@", "\t", "\r"))


def test_cells_keep_their_values() -> None:
    assert [csv_cell(value) for value in ("dog", 3, None, 0.123456789)] == ["dog", 3, None, "0.123457"]


@pytest.mark.parametrize(
    ("noun", "expected"), [("box", "boxes"), ("class", "classes"), ("category", "categories"), ("image", "images")]
)
def test_plurals(noun: str, expected: str) -> None:
    assert plural(noun) == expected


def test_lists_are_cut_and_suggestions_are_near() -> None:
    assert first_few([]) == ""
    assert first_few(list("abcdef")) == "a, b, c, d, e and 1 more"
    assert did_you_mean("zzz", ["train", "val"]) == "known here: train, val"
    values: list[object] = [[], "", True, None, 0]
    assert list(map(json_type, values)) == ["a list", "a string", "true or false", "null", "a number"]
