"""The changes that benchmarks.mutation tries are valid Python, and each is one."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from benchmarks.mutation import PARTS, ROOT, WORDS, drawn, mutants_of, rows_of

PATTERNS = [pattern for part in PARTS.values() for pattern in part]
FILES = [file for pattern in PATTERNS for file in sorted(ROOT.glob(pattern)) if file.name not in WORDS]


@pytest.mark.parametrize("part", PARTS)
def test_a_mutant_is_another_program(part: str) -> None:
    for mutant in drawn(part, 60, 0):
        source = mutant.file.read_text(encoding="utf-8")
        assert source.startswith(mutant.before, mutant.start)
        assert source.count("\n", 0, mutant.start) + 1 == mutant.line
        assert ast.dump(ast.parse(mutant.apply(source))) != ast.dump(ast.parse(source)), mutant


@pytest.mark.parametrize("file", FILES, ids=lambda path: path.name)
def test_rows_tell_mutants_apart(file: Path) -> None:
    rows = [tuple(mutant.row.items()) for mutant in mutants_of(file, "")]
    assert len(set(rows)) == len(rows)


def test_a_table_is_read_by_mutant(tmp_path: Path) -> None:
    table = tmp_path / "mutation.csv"
    assert rows_of(table) == {}
    table.write_text(
        '# command: python\nfile,line,becomes,noticed,reason\na.py,3,"f(1, 2)",no,slower\n', encoding="utf-8"
    )
    row = {"file": "a.py", "line": "3", "becomes": "f(1, 2)", "noticed": "no", "reason": "slower"}
    assert rows_of(table) == {("a.py", "3", "f(1, 2)"): row}


def test_a_draw_depends_on_the_seed_alone() -> None:
    first = drawn("mends", 20, 0)
    assert first == drawn("mends", 30, 0)[:20]
    assert first != drawn("mends", 20, 1)


def test_each_kind_of_change_is_found(tmp_path: Path) -> None:
    file = tmp_path / "code.py"
    code = (
        "@dataclass(frozen=1)",
        "class C:",
        "    z: A | B",
        "    def f(x: int = 3) -> int:",
        '        """1 + 1"""',
        "        y: int = x + 2",
        "        x += ~y | y",
        "        z = (A | None, [x for x in y if x], y.any())",
        "        if x is not y and not x: print(y not in x)",
        "        return min(y, 1) if x < y and y else -x * 2",
    )
    file.write_text("\n".join(code), encoding="utf-8")
    assert sorted((mutant.line, mutant.before, mutant.after) for mutant in mutants_of(file, "")) == [
        (6, "+", "-"),
        (6, "2", "3"),
        (7, "+", "-"),
        (7, "|", "&"),
        (7, "~y", "(y)"),
        (8, "any", "all"),
        (8, "x", "(not (x))"),
        (9, "and", "or"),
        (9, "is not", "is"),
        (9, "not in", "in"),
        (9, "not x", "(x)"),
        (9, "print(y not in x)", "None and print(y not in x)"),
        (9, "x is not y and not x", "(not (x is not y and (not x)))"),
        (10, "*", "/"),
        (10, "1", "2"),
        (10, "2", "3"),
        (10, "<", "<="),
        (10, "and", "or"),
        (10, "min", "max"),
        (10, "x < y and y", "(not (x < y and y))"),
    ]
