"""The architecture of docs/architecture.md, kept by machine."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "anchorloc"
FILES = sorted(PACKAGE.rglob("*.py"))

FLOORS = {
    0: {"errors"},
    1: {"boxes", "structures", "files"},
    2: {"checkpoint"},
    3: {"data", "anchors", "assign", "detector", "metrics", "verdicts"},
    4: {"config", "health"},
    5: {"coverage"},
    6: {"report"},
    7: {"engine"},
    8: {"prediction"},
    9: {"exporting"},
    10: {"study"},
    11: {"train", "evaluate", "predict", "export", "lab", "compare", "doctor", "shapes", "__main__"},
}
FLOOR = {room: floor for floor, rooms in FLOORS.items() for room in rooms}


def room(path: Path) -> str:
    """The room of a file: its first folder under the package, or its own name."""
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def imported_modules(path: Path) -> set[str]:
    """Every module a file imports, at any depth of nesting, as an absolute name."""
    names: set[str] = set()
    package = ("anchorloc", *path.relative_to(PACKAGE).parent.parts)
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            module = ".".join(part for part in (base, node.module) if part)
            names.add(module)
            names.update(f"{module}.{alias.name}" for alias in node.names)
    return names


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_file_imports_from_lower_floors_and_its_own_room(path: Path) -> None:
    own = room(path)
    if own == "__init__":
        return
    assert own in FLOOR, f"{own} has no floor: give it one in docs/architecture.md and here"
    others = {name.split(".")[1] for name in imported_modules(path) if name.startswith("anchorloc.")} - {own}
    wrong = {other for other in others if other in FLOOR and FLOOR[other] >= FLOOR[own]}
    assert not wrong, f"{own} (floor {FLOOR[own]}) imports {sorted(wrong)}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_file_speaks_one_language(path: Path) -> None:
    """numba, torch, or files on disk."""
    roots = {name.split(".")[0] for name in imported_modules(path)}
    languages = {"numba"} & roots | ({"torch"} if roots & {"torch", "torchvision"} else set())
    assert len(languages) <= 1, languages


@pytest.mark.parametrize("module", ["anchorloc", "anchorloc.boxes"])
def test_the_box_library_imports_neither_torch_nor_numba(module: str) -> None:
    code = f"import sys, {module}; sys.exit(bool({{'torch', 'numba'}} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    proof = "import sys, numba; sys.exit(bool({'torch', 'numba'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", proof], check=False).returncode == 1
