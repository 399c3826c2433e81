"""Run folders that commit fdba9cb wrote, before settings were renamed: they load, predict, are exported and resumed.

Each folder was stopped at step 4 of 6. Its expected.json has what fdba9cb made of it: the detections of best.pt on the
val split, and metrics.jsonl of the resumed run.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import anchorloc
from anchorloc import train
from anchorloc.anchors import AnchorGenerator
from anchorloc.assign import MaxIoUAssigner
from anchorloc.checkpoint import load_checkpoint, save_checkpoint
from anchorloc.cli import run_command
from anchorloc.config import read_config, read_saved_config, to_plain, to_yaml
from anchorloc.detector import SingleBoxLocalizer, TaskAlignedAssigner
from anchorloc.engine import training as loop
from anchorloc.engine.evaluation import evaluate_model
from anchorloc.engine.state.checkpoint_schema import with_current_names
from anchorloc.engine.system.log import read_log
from anchorloc.engine.trained_model import load_model
from anchorloc.export import __main__ as export
from anchorloc.structures import Detections
from tests.engine.small_runs import assert_same, run, timeless, weights
from tests.torch_rounding import ROUNDS_ALIKE

FOLDERS = Path(__file__).parent / "fixtures" / "fdba9cb"
NAMES = ("task-aligned", "single-box")
LOG_EVERY = 3  # steps, as when the folders were made


def expected(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((FOLDERS / name / "expected.json").read_text())
    return content


def assert_close(found: list[Detections], then: list[dict[str, Any]]) -> None:
    assert [one.image_id for one in found] == [one["image_id"] for one in then]
    for one, before in zip(found, then, strict=True):
        boxes = np.reshape(before["boxes"], (-1, 4))
        kept = (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
        np.testing.assert_array_equal(one.labels, np.array(before["labels"])[kept])
        np.testing.assert_array_equal(one.anchors, np.array(before["anchors"])[kept])
        relative, pixels = (1e-5, 1e-3) if ROUNDS_ALIKE else (2e-4, 1e-2)
        np.testing.assert_allclose(one.scores, np.array(before["scores"])[kept], rtol=relative)
        np.testing.assert_allclose(one.boxes, boxes[kept], rtol=0, atol=pixels)


def test_settings_are_translated() -> None:
    config = load_model(FOLDERS / "task-aligned" / "best.pt").config
    assert config.assign == TaskAlignedAssigner(5, initial=MaxIoUAssigner(rescue_iou=0.1))
    assert config.train.gradient_accumulation == 2
    assert (config.train.base_batch_size, config.train.keep_checkpoints) == (8, 1)
    assert config.train.optimizer.backbone_lr_multiplier == 0.5
    assert config.decode.topk_per == "class"
    assert (config.decode.topk_candidates, config.decode.soft_nms_sigma) == (50, 0.5)
    assert config.decode.class_agnostic_nms
    assert isinstance(config.anchors, AnchorGenerator)
    single = load_model(FOLDERS / "single-box" / "best.pt").config
    assert single.localizer == SingleBoxLocalizer(hidden=16)
    for name, config_now in (("task-aligned", config), ("single-box", single)):
        assert read_saved_config(FOLDERS / name / "config.yaml") == config_now


@pytest.mark.parametrize("name", NAMES)
def test_a_checkpoint_finds_what_it_found(name: str) -> None:
    """fdba9cb used anchors of the padding and kept boxes without area; today evaluation and `load` agree."""
    model = load_model(FOLDERS / name / "best.pt")
    source, method = model.config.data.open("val"), model.config.method
    samples = model.config.samples(source, training=False)
    batch = method.collate()([samples[0, index] for index in range(len(source))])
    with torch.inference_mode():
        predictions = model.network(batch.images)
    padded = [replace(sample, extent=(0, 0, *batch.size)) for sample in batch.samples]
    assert_close(method.decode(predictions, method.grid(batch.size), padded), expected(name)["detections"])
    localizer = anchorloc.load(FOLDERS / name / "best.pt", device="cpu")
    for index, found in enumerate(evaluate_model(model, source)[1]):
        np.testing.assert_allclose(localizer(source.image(index)).boxes, found.boxes, rtol=0, atol=1e-3)


def test_a_checkpoint_is_exported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["decode.soft_nms_sigma=0", "decode.class_agnostic_nms=false", "--size", "128", "128"]
    assert run_command(export.main, [str(FOLDERS / "task-aligned" / "best.pt"), "model.pt2", *words]) == 0


@pytest.fixture(scope="module", params=NAMES)
def resumed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the folder, resumed: the first one by the command, which judges it too."""
    folder = tmp_path_factory.mktemp("runs") / str(request.param)
    shutil.copytree(FOLDERS / folder.name, folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "LOG_EVERY", LOG_EVERY)
        if folder.name == NAMES[0]:
            assert run_command(train.main, ["--resume", "--out", str(folder)]) == 0
        else:
            run(read_saved_config(folder / "config.yaml"), folder, resume=True)
    return folder


def current(row: dict[str, Any]) -> dict[str, Any]:
    return {key.replace("quality_loss", "iou_loss"): value for key, value in row.items()}


def comparable(row: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in current(row).items() if not key.startswith("val/AP")}


def test_a_run_is_resumed_to_what_it_became(resumed: Path) -> None:
    """Up to what pixels, rounded otherwise when they are resized, and a validation in float32 change."""
    rows, before = timeless(read_log(resumed)), timeless(expected(resumed.name)["metrics"])
    assert len(rows) == len(before)
    for row, then in zip(rows, before, strict=True):
        assert comparable(row) == pytest.approx(comparable(then), rel=0.02, abs=1e-3)
    assert ("val/iou_loss" in rows[-1]) == (resumed.name == "task-aligned")
    assert weights(resumed)["config"] == to_plain(read_saved_config(resumed / "config.yaml"))


def test_a_translated_run_is_resumed_bit_for_bit(
    resumed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "LOG_EVERY", LOG_EVERY)
    folder = tmp_path / "run"
    shutil.copytree(FOLDERS / resumed.name, folder)
    config = read_saved_config(folder / "config.yaml")
    (folder / "config.yaml").write_text(to_yaml(config), encoding="utf-8")
    for path in (folder / "last.pt", folder / "best.pt"):
        save_checkpoint(path, with_current_names(load_checkpoint(path)))
    run(read_config(folder / "config.yaml"), folder, resume=True)
    for name in ("last.pt", "best.pt"):
        assert_same(weights(folder, name), with_current_names(weights(resumed, name)))
    assert timeless([*map(current, read_log(folder))]) == timeless([*map(current, read_log(resumed))])
