"""Images of one cell, whose normalization has no variance: refused before a run has a folder."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from anchorloc import train
from anchorloc.cli import run_command
from anchorloc.config import Config
from anchorloc.engine.build import build_detector
from anchorloc.engine.single_values import refuse_single_values
from anchorloc.errors import InputError
from tests.engine.small_runs import small

ONE_CELL = ["data={train_images: 3, val_images: 2, size: 32}", "train.batch_size=1", "anchors.scales=[2]"]
NO_BATCH_NORM = ["detector.pyramid.norm=none", "detector.head={norm: group, channels: 64}"]
GROUPS_OF_ONE = [*ONE_CELL, "train.batch_size=2", "detector.head={norm: group, channels: 32}"]
FROZEN = "detector.backbone={kind: TorchvisionBackbone, name: mobilenet_v2, weights: none, frozen_norm: true}"
FROZEN_ONE_CELL = [*ONE_CELL, FROZEN, "anchors.strides=[8, 16, 32]"]


def check(*words: str, processes: int = 1) -> Config:
    config = small(*words)
    refuse_single_values(build_detector(config, 3, pretrained=False), config, config.data.open("train"), processes)
    return config


def run_step(config: Config) -> None:
    """Run the network in training and in evaluation as the smallest image does, which torch refuses if it is so."""
    network = build_detector(config, 3, pretrained=False)
    side = config.padded(config.transform.resize(config.data.open("train").size(0))[0])
    network.train()(torch.zeros(config.train.micro_batch(), 3, *side))
    network.eval()(torch.zeros(1, 3, *side))


@pytest.mark.parametrize(
    ("words", "advice"),
    [
        (ONE_CELL, ["train.batch_size=2"]),
        (ONE_CELL, ["data.size=64"]),
        (FROZEN_ONE_CELL, NO_BATCH_NORM),
        ([*FROZEN_ONE_CELL, "detector.pyramid.norm=none", "detector.head.channels=64"], ["detector.head.norm=group"]),
        (GROUPS_OF_ONE, ["detector.head.channels=64"]),
        (GROUPS_OF_ONE, ["data.size=64"]),
    ],
)
def test_the_advice_helps(words: list[str], advice: list[str]) -> None:
    with pytest.raises(InputError):
        check(*words)
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        run_step(small(*words))
    run_step(check(*words, *advice))


@pytest.mark.parametrize(
    ("words", "processes", "said"),
    [
        (
            ONE_CELL,
            1,
            "batch normalization gets a single value per channel from an image of 32 x 32 px, which has one cell at a "
            "level: use at least two images per micro-batch (train.batch_size, now 1, divided by processes and "
            "train.gradient_accumulation, now 1), larger images (transform.resize) or fewer levels",
        ),
        (
            [*FROZEN_ONE_CELL, "train.batch_size=4", "train.gradient_accumulation=2"],
            2,
            "train.gradient_accumulation, now 2), larger images (transform.resize) or fewer levels; or set "
            "detector.pyramid.norm=none and detector.head.norm=group and detector.head.channels=64",
        ),
        (
            GROUPS_OF_ONE,
            1,
            "group normalization gets a single value per group from an image of 32 x 32 px, which has one cell at a "
            "level: set detector.head.channels=64, or use larger images (transform.resize) or fewer levels",
        ),
    ],
)
def test_the_sentence_names_the_settings_that_help(words: list[str], processes: int, said: str) -> None:
    with pytest.raises(InputError) as caught:
        check(*words, processes=processes)
    assert str(caught.value).endswith(said)


def test_the_smallest_scale_and_the_longer_side_decide() -> None:
    check(*ONE_CELL, "data.size=64", "transform.resize={kind: Letterbox, height: 32, width: 64}")
    with pytest.raises(InputError, match="32 x 32 px"):
        check(*ONE_CELL, "data.size=64", "transform.augment.multi_scale=[0.5, 1]")


@pytest.mark.parametrize("plan", [[], ["--plan"]])
def test_nothing_is_left_behind(plan: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "run"
    words = [*ONE_CELL, "train.workers=0", "train.length=1 iteration", "--force", "--out", str(out), *plan]
    assert run_command(train.main, words) == 2
    assert "batch normalization gets a single value" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
