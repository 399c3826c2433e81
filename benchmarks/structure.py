"""Measure the structure of the package from its imports, without running it.

    python -m benchmarks.structure                     # this checkout
    python -m benchmarks.structure OTHER/anchorloc     # another tree, for a comparison

Definitions:

- A package is a module or folder directly below `anchorloc`. `anchorloc/__init__.py` is one, all `__main__` files
  together are one (the command line), and the `benchmarks` folder beside the package is one.
- An arrow is a pair of packages of which the first imports from the second, at any depth of a file, outside of
  `if TYPE_CHECKING`. An import from a package's `__init__` and an import from its modules are the same arrow.
- A circle is a set of packages that reach each other over arrows. The layers are the longest chain of arrows.
- An import closure is the modules of `anchorloc` that an import loads: imports at module level, outside of
  `if TYPE_CHECKING`, followed transitively, with the `__init__` of every package on the way. An import inside a
  function does not count, because it loads nothing until the function runs.
"""

from __future__ import annotations

import argparse
import ast
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from anchorloc.cli import run_command
from anchorloc.errors import InputError

PACKAGE = Path(__file__).resolve().parents[1] / "anchorloc"
ENTRIES = {  # the module that an import or a command loads, under today's name and older ones
    "boxes": ("boxes",),
    "load": ("predict.localizer", "prediction.localizer"),
    "evaluate --detections": ("evaluate",),
    "doctor": ("doctor.__main__", "doctor"),
    "engine.training": ("engine.training",),
}
HEAVY = ("torch", "rich", "pycocotools")


@dataclass(frozen=True)
class Module:
    """One file: its dotted name, its lines, and what it imports at module level and anywhere."""

    name: str
    lines: int
    at_import: frozenset[str]
    anywhere: frozenset[str]

    @property
    def package(self) -> str:
        parts = self.name.split(".")
        if parts[0] != "anchorloc":
            return parts[0]
        if parts[-1] == "__main__":
            return "__main__"
        return parts[1] if len(parts) > 1 else "__init__"


def main(argv: Sequence[str] | None = None) -> int:
    """Print the figures of one tree."""
    parser = argparse.ArgumentParser(description="print packages, layers, arrows, circles and import closures")
    parser.add_argument("folder", type=Path, nargs="?", default=PACKAGE, help="the package folder (default: this one)")
    folder = parser.parse_args(argv).folder.resolve()
    if folder.name != "anchorloc" or not (folder / "__init__.py").is_file():
        raise InputError(f"{folder} is not a package folder named anchorloc; give its path")
    ours = read_modules(folder, folder.parent)
    modules = ours | read_modules(folder.parent / "benchmarks", folder.parent)
    arrows = package_arrows(modules)
    print(f"{len({module.package for module in modules.values()})} packages")
    print(f"{longest_chain(arrows)} layers")
    print(f"{sum(map(len, arrows.values()))} arrows between packages")
    print(f"{len(circles(arrows))} circles", *circles(arrows))
    print(f"{len(ours)} files, {sum(module.lines for module in ours.values()):,} lines in anchorloc")
    for entry, names in ENTRIES.items():
        start = next((f"anchorloc.{name}" for name in names if f"anchorloc.{name}" in ours), None)
        if start is None:
            raise InputError(f"{folder} has no module for {entry!r}")
        loaded, others = closure(start, ours)
        print(f"{entry}: {len(loaded)} modules, with {', '.join(sorted(others.intersection(HEAVY))) or 'none'} loaded")
    return 0


def read_modules(folder: Path, root: Path) -> dict[str, Module]:
    """Return the modules of a folder by dotted name, which counts from `root`."""
    modules = {}
    for path in sorted(folder.rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        package = parts[:-1]
        name = ".".join(package if path.stem == "__init__" else parts)
        text = path.read_text(encoding="utf-8")
        tree = ast.parse(text)
        found = [frozenset(_imported(tree.body, package, inside)) for inside in (False, True)]
        modules[name] = Module(name, len(text.splitlines()), *found)
    return modules


def package_arrows(modules: Mapping[str, Module]) -> dict[str, set[str]]:
    """Return the packages that each package imports from."""
    arrows: dict[str, set[str]] = {module.package: set() for module in modules.values()}
    for module in modules.values():
        targets = {modules[name].package for name in module.anywhere if name in modules}
        arrows[module.package] |= targets - {module.package}
    return arrows


def longest_chain(arrows: Mapping[str, set[str]]) -> int:
    """Return the number of packages on the longest chain of arrows that repeats none."""

    def depth(package: str, above: frozenset[str]) -> int:
        below = arrows[package] - above
        return 1 + max((known[one] if one in known else depth(one, above | {one}) for one in below), default=0)

    known: dict[str, int] = {}
    for package in sorted(arrows, key=lambda one: len(reachable(one, arrows))):
        known[package] = depth(package, frozenset({package}))
    return max(known.values())


def circles(arrows: Mapping[str, set[str]]) -> list[list[str]]:
    """Return the sets of packages that reach each other."""
    reach = {package: reachable(package, arrows) for package in arrows}
    found = {frozenset(one for one in reach[package] if package in reach[one]) for package in arrows}
    return sorted(sorted(circle) for circle in found if circle)


def reachable(start: str, arrows: Mapping[str, set[str]]) -> set[str]:
    """Return the packages at the end of one or more arrows from `start`."""
    seen: set[str] = set()
    todo = [*arrows[start]]
    while todo:
        package = todo.pop()
        if package not in seen:
            seen.add(package)
            todo += arrows[package]
    return seen


def closure(start: str, modules: Mapping[str, Module]) -> tuple[set[str], set[str]]:
    """Return the modules that importing `start` loads, and the root names of the other libraries."""
    seen: set[str] = set()
    others: set[str] = set()
    todo = [start]
    while todo:
        name = todo.pop()
        parts = name.split(".")
        if parts[0] != "anchorloc":
            others.add(parts[0])
        elif name in modules and name not in seen:
            seen.add(name)
            todo += [".".join(parts[:number]) for number in range(1, len(parts))]
            todo += modules[name].at_import
    return seen, others


def _imported(body: Sequence[ast.AST], package: Sequence[str], inside: bool) -> Iterator[str]:
    """Yield the absolute names that statements import; `inside` functions too, or only at module level."""
    for node in body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join((*base, node.module) if node.module else base)
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            yield from _imported(node.orelse, package, inside)
        elif inside or not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield from _imported(list(ast.iter_child_nodes(node)), package, inside)


if __name__ == "__main__":
    sys.exit(run_command(main))
