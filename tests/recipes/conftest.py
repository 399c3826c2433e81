"""A current folder with what the programs of docs/recipes.md need."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from anchorloc.checkpoint import load_checkpoint, save_checkpoint
from anchorloc.data import ShapesData
from tests.detector.random_models import save_random
from tests.guides import blocks

THRESHOLD = {"score": 0.12, "precision": 0.75, "recall": 0.5, "f1": 0.6, "found": "best F1 on val"}


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a new current folder with photos, a model that finds something on them, and a config."""
    monkeypatch.chdir(tmp_path)
    scenes = ShapesData(1, 2, 96).open("val")
    Path("photos").mkdir()
    for index, (name, width) in enumerate((("a.png", 96), ("b c.png", 64))):
        Image.fromarray(scenes.image(index)[:, :width]).save(Path("photos", name))
    Path("runs/mine").mkdir(parents=True)
    best = save_random(Path("runs/mine/best.pt"), "decode.max_detections=20")
    save_checkpoint(best, {**load_checkpoint(best), "threshold": THRESHOLD})
    Path("mine.yaml").write_text(blocks("README.md", "yaml")[0], encoding="utf-8")
    return tmp_path
