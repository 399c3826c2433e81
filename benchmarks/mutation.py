"""Mutate the code that computes boxes, scores and fixed labels, and count how many mutants the tests notice.

    python -m benchmarks.mutation metrics --mutants 100        # about 15 minutes of one core

A mutant changes one operator, condition, number or call in a copy of the project. A seed draws mutants from all
possible ones; an edit of the code changes the draw of the edited lines alone. The tests of the mutant's package run
until the first failure, the tests of its file first, and property tests with few examples. A mutant whose tests take
far more CPU time than usual counts as noticed. Surviving mutants are listed with their lines: a test is missing, or
the mutant changes no result (a window one cell wider is slower, not wrong). The table is written after each mutant.
`--again` goes on with a table: it tries the mutants that are not in it, and then the survivors without a reason. The
reasons, in the last column, are written by hand.
"""

from __future__ import annotations

import ast
import csv
import hashlib
import math
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.timing import RESULTS, recording_parser, save_table

ROOT = Path(__file__).resolve().parents[1]
MENDS = "tests/doctor/test_[eimr]*.py"
PARTS = {  # the files to mutate, and the tests that hold them
    "boxes": {
        "anchorloc/boxes/*.py": "tests/boxes anchorloc/boxes",
        "anchorloc/anchors/*.py": "tests/anchors",
        "anchorloc/assign/*.py": "tests/assign",
        "anchorloc/detector/coder.py": "tests/detector/test_detector.py",
    },
    "metrics": {
        "anchorloc/metrics/*.py": "tests/metrics/test_[eflp]*.py",
        "anchorloc/metrics/analysis/*.py": "tests/metrics/test_analysis*.py",
    },
    "mends": {
        "anchorloc/doctor/*fixes.py": MENDS,
        "anchorloc/doctor/box_forms.py": MENDS,
        "anchorloc/doctor/conversions.py": MENDS,
        "anchorloc/doctor/editable_document.py": MENDS,
        "anchorloc/doctor/repair.py": MENDS,
    },
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
    ast.In: ("in", "not in"),
    ast.NotIn: ("not in", "in"),
    ast.Is: ("is", "is not"),
    ast.IsNot: ("is not", "is"),
    ast.Add: ("+", "-"),
    ast.Sub: ("-", "+"),
    ast.Mult: ("*", "/"),
    ast.Div: ("/", "*"),
    ast.FloorDiv: ("//", "*"),
    ast.BitAnd: ("&", "|"),
    ast.BitOr: ("|", "&"),
    ast.And: ("and", "or"),
    ast.Or: ("or", "and"),
}
NAMES = {"min": "max", "max": "min", "any": "all", "all": "any"}
Position = tuple[int, int]  # a line from 1, and a column
Change = tuple[Position, Position, str, str]  # between two positions, this text ("" for all of it) becomes that
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
    for (first, left), (last, right), before, after in changes(ast.parse(source)):
        start, end = starts[first - 1] + left, starts[last - 1] + right
        before = before or source[start:end]
        start = source.index(before, start, end)
        found.append(Mutant(file, tests, source.count("\n", 0, start) + 1, start, before, after))
    return found


def changes(tree: ast.AST) -> Iterator[Change]:
    """Yield what can be changed."""
    for node in code_of(tree):
        match node:
            case ast.Compare():
                for operator, left, right in zip(
                    node.ops, [node.left, *node.comparators], node.comparators, strict=False
                ):
                    yield _end(left), _start(right), *CHANGES[type(operator)]
            case ast.BinOp() if type(node.op) in CHANGES and not _is_type(node):
                yield _end(node.left), _start(node.right), *CHANGES[type(node.op)]
            case ast.AugAssign() if type(node.op) in CHANGES:
                yield _end(node.target), _start(node.value), *CHANGES[type(node.op)]
            case ast.BoolOp():
                yield _end(node.values[0]), _start(node.values[1]), *CHANGES[type(node.op)]
            case ast.UnaryOp(op=ast.Not() | ast.Invert()):
                yield _start(node), _end(node), "", f"({ast.unparse(node.operand)})"
            case ast.Constant(value=int() | float() as value) if not isinstance(value, bool):
                yield _start(node), _end(node), "", repr(value + 1)
            case ast.Name() if node.id in NAMES:
                yield _start(node), _end(node), node.id, NAMES[node.id]
            case ast.Attribute() if node.attr in NAMES:
                yield _end(node.value), _end(node), node.attr, NAMES[node.attr]
            case ast.If() | ast.IfExp():
                yield from _negations([node.test])
            case ast.comprehension():
                yield from _negations(node.ifs)
            case ast.Expr(value=ast.Call()):
                yield _start(node), _end(node), "", f"None and {ast.unparse(node)}"  # it is not called


def _negations(conditions: Sequence[ast.expr]) -> Iterator[Change]:
    """Yield the negation of conditions, except where another operator or the absence of `not` is the same."""
    for test in conditions:
        exact = isinstance(test, ast.Compare) and not isinstance(test.ops[0], ast.Lt | ast.LtE | ast.Gt | ast.GtE)
        if not (exact or (isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not))):
            yield _start(test), _end(test), "", f"(not ({ast.unparse(test)}))"


def _is_type(node: ast.BinOp) -> bool:
    """Return whether an operation is a type such as `float | None`."""
    return isinstance(node.op, ast.BitOr) and isinstance(node.right, ast.Constant)


def _start(node: ast.expr | ast.stmt) -> Position:
    return node.lineno, node.col_offset


def _end(node: ast.expr | ast.stmt) -> Position:
    return node.end_lineno or 1, node.end_col_offset or 0


def code_of(tree: ast.AST) -> Iterator[ast.AST]:
    """Yield every node that computes a value: no annotation, no decorator, no text."""
    match tree:
        case ast.FunctionDef() | ast.ClassDef():
            parts: Iterable[ast.AST] = tree.body
        case ast.AnnAssign():
            parts = [tree.value] if tree.value else []
        case ast.JoinedStr() | ast.Raise() | ast.arguments():
            parts = []
        case _:
            parts = ast.iter_child_nodes(tree)
    for node in parts:
        yield node
        yield from code_of(node)


def drawn(part: str, number: int, seed: int) -> list[Mutant]:
    """Return some mutants of a part; the order depends on the seed and on the changed line alone."""
    every = [
        mutant
        for pattern, tests in PARTS[part].items()
        for file in sorted(ROOT.glob(pattern))
        if file.name not in WORDS
        for mutant in mutants_of(file, tests)
    ]
    print(f"{len(every):,} mutants of {part} are possible", flush=True)

    def rank(mutant: Mutant) -> bytes:
        row = mutant.row
        return hashlib.sha256(f"{seed} {row['file']} {row['becomes']}".encode()).digest()

    return sorted(every, key=rank)[:number]


def files_of(copy: Path, tests: str, stem: str = "") -> list[str]:
    """Return the test files of a package, first those that name this file's stem, then those that mention it most."""
    words = set(stem.split("_")) - {"kernels"}

    def rank(path: Path) -> tuple[int, int]:
        text = path.read_text(encoding="utf-8") if path.is_file() else ""
        return len(words & set(path.stem.split("_"))), sum(map(text.count, words))

    paths = [path for pattern in tests.split() for path in sorted(copy.glob(pattern))]
    return [str(path.relative_to(copy)) for path in sorted(paths, key=rank, reverse=True)]


@dataclass(frozen=True, eq=False)
class Copy:
    """A copy of the project, to change one file at a time."""

    folder: Path
    patience: dict[str, float] = field(default_factory=dict)  # CPU seconds that a mutant's tests may take

    def trial(self, mutant: Mutant) -> bool:
        """Return whether a mutant's tests notice it."""
        if mutant.tests not in self.patience:
            self.patience[mutant.tests] = 30 + 2 * self._seconds(mutant.tests)
        file = self.folder / mutant.file.relative_to(ROOT)
        source, times = file.read_text(encoding="utf-8"), file.stat()
        kernels = shutil.copytree(self._kernels, self.folder / "kernels_of_mutant", dirs_exist_ok=True)
        try:
            file.write_text(mutant.apply(source), encoding="utf-8")
            return self._fails(files_of(self.folder, mutant.tests, file.stem), self.patience[mutant.tests], kernels)
        finally:
            file.write_text(source, encoding="utf-8")
            os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))  # its compiled kernels are still valid

    @property
    def _kernels(self) -> Path:
        return self.folder / "kernels"

    def _seconds(self, tests: str) -> float:
        """Return the CPU seconds that the tests take without a mutant; they compile the kernels."""
        self._kernels.mkdir(exist_ok=True)
        before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
        if self._fails(files_of(self.folder, tests), 3600, self._kernels):
            raise SystemExit(f"{tests} fail without a mutant")
        spent = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before
        print(f"{tests}: {spent:.0f} s", flush=True)
        return spent

    def _fails(self, files: Sequence[str], seconds: float, kernels: Path) -> bool:
        """Return whether tests fail, or take more CPU seconds."""
        own = {"NUMBA_CACHE_DIR": str(kernels), "PYTHONPATH": str(self.folder), "OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider"]
        command += [f"--hypothesis-profile={PROFILE}", "-k", f"not ({SLOW})", *files]
        script = f'ulimit -t {round(seconds)}; unset CI PYTHONDONTWRITEBYTECODE; exec "$@"'
        limited = ["sh", "-c", script, "sh", *command]
        done = subprocess.run(limited, cwd=self.folder, env=os.environ | own, capture_output=True, check=False)
        return done.returncode != 0


def rows_of(table: Path) -> dict[tuple[str, ...], Row]:
    """Return the rows of a table by file, line and changed line; none if there is no table."""
    lines = table.read_text(encoding="utf-8").splitlines() if table.exists() else []
    rows = csv.DictReader(line for line in lines if not line.startswith("#"))
    return {(row["file"], row["line"], row["becomes"]): row for row in rows}


def main(argv: Sequence[str] | None = None) -> None:
    """Try the mutants, and write the table."""
    parser = recording_parser(__doc__)
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("--mutants", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--again", action="store_true", help="go on with the table of an earlier run")
    parser.add_argument("--minutes", type=float, default=math.inf, help="stop after so many minutes; --again goes on")
    parser.add_argument("--out", type=Path, default=Path("runs"), help="folder of the table (default: runs)")
    arguments = parser.parse_args(argv)
    table = (RESULTS if arguments.record else arguments.out) / f"mutation_{arguments.part}.csv"
    mutants = {tuple(one.row.values()): one for one in drawn(arguments.part, arguments.mutants, arguments.seed)}
    known = rows_of(table) if arguments.again else {}
    rows = {key: known[key] for key in mutants if key in known}
    left = [key for key in mutants if key not in rows or (rows[key]["noticed"] == "no" and not rows[key]["reason"])]
    end = time.monotonic() + 60 * arguments.minutes
    with tempfile.TemporaryDirectory() as folder:
        copy = Copy(Path(folder) / "project")
        shutil.copytree(ROOT, copy.folder, ignore=shutil.ignore_patterns(".*", "__pycache__", "runs", "results"))
        for key in sorted(left, key=lambda key: key in rows):
            if time.monotonic() > end:
                break
            found = copy.trial(mutants[key])
            rows[key] = {**mutants[key].row, "noticed": "yes" if found else "no", "reason": ""}
            print(*rows[key].values(), flush=True)
            save_table([rows[key] for key in mutants if key in rows], table)
    print(f"{sum(row['noticed'] == 'yes' for row in rows.values())} of {len(rows)} noticed")


if __name__ == "__main__":
    main()
