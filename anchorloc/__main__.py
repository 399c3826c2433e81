"""Run `anchorloc COMMAND ...`, which equals `python -m anchorloc.COMMAND ...`."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from typing import Any, Final

from anchorloc import __version__
from anchorloc.cli import run_command
from anchorloc.errors import InputError
from anchorloc.text import did_you_mean

COMMANDS: Final = {
    "train": "train on your labeled images, or on the built-in shapes",
    "evaluate": "score a model, or the detections of any tool, and write a report",
    "predict": "detect objects in images: drawn pictures, COCO results, a table",
    "export": "write a trained model as ONNX or torch.export file, and verify it",
    "compare": "test which settings, or result files of any tool, are better",
    "lab": "show what anchors can find in your data, before you train",
    "doctor": "find and fix annotation errors, or split the data",
    "shapes": "write the built-in scenes as a data set in COCO format",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command that the first argument names; the module of no other command is imported."""
    return run_command(_dispatch, argv)


def _dispatch(argv: Sequence[str] | None) -> int:
    name, *rest = (sys.argv[1:] if argv is None else argv) or ["--help"]
    if name in ("-h", "--help"):
        print(_help())
        return 0
    if name == "--version":
        print(f"anchorloc {__version__}")
        return 0
    if name not in COMMANDS:
        raise InputError(f"there is no command {name!r}; {did_you_mean(name, COMMANDS)}")
    return int(_module(name).main(rest))


def _module(name: str) -> Any:
    """Import the module of a command: a single file, or `__main__` of a package."""
    module = importlib.import_module(f"anchorloc.{name}")
    return importlib.import_module(f"anchorloc.{name}.__main__") if hasattr(module, "__path__") else module


def _help() -> str:
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {sentence}" for name, sentence in COMMANDS.items()]
    return "\n".join(["usage: anchorloc COMMAND ...", "", *lines, "", "anchorloc COMMAND --help lists its options."])


if __name__ == "__main__":
    sys.exit(main())
