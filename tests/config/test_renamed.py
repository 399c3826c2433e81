"""Renamed settings: an error gives users the new name; the program's own files are translated."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from anchorloc.assign import MaxIoUAssigner
from anchorloc.config import config_from_plain, list_settings, read_config, read_saved_config, to_plain, translated
from anchorloc.config.renamed import RENAMED
from anchorloc.detector import TaskAlignedAssigner
from anchorloc.errors import InputError

KEYS = {re.sub(r"\[\w+\]", "", key) for key, _, _ in list_settings()}


@pytest.mark.parametrize(("old", "new"), RENAMED.items())
def test_an_old_key_is_told_its_new_name(old: str, new: str, tmp_path: Path) -> None:
    assert new in KEYS
    assert old not in KEYS
    path = tmp_path / "x.yaml"
    path.write_text("data: {kind: CocoData, root: x}")
    with pytest.raises(InputError) as caught:
        read_config(path, [f"{old}=1"])
    assert str(caught.value) == f"the override '{old}=1': {old} is now {new}"
    plain: object = 1
    for key in reversed(old.split(".")):
        plain = {key: plain}
    with pytest.raises(InputError, match=f"^x.yaml.*: {re.escape(f'{old} is now {new}')}$"):
        config_from_plain(plain, "x.yaml", ["data.kind=CocoData", "data.root=x"] if old.startswith("data") else [])


def test_align_is_told_its_place() -> None:
    with pytest.raises(InputError) as caught:
        read_config(None, ["align={top: 9}"])
    assert str(caught.value).endswith("align is now a kind of assign; write assign: {kind: TaskAlignedAssigner}")


def test_a_config_of_an_earlier_version_is_translated(tmp_path: Path) -> None:
    then = {
        "assign": {"kind": "MaxIoUAssigner", "positive_iou": 0.6},
        "align": {"top": 9, "alpha": 1.0, "beta": 5.0},
        "train": {"accumulate": 2, "optimizer": {"kind": "SGD", "backbone_rate": 0.5}},
        "detector": {"head": {"kind": "Head", "quality": True}},
    }
    now = {
        "assign": {
            "kind": "TaskAlignedAssigner", "topk": 9, "alpha": 1.0, "beta": 5.0,
            "initial": {"kind": "MaxIoUAssigner", "positive_iou": 0.6},
        },
        "train": {"gradient_accumulation": 2, "optimizer": {"kind": "SGD", "backbone_lr_multiplier": 0.5}},
        "detector": {"head": {"kind": "Head", "iou_branch": True}},
    }  # fmt: skip
    assert translated(then) == now
    assert then["train"] == {"accumulate": 2, "optimizer": {"kind": "SGD", "backbone_rate": 0.5}}  # not written into
    config = config_from_plain(translated(then), "a test")
    assert config.assign == TaskAlignedAssigner(9, beta=5.0, initial=MaxIoUAssigner(0.6))
    assert translated(to_plain(config)) == to_plain(config)
    assert translated({"align": None, "assign": {"candidates": 5}}) == {"assign": {"topk": 5}}
    path = tmp_path / "config.yaml"
    path.write_text("align: {top: 9}\ntrain: {keep: 3}\n")
    assert read_saved_config(path, ["train.seed=5"]).train.keep_checkpoints == 3
    with pytest.raises(InputError, match=r"train\.keep is now train\.keep_checkpoints"):
        read_saved_config(path, ["train.keep=1"])


@pytest.mark.parametrize("plain", [{}, {"train": 3}, {"detector": {"head": [1]}}, {"align": 1}, {"assign": None}])
def test_what_is_no_config_is_left_to_the_reader(plain: dict[str, object]) -> None:
    assert translated(plain) == {key: value for key, value in plain.items() if key != "align"}
