"""`anchorloc lab fit` as a user runs it: the printed evidence, the files, and every mistake in one sentence."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from anchorloc.anchors import AnchorGenerator
from anchorloc.assign import MaxIoUAssigner
from anchorloc.cli import run_command
from anchorloc.config import Config, config_from_plain, read_config
from anchorloc.errors import InputError
from anchorloc.lab import __main__ as lab
from anchorloc.lab.anchor_coverage import coverage_with
from anchorloc.lab.fit import Fit, FitSettings, fit_anchors
from anchorloc.lab.fit.fit_split import FitSplit, split_for_fit
from anchorloc.lab.fit.scoring import class_recalls, losing_classes, recall_gain
from anchorloc.lab.network_views import NetworkViews
from anchorloc.lab.report.anchor_fit import anchors_block, fit_json, fit_lines
from tests.data.data_sets import write_document

ANCHORS = "anchors={strides: [8, 16, 32], scales: [4], height_to_width: [1]}"
QUICK = ["--restarts", "2", "--resamples", "1", "--passes", "1"]

Boxes = list[tuple[int, list[float]]]  # image number from 1, xywh


def document(boxes: Boxes) -> dict[str, Any]:
    images = max([12, *(image for image, _ in boxes)])
    return {
        "images": [{"id": 1 + n, "file_name": f"{n}.png", "height": 128, "width": 160} for n in range(images)],
        "categories": [{"id": 1, "name": "cell"}],
        "annotations": [
            {"id": 1 + n, "image_id": image, "category_id": 1, "bbox": box} for n, (image, box) in enumerate(boxes)
        ],
    }


def many(seed: int = 0, images: int = 12, wide: float = 40, high: float = 12) -> Boxes:
    """Two boxes an image, all about one size."""
    random = np.random.default_rng(seed)
    sides = np.array([wide, high]) * np.exp(0.1 * random.standard_normal((2 * images, 2)))
    corners = random.uniform(size=sides.shape) * (np.array([160, 128]) - sides)
    return [(1 + n // 2, [*corners[n], *sides[n]]) for n in range(2 * images)]


def two_classes(common: Boxes, rare: Boxes) -> dict[str, Any]:
    both = document([*common, *rare])
    both["categories"].append({"id": 2, "name": "rod"})
    for item in both["annotations"][len(common) :]:
        item["category_id"] = 2
    return both


def run(tmp_path: Path, boxes: Boxes, *words: str) -> tuple[int, Path]:
    file = write_document(tmp_path / "boxes.json", document(boxes))
    out = tmp_path / "out"
    return run_command(lab.main, ["fit", str(file), ANCHORS, *QUICK, *words, "--out", str(out)]), out


def fitted(config: Config, **settings: Any) -> Fit:
    return fit_anchors(
        config, split_for_fit(config, 0), FitSettings(**{"restarts": 1, "resamples": 1, "passes": 1, **settings})
    )


def config_of(tmp_path: Path, boxes: Boxes, *overrides: str, val: Boxes | None = None) -> Config:
    write_document(tmp_path / "train.json", document(boxes))
    if val is not None:
        write_document(tmp_path / "val.json", document(val))
    data = {"kind": "CocoData", "root": str(tmp_path), "train": "train.json", "val": "val.json"}
    return config_from_plain({"data": data}, "a test", [ANCHORS, *overrides])


def written(out: Path) -> AnchorGenerator:
    """The anchors of the block to paste."""
    anchors = read_config(out / "anchors.yaml").anchors
    assert isinstance(anchors, AnchorGenerator)
    return anchors


@pytest.mark.parametrize("form", ["shapes", "scales"])
def test_the_command_finds_better_shapes_and_writes_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], form: str
) -> None:
    status, out = run(tmp_path, many(images=60), "--form", form)
    text = capsys.readouterr().out
    assert status == 0
    assert "beyond noise" in text
    assert [line for line in text.replace(str(out), "").splitlines() if len(line) > 80] == []
    record = json.loads((out / "fit.json").read_text(encoding="utf-8"))
    anchors = written(out)
    assert [[list(shape) for shape in level] for level in anchors.level_shapes] == record["anchors"]["shapes"]
    assert record["fitted"]["mean_recall"] > record["current"]["mean_recall"] + 0.2
    assert record["gain"]["low"] > 0
    wide = [width / height for width, height in anchors.level_shapes[0]]
    assert max(wide) > 2


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--shapes", "2", "--anchors", "900"], "--shapes and --anchors both set the number"),
        (["--anchors", "900", "--form", "scales"], "--form scales cannot"),
        (["--anchors", "0.5"], "--anchors must be at least 1, got 0.5"),
        (["--anchors", "100"], "--anchors 100 is too few: one shape a level makes"),
        (["--form", "scales", "anchors={strides: [8, 16], shapes: [[[9, 9]], [[9, 9], [30, 20]]]}"], "give --shapes"),
        (["more.json"], "give one config or one annotation file"),
        (["anchors.stride=[8]"], "did you mean 'strides'"),
    ],
)
def test_a_mistake_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], sentence: str
) -> None:
    status, out = run(tmp_path, many(), *words)
    error = capsys.readouterr().err
    assert status == 2
    assert error.count("\n") == 1
    assert sentence in error
    assert not out.exists()


def test_anchors_that_weights_are_made_for_are_not_fitted(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    kind = "anchors={kind: TorchvisionAnchors, sizes: [[16], [32]], aspect_ratios: [[1], [1]]}"
    assert run_command(lab.main, ["fit", "data.train_images=4", kind, "--out", str(tmp_path / "out")]) == 2
    assert "anchors.kind=TorchvisionAnchors" in capsys.readouterr().err


def test_no_box_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path, [])[0] == 2
    assert "has no box to train on" in capsys.readouterr().err


def test_nothing_is_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "out").mkdir()
    assert run(tmp_path, many())[0] == 2
    assert "exists already" in capsys.readouterr().err


@pytest.mark.parametrize(
    "boxes",
    [
        [(1, [10.0, 10, 30, 20])],
        [(1, [10.0, 10, 30, 20]), (2, [10.0, 10, 30, 20])],
        [(1 + n, [8.0, 8, 32, 32]) for n in range(12)],
        [(1 + n, [0.0, 0, 160, 128]) for n in range(12)],
        [(1 + n, [5.0, 5, 0.5, 0.5]) for n in range(12)],
    ],
    ids=["one", "two", "all equal", "all too large for two levels", "tiny"],
)
@pytest.mark.parametrize("words", [["--shapes", "7"], ["--anchors", "2000"], ["--form", "scales", "--shapes", "2"]])
def test_few_or_equal_boxes_give_a_result(tmp_path: Path, boxes: Boxes, words: list[str]) -> None:
    status, out = run(tmp_path, boxes, *words)
    assert status == 0
    counts = [len(level) for level in written(out).level_shapes]
    assert min(counts) >= 1
    if len(boxes) == 1 and "scales" not in words:
        assert max(counts) == 1  # a second shape would add nothing


def test_one_image_is_scored_on_itself_and_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path, [(1, [10.0, 10, 30, 20])])[0] == 0
    assert "the score is too good" in capsys.readouterr().out.replace("\n", " ")


def test_the_val_split_is_scored_on_where_it_has_a_box(tmp_path: Path) -> None:
    config = config_of(tmp_path, many(), val=many(1))
    assert split_for_fit(config, 0).held_out_name == "the val split"
    write_document(tmp_path / "val.json", document([]))
    assert "the val split has no box" in split_for_fit(config, 0).held_out_name
    (tmp_path / "val.json").unlink()
    assert "there is no" in split_for_fit(config, 0).held_out_name


def test_a_share_is_held_out_by_image_and_seed(tmp_path: Path) -> None:
    config = config_of(tmp_path, many())

    def names(split: FitSplit) -> list[set[str]]:
        return [{part.name(index) for index in range(len(part))} for part in (split.train, split.held_out)]

    train, held_out = names(split_for_fit(config, 0))
    assert len(held_out) == 2
    assert not train & held_out
    assert len(train | held_out) == 12
    assert names(split_for_fit(config, 0)) == [train, held_out] != names(split_for_fit(config, 1))


def test_a_sample_of_many_images_is_stated(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole = split_for_fit(config_of(tmp_path, many()), 0)
    assert whole.sample(10).train is whole.train
    one = whole.sample(1)
    assert (len(one.train), len(one.held_out), one.sampled) == (1, 1, True)
    assert one.held_out_name.startswith("1 of 2 images, spread evenly, of a random share of the train images")
    status, out = run(tmp_path, many(), "--max-images", "8")
    assert status == 0
    assert "pass over 8 train images, a sample spread evenly," in capsys.readouterr().out
    train = json.loads((out / "fit.json").read_text(encoding="utf-8"))["train"]
    assert (train["images"], train["sampled"]) == (8, True)


def test_the_same_seed_gives_the_same_fit(tmp_path: Path) -> None:
    config = config_of(tmp_path, many())
    one, same = fitted(config, restarts=3), fitted(config, restarts=3)
    assert one.config == same.config
    assert vars(one.gain) == vars(same.gain)


def test_a_fit_to_what_the_anchors_were_made_for_is_within_noise(tmp_path: Path) -> None:
    square = many(wide=32, high=32)
    config = config_of(tmp_path, square, val=square)
    once = fitted(config)
    again = fitted(once.config)
    assert again.gain.within_noise
    assert "within noise" in "\n".join(fit_lines(again))


def test_the_gain_is_the_difference_of_the_recalls(tmp_path: Path) -> None:
    found = fitted(config_of(tmp_path, many(), val=many(1)))
    assert found.gain.value == pytest.approx(found.fitted.mean_recall - found.current.mean_recall)
    assert found.gain.low is not None
    assert found.gain.high is not None
    assert found.gain.low <= found.gain.value <= found.gain.high
    views = NetworkViews(found.config, split_for_fit(found.config, 0).held_out)
    still = recall_gain(coverage_with(views, found.config), found.fitted, 0)
    assert (still.value, still.low, still.high, still.within_noise) == (0, None, None, True)


@pytest.mark.parametrize(("images", "boxes", "few"), [(9, 18, True), (10, 20, False)])
def test_few_held_out_images_show_nothing(tmp_path: Path, images: int, boxes: int, few: bool) -> None:
    found = fitted(config_of(tmp_path, many(), val=many(1, images)))
    gain = found.gain
    assert gain.value > 0.2
    assert (gain.images, gain.boxes, gain.few, gain.within_noise, gain.low is None) == (images, boxes, few, few, few)
    text = " ".join(fit_lines(found))
    assert ("beyond noise" in text) == (not few)
    assert ("too little held-out data" in text) == few
    assert fit_json(found, {})["gain"]["few"] == few
    assert max(map(len, fit_lines(found))) <= 80


def test_a_gain_that_is_the_same_everywhere_has_no_interval(tmp_path: Path) -> None:
    """Every image holds the same box, at the same place of a cell."""
    same = [(n, [16.0, 16.0, 40.0, 12.0]) for n in range(1, 13)]
    found = fitted(config_of(tmp_path, same, val=same))
    assert found.gain.value > 0
    assert (found.gain.low, found.gain.within_noise) == (None, False)
    assert "the same in every resample of the images: beyond noise" in " ".join(fit_lines(found))


def test_weighting_by_class_serves_the_rare_one(tmp_path: Path) -> None:
    common, rare = many(0, images=40), many(1, images=4, wide=12, high=40)
    both = two_classes(common, rare)
    config = config_of(tmp_path, common)
    config = replace(config, anchors=AnchorGenerator((8,), (4,), (1,)))
    write_document(tmp_path / "train.json", both)
    tall = {}
    for weight_by in ("boxes", "classes"):
        ((width, height),) = fitted(config, weight_by=weight_by).anchors.level_shapes[0]
        tall[weight_by] = height / width
    assert tall["boxes"] < 0.5
    assert tall["classes"] > tall["boxes"]


@pytest.mark.parametrize(("rods", "guarded"), [(16, True), (4, False)])
def test_a_class_is_not_given_up_for_the_gain_of_another(tmp_path: Path, rods: int, guarded: bool) -> None:
    """Twenty boxes a class are needed to separate a loss from chance."""
    config = config_of(tmp_path, many())
    config = replace(config, anchors=AnchorGenerator((8,), shapes=(((28.0, 28.0),),)))
    both = two_classes(many(0, images=40, wide=60, high=60), many(1, images=rods, wide=28, high=28))
    write_document(tmp_path / "train.json", both)
    found = fitted(config)
    losses, _ = losing_classes(found.current, found.fitted)
    assert (class_recalls(found.current)[1] > 0).all()
    if guarded:
        assert losses.max() < 0.1
    else:
        assert losses[1] > 0.5
        assert found.gain.value > 0


def test_what_gets_worse_is_reported(tmp_path: Path) -> None:
    """The rods are too few for the guard in training, but not on the held-out images."""
    config = config_of(tmp_path, many(), val=many())
    config = replace(config, anchors=AnchorGenerator((8,), shapes=(((28.0, 28.0),),)), assign=MaxIoUAssigner())
    for name, rods in (("train", 4), ("val", 12)):
        both = two_classes(many(0, images=40, wide=60, high=60), many(1, images=rods, wide=28, high=28))
        write_document(tmp_path / f"{name}.json", both)
    found = fitted(config)
    text = " ".join(fit_lines(found))
    assert "beyond noise" in text
    assert "1 class loses" in text
    assert "rod (24 boxes)" in text
    worse = replace(
        found, current=found.fitted, fitted=found.current, gain=replace(found.gain, value=0.1, low=0.1, high=0.2)
    )
    said = " ".join(fit_lines(worse))
    assert f"IoU >= 0.5 falls from {found.fitted.recall50:.1%} to {found.current.recall50:.1%}" in said
    assert "rise from 24 to 80" in said
    assert max(map(len, fit_lines(worse))) <= 80


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--form", "circles"], "argument --form: invalid choice: 'circles'"),
        (["--weight-by", "area"], "argument --weight-by: invalid choice: 'area'"),
        (["--shapes", "0"], "argument --shapes: need a whole number from 1, got '0'"),
        (["--anchors", "nan"], "argument --anchors: need a number above 0, got 'nan'"),
        (["--passes", "0"], "argument --passes: need a whole number from 1, got '0'"),
        (["--restarts", "0"], "argument --restarts: need a whole number from 1, got '0'"),
        (["--resamples", "-1"], "argument --resamples: need a whole number from 0, got '-1'"),
        (["--seed", "-1"], "argument --seed: need a whole number from 0, got '-1'"),
    ],
)
def test_a_wrong_option_is_refused_by_the_parser(
    words: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        lab.main(["fit", *words])
    assert ended.value.code == 2
    assert sentence in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"form": "circles"}, "--form must be one of shapes, scales, got 'circles'"),
        ({"weight_by": "area"}, "--weight-by must be one of boxes, classes, got 'area'"),
        ({"shapes": 0}, "--shapes must be at least 1, got 0"),
        ({"anchors": float("nan")}, "--anchors must be at least 1, got nan"),
        ({"seed": -1}, "--seed must be at least 0, got -1"),
    ],
)
def test_wrong_fit_settings_are_refused(settings: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError) as caught:
        FitSettings(**settings)
    assert str(caught.value) == sentence


def test_the_block_reads_back() -> None:
    anchors = AnchorGenerator((8, 20.5), shapes=(((10.1, 3),), tuple((float(n), n + 0.5) for n in range(1, 30))))
    assert max(map(len, anchors_block(anchors).splitlines())) <= 80
    with pytest.raises(InputError, match="--restarts must be at least 1"):
        FitSettings(restarts=0)
