"""Classes by name where a run meets data: train and val, a checkpoint and the data, weights to start from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from anchorloc.checkpoint import save_checkpoint
from anchorloc.config import Config, to_plain
from anchorloc.data import ShapesData, Source
from anchorloc.data.coco_export import write_coco
from anchorloc.engine.build import build_detector, open_all_splits
from anchorloc.engine.evaluation import judge_checkpoint
from anchorloc.engine.state.pretrained import load_pretrained
from anchorloc.engine.state.resume_check import find_changes
from anchorloc.errors import InputError
from anchorloc.lab.fit.fit_split import split_for_fit
from anchorloc.lab.inspection import open_views
from anchorloc.metrics.analysis import AnalysisOptions
from anchorloc.structures import Category, categories_of
from tests.detector.random_models import CLASSES, save_random
from tests.engine.small_runs import small

Pairs = tuple[tuple[int | str, str], ...]


@pytest.fixture
def coco(tmp_path: Path) -> Path:
    data = ShapesData(train_images=2, val_images=3, size=96)
    write_coco({"train": data.open("train"), "val": data.open("val")}, tmp_path / "set")
    return tmp_path / "set"


def config_of(root: Path) -> Config:
    return small(f"data={{kind: CocoData, root: {root}}}")


def renumber(root: Path, split: str, ids: dict[int, int], **names: str) -> None:
    """Give the classes of a split other ids and names."""
    path = root / f"annotations/instances_{split}.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    for category in content["categories"]:
        category.update(id=ids[category["id"]], name=names.get(category["name"], category["name"]))
    for item in content["annotations"]:
        item["category_id"] = ids[item["category_id"]]
    path.write_text(json.dumps(content), encoding="utf-8")


OTHER = {1: 20, 2: 30, 3: 10, 4: 40}  # a cycle of three, which is not its own inverse


def names_of(source: Source) -> list[list[str]]:
    return [[source.categories[label].name for label in source.target(index).labels] for index in range(len(source))]


def test_val_gets_the_classes_of_train_in_training_and_in_the_lab(coco: Path) -> None:
    config = config_of(coco)
    before = open_all_splits(config)[:2]
    renumber(coco, "val", OTHER)
    train, val, _ = open_all_splits(config)
    assert val.categories == train.categories == before[0].categories
    assert names_of(val) == names_of(before[1])
    views = open_views(config)
    assert views["val"].source.categories == train.categories
    split = split_for_fit(config, 0)
    assert split.held_out.categories == split.train.categories
    renumber(coco, "val", {value: key for key, value in OTHER.items()}, cross="plus")
    said = r"of train and val differ, only in train: 'cross' \(id 4\), only in val: 'plus' \(id 4\); give both"
    for opened in (open_all_splits, open_views, lambda config: split_for_fit(config, 0)):
        with pytest.raises(InputError, match=said):
            opened(config)


def test_a_resumed_run_keeps_the_order_of_its_classes(coco: Path) -> None:
    config = config_of(coco)
    before = open_all_splits(config)[:2]
    for split in ("train", "val"):
        renumber(coco, split, OTHER)
    assert open_all_splits(config)[0].categories != before[0].categories
    train, val, _ = open_all_splits(config, before[0].categories)
    assert train.categories == val.categories == before[0].categories
    assert [names_of(train), names_of(val)] == [names_of(source) for source in before]
    others = categories_of([(1, "a")])
    assert open_all_splits(config, others)[0].categories == open_all_splits(config)[0].categories


def test_changed_classes_are_shown_without_the_equal_ones() -> None:
    then: dict[str, Any] = {"categories": [[number, f"c{number}"] for number in range(500)]}
    now = {"categories": [*then["categories"][:-1], [499, "x"], [500, "y"]]}
    (change,) = find_changes(then, now)
    assert str(change) == "other classes: 'c499' (id 499), not 'x' (id 499), 'y' (id 500)"


def test_a_checkpoint_is_scored_by_name(coco: Path, tmp_path: Path) -> None:
    best = save_random(tmp_path / "best.pt", f"data={{kind: CocoData, root: {coco}}}")
    options = AnalysisOptions(resamples=0)
    before = judge_checkpoint(best, options=options)
    renumber(coco, "val", OTHER)
    after = judge_checkpoint(best, options=options)
    assert after.evaluation.summary == before.evaluation.summary
    assert [one.ap for one in after.evaluation.classes] == [one.ap for one in before.evaluation.classes]
    assert any(one.ap for one in before.evaluation.classes)
    said = "the data has the classes under other ids than the checkpoint; they are matched by name"
    assert said in after.warnings
    renumber(coco, "val", {value: key for key, value in OTHER.items()}, cross="plus")
    said = (
        r"and the data differ, only in the checkpoint: 'cross' \(id 4\), only in the data: 'plus' \(id 4\); evaluate on"
    )
    with pytest.raises(InputError, match=said):
        judge_checkpoint(best)


def weights_of(path: Path, classes: Pairs) -> Path:
    config = small()
    state = build_detector(config, len(classes)).state_dict()
    pairs = [list(pair) for pair in classes]
    save_checkpoint(path, {"config": to_plain(config), "categories": pairs, "step": 1, "model": state})
    return path


def started(weights: Path, classes: Pairs) -> tuple[list[str], torch.Tensor]:
    """Return what was not loaded, and the first logits of each class."""
    config = small(f"detector.weights={weights}")
    torch.manual_seed(1)
    network = build_detector(config, len(classes))
    not_loaded = load_pretrained(network, config, categories_of(classes))
    shapes = config.anchors.shapes_per_level[0]
    return not_loaded, network.state_dict()["head.logits.0.weight"].view(shapes, len(classes), -1)


def test_a_start_from_classes_of_one_name_is_refused_unless_all_classes_are_equal(tmp_path: Path) -> None:
    doubled: Pairs = ((1, "car"), (2, "bus"), (3, "car"))
    weights = weights_of(tmp_path / "doubled.pt", doubled)
    not_loaded, logits = started(weights, doubled)
    assert not_loaded == []
    given = torch.load(weights, weights_only=True)["model"]["head.logits.0.weight"].view(logits.shape)
    assert torch.equal(logits, given)
    assert not torch.equal(logits[:, 0], logits[:, 2])
    said = (
        r"several categories of {} are named 'car', with the ids 1, 3, so the categories of the data and .* cannot be"
    )
    with pytest.raises(InputError, match=said.format(r".*doubled\.pt")):
        started(weights, ((1, "car"), (2, "bus")))
    with pytest.raises(InputError, match=said.format("the data")):
        started(weights_of(tmp_path / "single.pt", ((1, "car"),)), doubled)
    assert started(weights, ((1, "bus"), (2, "van")))[0] == ["1 of 2 classes (van): not among the 3"]


def test_names_in_a_checkpoint_count_even_if_it_has_as_many_rows_as_coco(tmp_path: Path) -> None:
    weights = weights_of(tmp_path / "a.pt", tuple((number, f"a{number}") for number in range(91)))
    not_loaded, _ = started(weights, tuple((number, f"b{number}") for number in range(91)))
    assert not_loaded == ["91 of 91 classes (b0, b1, b2, b3, b4, ...): not among the 91"]


def test_equal_names_are_shown_with_ids(coco: Path, tmp_path: Path) -> None:
    renumber(coco, "val", {1: 1, 2: 2, 3: 3, 4: 4}, cross="ellipse")
    pairs: Pairs = (*CLASSES[:-1], (4, "ellipse"))
    best = save_random(tmp_path / "best.pt", f"data={{kind: CocoData, root: {coco}}}", classes=pairs)
    judgment = judge_checkpoint(best, options=AnalysisOptions(resamples=0))
    shown = [one.category.shown_name for one in judgment.evaluation.classes]
    assert shown == ["ellipse (id 1)", "rectangle", "triangle", "ellipse (id 4)"]
    assert any("several categories have one name" in warning for warning in judgment.warnings)
    assert Category(1, "ellipse").shown_name == "ellipse"
