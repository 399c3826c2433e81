"""The changes that benchmarks.mutation tries are valid Python, and each is one."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from benchmarks.mutation import ROOT, TESTS, WORDS, mutants_of, noticed_before

FILES = [file for pattern in TESTS for file in sorted(ROOT.glob(pattern)) if file.name not in WORDS]


@pytest.mark.parametrize("file", FILES, ids=lambda path: path.name)
def test_every_mutant_is_another_program(file: Path) -> None:
    source = file.read_text(encoding="utf-8")
    tree = ast.dump(ast.parse(source))
    for mutant in mutants_of(file, ""):
        changed = mutant.apply(source)
        assert source.startswith(mutant.before, mutant.start)
        assert source.count("\n", 0, mutant.start) + 1 >= mutant.line
        assert ast.dump(ast.parse(changed)) != tree, mutant


@pytest.mark.parametrize("file", FILES, ids=lambda path: path.name)
def test_rows_tell_mutants_apart(file: Path) -> None:
    rows = [tuple(mutant.row.items()) for mutant in mutants_of(file, "")]
    assert len(set(rows)) == len(rows)


def test_those_noticed_are_read_from_the_table(tmp_path: Path) -> None:
    table = tmp_path / "mutation.csv"
    table.write_text('# command: python\nfile,line,becomes,noticed\na.py,3,"f(1, 2)",yes\na.py,4,x = 2,no\n')
    assert noticed_before(table) == [{"file": "a.py", "line": "3", "becomes": "f(1, 2)"}]


def test_each_kind_of_change_is_found(tmp_path: Path) -> None:
    file = tmp_path / "code.py"
    code = (
        "def f(x: int = 3) -> int:",
        '    """1 + 1"""',
        "    y: int = x + 2",
        "    return min(y, 1) if x < y and y else -x * 2",
    )
    file.write_text("\n".join(code), encoding="utf-8")
    assert sorted((mutant.line, mutant.before, mutant.after) for mutant in mutants_of(file, "")) == [
        (3, "+", "-"),
        (3, "2", "3"),
        (4, "*", "/"),
        (4, "1", "2"),
        (4, "2", "3"),
        (4, "<", "<="),
        (4, "and", "or"),
        (4, "min", "max"),
        (4, "x < y and y", "(not (x < y and y))"),
    ]
