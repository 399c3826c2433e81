"""Mutate the box, anchor, matching and coder code, and count how many mutants the tests notice.

    python -m benchmarks.mutation --mutants 100        # about 30 minutes of one core

A mutant changes one operator, condition or number of one line in a copy of the project; a seed draws mutants from all
possible ones. The tests of the mutant's package run until the first failure, the tests of its file first, and property
tests with few examples. A mutant whose tests take far more CPU time than usual counts as noticed. Surviving mutants are
listed with their lines: a test is missing, or the mutant changes no result (a window one cell wider is slower, not
wrong). The table is written after each mutant. After tests were added, or a run was stopped, `--again` keeps the
noticed mutants of the table and tries the others.
"""

from __future__ import annotations

import ast
import csv
import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.timing import RESULTS, recording_parser, save_table

ROOT = Path(__file__).resolve().parents[1]
TESTS = {
    "anchorloc/boxes/*.py": "tests/boxes anchorloc/boxes",
    "anchorloc/anchors/*.py": "tests/anchors",
    "anchorloc/assign/*.py": "tests/assign",
    "anchorloc/detector/coder.py": "tests/detector/test_detector.py",
}
PROFILE = "few-examples"  # a profile in tests/conftest.py
SLOW = "worker_processes or cache_folder or comes_with"  # tests that start Python again and compile anew
WORDS = {"checks.py", "jit.py", "__init__.py"}  # error messages, and how to compile
CHANGES: dict[type[ast.AST], tuple[str, str]] = {
    ast.Lt: ("<", "<="),
    ast.LtE: ("<=", "<"),
    ast.Gt: (">", ">="),
    ast.GtE: (">=", ">"),
    ast.Eq: ("==", "!="),
    ast.NotEq: ("!=", "=="),
    ast.Add: ("+", "-"),
    ast.Sub: ("-", "+"),
    ast.Mult: ("*", "/"),
    ast.Div: ("/", "*"),
    ast.FloorDiv: ("//", "*"),
    ast.And: ("and", "or"),
    ast.Or: ("or", "and"),
}
Row = dict[str, str]


@dataclass(frozen=True)
class Mutant:
    """A change of a file: `before` at an offset becomes `after`."""

    file: Path
    tests: str
    line: int
    start: int
    before: str
    after: str

    def apply(self, source: str) -> str:
        """Return the changed source."""
        return source[: self.start] + self.after + source[self.start + len(self.before) :]

    @property
    def row(self) -> Row:
        """Return what identifies it: its file, its line, and the changed line."""
        lines = self.apply(self.file.read_text(encoding="utf-8")).splitlines()
        name = self.file.relative_to(ROOT).as_posix()
        return {"file": name, "line": str(self.line), "becomes": lines[self.line - 1].strip()}


def mutants_of(file: Path, tests: str) -> list[Mutant]:
    """Return every possible mutant of a file."""
    source = file.read_text(encoding="utf-8")
    if not source.isascii():
        source = source.encode("ascii", "replace").decode()  # columns are in bytes; only prose is not ASCII
    starts = [0]
    for line in source.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    found: list[Mutant] = []

    def offset(node: ast.expr, end: bool = False) -> int:
        line, column = (node.end_lineno, node.end_col_offset) if end else (node.lineno, node.col_offset)
        return starts[(line or 1) - 1] + (column or 0)

    for node, operator, left, right in operations(ast.parse(source)):
        if operator is None:
            before = source[offset(node) : offset(node, end=True)]
            found.append(Mutant(file, tests, node.lineno, offset(node), before, str(right)))
        elif isinstance(left, ast.expr) and isinstance(right, ast.expr):
            before, after = CHANGES[operator]
            start = source.find(before, offset(left, end=True), offset(right))
            found.append(Mutant(file, tests, node.lineno, start, before, after))
    return found


def operations(tree: ast.AST) -> Iterator[tuple[ast.expr, type[ast.AST] | None, object, object]]:
    """Yield what can be changed: (node, operator, left, right), or (node, None, None, replacement)."""
    for node in code_of(tree):
        if isinstance(node, ast.Compare) and type(node.ops[0]) in CHANGES:
            for operator, left, right in zip(node.ops, [node.left, *node.comparators], node.comparators, strict=False):
                if type(operator) in CHANGES:
                    yield node, type(operator), left, right
        elif isinstance(node, ast.BinOp) and type(node.op) in CHANGES:
            yield node, type(node.op), node.left, node.right
        elif isinstance(node, ast.BoolOp):
            yield node, type(node.op), node.values[0], node.values[1]
        elif (
            isinstance(node, ast.Constant) and isinstance(node.value, int | float) and not isinstance(node.value, bool)
        ):
            yield node, None, None, repr(node.value + 1)
        elif isinstance(node, ast.Name) and node.id in ("min", "max"):
            yield node, None, None, {"min": "max", "max": "min"}[node.id]
        elif isinstance(node, ast.IfExp):
            yield node.test, None, None, f"(not ({ast.unparse(node.test)}))"


def code_of(tree: ast.AST) -> Iterator[ast.AST]:
    """Yield every node that computes a value: no annotation, no text."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.AnnAssign):
            if node.value is not None:
                yield node.value
                yield from code_of(node.value)
        elif isinstance(node, ast.FunctionDef):
            for statement in node.body:
                yield statement
                yield from code_of(statement)
        elif not isinstance(node, ast.JoinedStr | ast.Raise | ast.arguments):
            yield node
            yield from code_of(node)


def files_of(copy: Path, tests: str, stem: str = "") -> list[str]:
    """Return the test files of a package, first those that name this file's stem, then those that mention it most."""
    words = set(stem.split("_")) - {"kernels"}

    def rank(path: Path) -> tuple[int, int]:
        text = path.read_text(encoding="utf-8") if path.is_file() else ""
        return len(words & set(path.stem.split("_"))), sum(map(text.count, words))

    paths = [path for pattern in tests.split() for path in sorted(copy.glob(pattern))]
    return [str(path.relative_to(copy)) for path in sorted(paths, key=rank, reverse=True)]


def noticed(copy: Path, files: Sequence[str], patience: float) -> bool:
    """Return whether the tests fail in the copy, or take more than `patience` CPU seconds."""
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(copy / "numba"), "OMP_NUM_THREADS": "1"}
    environment.pop("CI", None)
    command = [sys.executable, "-B", "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider"]
    command += [f"--hypothesis-profile={PROFILE}", "-k", f"not ({SLOW})", *files]
    limited = ["sh", "-c", f'ulimit -t {round(patience)}; exec "$@"', "sh", *command]
    return subprocess.run(limited, cwd=copy, env=environment, capture_output=True, check=False).returncode != 0


def patience_of(copy: Path, tests: str) -> float:
    """Return the CPU seconds that a mutant's tests may take: twice those of the original, with compiled kernels."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    if noticed(copy, files_of(copy, tests), 3600):
        raise SystemExit(f"{tests} fail without a mutant")
    spent = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before
    print(f"{tests}: {spent:.0f} s", flush=True)
    return 30 + 2 * spent


def trial(copy: Path, mutant: Mutant, patience: float) -> bool:
    """Return whether a mutant's tests notice it."""
    file = copy / mutant.file.relative_to(ROOT)
    source = file.read_text(encoding="utf-8")
    try:
        file.write_text(mutant.apply(source), encoding="utf-8")
        return noticed(copy, files_of(copy, mutant.tests, file.stem), patience)
    finally:
        file.write_text(source, encoding="utf-8")


def noticed_before(table: Path) -> list[Row]:
    """Return the rows of a table whose mutants were noticed."""
    lines = [line for line in table.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    return [
        {name: row[name] for name in ("file", "line", "becomes")}
        for row in csv.DictReader(lines)
        if row["noticed"] == "yes"
    ]


def main(argv: Sequence[str] | None = None) -> None:
    """Try the mutants, and write the table."""
    parser = recording_parser(__doc__)
    parser.add_argument("--mutants", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--again", action="store_true", help="keep the noticed mutants of the table and try the others")
    arguments = parser.parse_args(argv)
    every = [
        mutant
        for pattern, tests in TESTS.items()
        for file in sorted(ROOT.glob(pattern))
        if file.name not in WORDS
        for mutant in mutants_of(file, tests)
    ]
    drawn = random.Random(arguments.seed).sample(every, min(arguments.mutants, len(every)))
    known = noticed_before(RESULTS / "mutation.csv") if arguments.again else []
    left = [mutant for mutant in drawn if mutant.row not in known]
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "project"
        shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(".*", "__pycache__", "runs", "results", "uv.lock"))
        patience = {tests: patience_of(copy, tests) for tests in dict.fromkeys(mutant.tests for mutant in left)}
        for mutant in drawn:
            found = mutant not in left or trial(copy, mutant, patience[mutant.tests])
            rows.append({**mutant.row, "noticed": "yes" if found else "no"})
            if mutant in left:
                print(*rows[-1].values(), flush=True)
            if arguments.record:
                save_table(rows, RESULTS / "mutation.csv")
    print(f"{sum(row['noticed'] == 'yes' for row in rows)} of {len(rows)} noticed, drawn from {len(every)}")


if __name__ == "__main__":
    main()
