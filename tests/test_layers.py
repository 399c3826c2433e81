"""The architecture of docs/architecture.md, kept by machine."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "anchorloc"
FILES = sorted(PACKAGE.rglob("*.py"))

LAYERS = (
    {"errors"},
    {"text", "files"},
    {"structures", "boxes", "cli"},
    {"checkpoint", "assign"},
    {"anchors", "data", "metrics", "detector"},
    {"config"},
    {"report"},
    {"doctor", "lab"},
    {"engine"},
    {"predict"},
    {"export"},
    {"compare"},
    {"train", "evaluate", "shapes", "__main__"},
)
LAYER = {package: number for number, packages in enumerate(LAYERS) for package in packages}


def package_of(path: Path) -> str:
    """The top-level package or module of a file; a `__main__` of a package counts as the command line, on top."""
    return "__main__" if path.stem == "__main__" else path.relative_to(PACKAGE).with_suffix("").parts[0]


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
def test_a_file_imports_from_lower_layers_and_its_own_package(path: Path) -> None:
    own = package_of(path)
    if own == "__init__":
        return
    assert own in LAYER, f"{own} has no layer: give it one in docs/architecture.md and here"
    others = {name.split(".")[1] for name in imported_modules(path) if name.startswith("anchorloc.")} - {own}
    wrong = {other for other in others if other in LAYER and LAYER[other] >= LAYER[own]}
    assert not wrong, f"{own} (layer {LAYER[own]}) imports {sorted(wrong)}"


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
