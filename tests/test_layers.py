"""The structure of docs/architecture.md: layers, languages, what an import loads, and one name for one thing."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections import defaultdict
from functools import cache
from pathlib import Path

import pytest

from tests.python_processes import without_torch

TESTS = Path(__file__).resolve().parent
PACKAGE = TESTS.parent / "anchorloc"
FILES = sorted(PACKAGE.rglob("*.py"))
LINES = 300

LAYERS = (
    {"errors"},
    {"text", "files", "cgroups"},
    {"structures", "boxes", "startup", "report_folder"},
    {"checkpoint", "assign", "cli"},
    {"anchors", "data", "metrics", "detector"},
    {"config", "protocols"},
    {"report"},
    {"doctor", "lab"},
    {"plan"},
    {"engine"},
    {"predict"},
    {"export"},
    {"compare"},
    {"train", "evaluate", "shapes", "__main__"},
)
LAYER = {package: number for number, packages in enumerate(LAYERS) for package in packages}

# A file name stands for one subject. These are roles: the same part of a package wherever it recurs.
ROLES = {
    "__init__": "what a package hands out",
    "__main__": "the command of a package",
    "captions": "the words of a report",
    "checks": "the refusals of a package",
    "findings": "what a command found, as values",
    "page": "a report as HTML",
    "shapes": "the built-in scenes: the command and the data set",
    "tables": "a report as CSV, and tables of columns",
    "terminal": "a report on the terminal",
    "writer": "all files of a report",
}


def package_of(path: Path) -> str:
    """Return the top-level package or module of a file; a `__main__` of a package is the command line, on top."""
    return "__main__" if path.stem == "__main__" else path.relative_to(PACKAGE).with_suffix("").parts[0]


@cache
def imported_modules(path: Path, root: Path = PACKAGE) -> set[str]:
    """Return every module a file imports, at any depth of nesting, as an absolute name."""
    names: set[str] = set()
    package = (root.name, *path.relative_to(root).parent.parts)
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            module = ".".join(part for part in (base, node.module) if part)
            names.add(module)
            names.update(f"{module}.{alias.name}" for alias in node.names)
    return names


def loaded_by(module: str) -> set[str]:
    """Return which of the heavy libraries a new process has loaded after it has imported a module."""
    code = f"import sys, {module}; print(*{{'torch', 'numba', 'rich', 'pycocotools'}} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


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


@pytest.mark.parametrize("module", ["", ".boxes", ".anchors", ".structures"])
def test_importing_the_array_libraries_loads_neither_torch_nor_numba(module: str) -> None:
    assert not loaded_by(f"anchorloc{module}") & {"torch", "numba"}


@pytest.mark.parametrize(
    "module",
    [
        "assign",
        "data",
        "detector",
        "metrics",
        "config",
        "protocols",
        "doctor",
        "doctor.__main__",
        "train",
        "evaluate",
        "compare.__main__",
        "compare.result_files.file_comparison",
        "compare.result_files.writer",
    ],
)
def test_importing_these_loads_no_torch(module: str) -> None:
    done = without_torch().run(f"import sys, anchorloc.{module}; sys.exit('torch' in sys.modules)")
    assert done.returncode == 0, done.stderr


def test_reading_and_writing_settings_loads_no_torch(tmp_path: Path) -> None:
    code = """
import sys
from pathlib import Path
from anchorloc.config import list_settings, read_config, read_saved_config, to_yaml

path = Path(sys.argv[1])
for overrides in (
    ["assign.kind=TaskAlignedAssigner", "detector.pyramid.kind=PathAggregation", "decode.soft_nms_sigma=0.5"],
    ["task=localization", "localizer={}"],
):
    path.write_text(to_yaml(read_config(None, overrides)), encoding="utf-8")
    config = read_saved_config(path, ["train.seed=1"])
    config.method, config.method.grid((64, 64)), config.padded((60, 60)), config.detector.fill
list(list_settings())
sys.exit("torch" in sys.modules)
"""
    done = without_torch().run(code, str(tmp_path / "config.yaml"))
    assert done.returncode == 0, done.stderr


def test_the_proof_sees_what_is_loaded() -> None:
    assert loaded_by("numba") == {"numba"}


@pytest.mark.parametrize("root", [PACKAGE, TESTS, TESTS.parent / "benchmarks"], ids=lambda path: path.name)
def test_every_folder_of_modules_is_a_package(root: Path) -> None:
    folders = {path.parent for path in root.rglob("*.py")}
    assert not [folder for folder in folders if not (folder / "__init__.py").is_file()]


def test_no_file_is_long() -> None:
    lengths = {str(path.relative_to(PACKAGE)): len(path.read_text("utf-8").splitlines()) for path in FILES}
    assert not {name: length for name, length in lengths.items() if length > LINES}


def test_no_two_public_types_share_a_name() -> None:
    places = defaultdict(list)
    for path in FILES:
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places[node.name].append(str(path.relative_to(PACKAGE)))
    assert not {name: files for name, files in places.items() if len(files) > 1}


def test_a_file_name_recurs_only_for_a_role() -> None:
    places = defaultdict(list)
    for path in FILES:
        places[path.stem].append(str(path.relative_to(PACKAGE)))
    assert not {stem: files for stem, files in places.items() if len(files) > 1 and stem not in ROLES}


@pytest.mark.parametrize("path", sorted(TESTS.rglob("*.py")), ids=lambda path: str(path.relative_to(TESTS)))
def test_no_test_imports_another(path: Path) -> None:
    """What several tests share is in a helper file beside them."""
    parts = {
        part for name in imported_modules(path, TESTS) if name.startswith("tests.") for part in name.split(".")[:-1]
    }
    assert not {part for part in parts if part.startswith("test_")}
