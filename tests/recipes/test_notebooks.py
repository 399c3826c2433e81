"""The notebooks of docs/notebooks run on few images for a few steps."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from anchorloc import __main__ as console
from anchorloc.engine import run_report
from anchorloc.export import __main__ as export
from tests.guides import ROOT

LESS = """
detector: {backbone: {channels: [8, 8, 16, 16], blocks: [1, 1, 1, 1]}}
train: {length: 2 iterations, workers: 0, batch_size: 2}
"""


@pytest.mark.parametrize("path", sorted((ROOT / "docs" / "notebooks").iterdir()), ids=lambda path: path.stem)
@pytest.mark.filterwarnings("ignore::ResourceWarning")  # a cell shows an image, and does not close it
def test_notebook(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its cells run on few images for a few steps; the export, which takes tens of seconds, is only read."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(run_report, "RESAMPLES", 10)
    notebook = json.loads(path.read_text(encoding="utf-8"))
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert not any(cell["outputs"] for cell in cells)
    names: dict[str, Any] = {"__name__": "__main__"}
    for cell in cells:
        code = "".join(cell["source"])
        code = code.replace("--train-images 1000 --val-images 100", "--train-images 8 --val-images 4 --size 96")
        code = code.replace("train: {length: 3 minutes}", LESS).replace("shapes.onnx", "runs/shapes/best.pt")
        for line in re.findall("^!anchorloc (.*)$", code, re.MULTILINE):
            run_line(shlex.split(line))
        exec(compile(re.sub("^!.*$", "", code, flags=re.MULTILINE), path.name, "exec", dont_inherit=True), names)
    assert names["run"].steps == 2
    assert names["run"].report._repr_html_().startswith("<iframe")


def run_line(words: list[str]) -> None:
    """Run a command of a notebook; an export is read, and the doctor may warn of so few images."""
    if words[0] == "export":
        assert Path(export.parser().parse_intermixed_args(words[1:]).checkpoint).is_file()
    else:
        assert console.main(words) in ((0, 1) if words[0] == "doctor" else (0,)), words
