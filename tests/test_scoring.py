"""The choices of an evaluation: classes, images, IoU thresholds, sizes and groups, each named in the report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import anchorloc
from anchorloc import evaluate as command
from anchorloc.cli import run_command
from anchorloc.data import ShapesData, read_truth
from anchorloc.data.coco_export import write_coco
from anchorloc.engine import scoring_choices
from anchorloc.errors import InputError
from anchorloc.metrics import bootstrap, image_weights, match_targets, weighted_scores
from anchorloc.metrics.resampling import basic_interval, coco_numbers
from tests.detector.random_models import save_random
from tests.metrics.evaluation_cases import Json, from_coco, without_ties

LIMITS = (1, 10, 100)
CHOICES = ("class_agnostic", "subset", "iou_thresholds", "size_borders", "max_detections", "intervals_over")


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Json, list[Json]]:
    """30 images in 15 videos, with a label file and a result file."""
    folder = tmp_path_factory.mktemp("case")
    truth, results = without_ties(7, images=30)
    for place, image in enumerate(truth["images"]):
        image |= {"file_name": f"v{place // 2}_{place % 2}.png", "height": 300, "width": 300, "video": place // 2}
    for number, annotation in enumerate(truth["annotations"], 1):
        annotation |= {"id": number, "iscrowd": annotation.get("iscrowd", 0)}
        annotation.setdefault("area", annotation["bbox"][2] * annotation["bbox"][3])
    write(folder, truth, results)
    return folder, truth, results


def write(folder: Path, truth: Json, results: list[Json]) -> None:
    (folder / "val.json").write_text(json.dumps(truth), encoding="utf-8")
    (folder / "found.json").write_text(json.dumps(results), encoding="utf-8")


def judged(folder: Path, out: Path, **choices: Any) -> dict[str, Any]:
    choices = {"resamples": 40, **choices}
    files = folder / "found.json", folder / "val.json"
    return dict(anchorloc.evaluate.run(detections=files[0], annotations=files[1], out=out, **choices).metrics)


def test_the_report_names_every_choice(case: tuple[Path, Json, list[Json]], tmp_path: Path) -> None:
    folder, truth, _ = case
    usual = judged(folder, tmp_path / "usual")
    assert {name: one["value"] for name, one in usual["scoring"].items()} == {
        "class_agnostic": False,
        "subset": None,
        "iou_thresholds": pytest.approx([0.5 + 0.05 * step for step in range(10)]),
        "size_borders": [32, 96],
        "max_detections": [1, 10, 100],
        "intervals_over": "images",
    }
    assert not {"classes", "subset of the images", "intervals over"} & set(usual["facts"])
    (tmp_path / "list.txt").write_text("v0_0.png\n\n" + str(truth["images"][5]["id"]) + "\n", encoding="utf-8")
    choices = {"class_agnostic": True, "iou_thresholds": np.array([0.3, 0.5]), "max_detections": 7}
    choices["size_borders"] = np.array([16, 64])
    changed = judged(folder, tmp_path / "changed", **choices, subset=tmp_path / "list.txt", group_by="video")
    assert set(changed["scoring"]) == set(CHOICES)
    assert all(one["meaning"] for one in changed["scoring"].values())
    assert changed["scoring"]["iou_thresholds"]["value"] == [0.3, 0.5]
    assert changed["counts"]["images"] == 2
    assert "IoU 0.3, 0.5" in changed["meanings"]["summary"]["AP"]
    assert "area up to 16² px" in changed["meanings"]["summary"]["APs"]
    page, markdown = ((tmp_path / "changed" / f"report.{kind}").read_text(encoding="utf-8") for kind in ("html", "md"))
    for words in ("all count as one", "list.txt", "IoU 0.3, 0.5", "16² and 64² px", "2 groups of images"):
        assert words in page
        assert words in markdown
    assert changed["scoring"]["intervals_over"]["meaning"].endswith("of equal 'video'")


def test_class_agnostic_is_one_class_for_all(case: tuple[Path, Json, list[Json]], tmp_path: Path) -> None:
    folder, truth, results = case
    merged = tmp_path / "merged"
    merged.mkdir()
    write(
        merged,
        {**truth, "categories": truth["categories"][:1],
         "annotations": [{**one, "category_id": 7} for one in truth["annotations"]]},
        [{**one, "category_id": 7} for one in results],
    )  # fmt: skip
    expected = judged(merged, tmp_path / "expected")
    found = judged(folder, tmp_path / "found", class_agnostic=True)
    assert found["summary"] == expected["summary"] != judged(folder, tmp_path / "usual")["summary"]
    assert found["analysis"]["intervals"] == expected["analysis"]["intervals"]
    assert [one["name"] for one in found["classes"]] == ["object"]


@pytest.mark.parametrize(
    ("subset", "kept"),
    [("0:10", range(10)), ("20:", range(20, 30)), ("::3", range(0, 30, 3)), ("-4:", range(26, 30)),
     ("::-2", range(1, 30, 2))],
)  # fmt: skip
def test_a_slice_scores_these_images_alone(
    case: tuple[Path, Json, list[Json]], tmp_path: Path, subset: str, kept: range
) -> None:
    folder, truth, results = case
    ids = {truth["images"][place]["id"] for place in kept}
    part = tmp_path / "part"
    part.mkdir()
    write(
        part,
        {
            **truth,
            "images": [one for one in truth["images"] if one["id"] in ids],
            "annotations": [one for one in truth["annotations"] if one["image_id"] in ids],
        },
        [one for one in results if one["image_id"] in ids],
    )
    found, expected = judged(folder, tmp_path / "found", subset=subset), judged(part, tmp_path / "expected")
    for key in ("summary", "counts", "classes", "operating_point"):
        assert found[key] == expected[key]
    assert found["analysis"]["slices"] == expected["analysis"]["slices"]


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"subset": "40:50"}, "--subset 40:50 has none of the 30 images; give another"),
        ({"subset": "::0"}, "--subset ::0: the step is 0; give another"),
        ({"subset": "nowhere.txt"}, "nowhere.txt does not exist; check the path"),
        (
            {"subset": "LIST"},
            "list.txt, line 2: 'nobody.png' is neither the file name nor the id of an annotated image",
        ),
        ({"subset": "TWICE"}, "twice.txt, line 2: 'v0_0.png' is listed twice; remove the line"),
        ({"subset": "EMPTY"}, "has none of the 30 images; give another"),
        (
            {"iou_thresholds": [0.5, 0.3]},
            "need ascending IoU thresholds above 0, up to 1, got (0.5, 0.3); correct --iou",
        ),
        ({"size_borders": (64, 16)}, "need two ascending borders of sizes above 0 px, got (64.0, 16.0); correct"),
        ({"iou_thresholds": 0.5}, "correct --iou-thresholds or --size-borders"),
        ({"iou_thresholds": []}, "need ascending IoU thresholds above 0, up to 1, got (); correct"),
        ({"size_borders": (64,)}, "correct --iou-thresholds or --size-borders"),
        ({"group_by": "patient"}, "'patient'"),
        ({"group_by": "video", "group_by_name": "(v)"}, "group_by and group_by_name both form groups; give one"),
    ],
)
def test_mistakes_in_a_choice(
    case: tuple[Path, Json, list[Json]], tmp_path: Path, choices: dict[str, Any], message: str
) -> None:
    for name, text in (("LIST", "v0_0.png\nnobody.png\n"), ("TWICE", "v0_0.png\nv0_0.png\n"), ("EMPTY", "\n")):
        (tmp_path / f"{name.lower()}.txt").write_text(text, encoding="utf-8")
        if choices.get("subset") == name:
            choices = {"subset": tmp_path / f"{name.lower()}.txt"}
    with pytest.raises(InputError) as error:
        judged(case[0], tmp_path / "out", **choices)
    assert message in str(error.value)
    assert not (tmp_path / "out").exists()


def test_groups_are_drawn_as_a_whole(case: tuple[Path, Json, list[Json]], tmp_path: Path) -> None:
    folder, truth, results = case
    match_result = match_targets(*from_coco(truth, results), LIMITS[-1])
    groups = np.arange(30) // 2
    drawn = [
        coco_numbers(weighted_scores(match_result, weights[groups], LIMITS), LIMITS)["AP"]
        for weights in image_weights(15, 40, seed=3)
    ]
    grouped = bootstrap(match_result, LIMITS, 40, seed=3, groups=groups).summary["AP"]
    alone = basic_interval(coco_numbers(weighted_scores(match_result, None, LIMITS), LIMITS)["AP"], np.array(drawn))
    assert grouped is not None
    assert alone is not None
    assert (grouped.low, grouped.high) == pytest.approx((alone.low, alone.high), abs=1e-12)
    each = bootstrap(match_result, LIMITS, 40, seed=3)
    assert bootstrap(match_result, LIMITS, 40, seed=3, groups=np.arange(30)).summary == each.summary
    assert each.summary["AP"] != grouped
    by_key = judged(folder, tmp_path / "key", seed=3, group_by="video")["analysis"]["intervals"]
    by_name = judged(folder, tmp_path / "name", seed=3, group_by_name="^(v[0-9]+)_")["analysis"]["intervals"]
    assert by_key["AP"] == by_name["AP"] is not None
    few = bootstrap(match_result, LIMITS, 40, groups=np.arange(30) // 4)
    assert set(few.summary.values()) == {None}  # 8 groups


def test_a_checkpoint_takes_the_same_choices(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = tmp_path / "data"
    write_coco({"val": ShapesData(train_images=1, val_images=6, size=96).open("val")}, root)
    data = f"data={{kind: CocoData, root: '{root}', train: annotations/instances_val.json}}"
    checkpoint = str(save_random(tmp_path / "best.pt", data))
    words = ["--class-agnostic", "--subset", "1:5", "--iou-thresholds", "0.5", "--size-borders", "20", "50"]
    out = tmp_path / "out"
    assert run_command(command.main, [checkpoint, *words, "--resamples", "5", "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert "4 images" in said
    assert "AP: mean over classes, IoU 0.5 and 101 recall points" in said
    metrics = json.loads((out / "metrics.json").read_text(encoding="utf-8"))
    assert metrics["summary"]["AP"] == metrics["summary"]["AP50"]
    assert metrics["summary"]["AP75"] is None
    assert [one["name"] for one in metrics["classes"]] == ["object"]
    assert metrics["scoring"]["subset"]["value"] == "1:5"
    assert run_command(command.main, [checkpoint, "--group-by", "video", "--out", str(tmp_path / "no")]) == 2
    assert "for a checkpoint give --group-by-name" in capsys.readouterr().err


def test_a_list_of_images_may_have_backslashes(tmp_path: Path) -> None:
    truth = {"images": [{"id": 7, "file_name": "day/a.png", "width": 9, "height": 9}], "annotations": []}
    (tmp_path / "val.json").write_text(json.dumps({**truth, "categories": [{"id": 1, "name": "cup"}]}))
    (tmp_path / "list.txt").write_text("day\\a.png\n")
    annotations = read_truth(tmp_path / "val.json")
    assert scoring_choices._listed(tmp_path / "list.txt", annotations).tolist() == [0]
