"""Suspected label errors: each kind is found by its evidence, and bad input is one sentence."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from anchorloc.boxes import box_iou
from anchorloc.cli import run_command
from anchorloc.data import read, read_annotations, read_results
from anchorloc.doctor.__main__ import main
from anchorloc.doctor.suspects import KINDS, LabelSuspects, find_suspects
from anchorloc.doctor.suspects.box_pairs import PlacedBoxes, overlapping_pairs, pairs_within
from anchorloc.doctor.suspects.label_matches import best_of_each
from anchorloc.doctor.suspects.score_calibration import calibrate
from anchorloc.doctor.suspects.suspect_table import HEADER, suspect_rows
from anchorloc.doctor.suspects.usual_iou import usual_iou
from tests.doctor.suspect_cases import IMAGES, SIDE, sound, with_errors, write_case
from tests.python_processes import run_command_line

Case = tuple[dict[str, Any], list[dict[str, Any]]]
Edit = Callable[[dict[str, Any], list[dict[str, Any]]], object]


def suspects_of(case: Case, folder: Path) -> LabelSuspects:
    labels, results = write_case(folder, *case)
    truth = read_annotations(labels)
    return find_suspects(truth, read_results(results, truth))


def scores_of(found: LabelSuspects) -> dict[str, list[tuple[Any, ...]]]:
    """Return what the suspects of a score of at least 0.5 name, by kind."""
    named: dict[str, list[tuple[Any, ...]]] = {}
    for row in suspect_rows(found):
        one = dict(zip(HEADER, row, strict=True))
        if float(str(one["score"])) >= 0.5:
            named.setdefault(str(one["kind"]), []).append(
                (one["file_name"], one["annotation_id"], one["other_annotation_id"], one["detected_class"])
            )
    return named


def test_each_error_is_found_and_named_as_what_it_is(tmp_path: Path) -> None:
    assert scores_of(suspects_of(with_errors(), tmp_path)) == {
        "wrong-class": [("2.png", 20, None, "cat")],
        "missing-box": [("5.png", None, None, "cat")],
        "loose-box": [("8.png", 81, None, "dog")],
        "doubled-box": [("11.png", 999, 110, None)],
    }


def test_sound_labels_have_no_likely_suspect(tmp_path: Path) -> None:
    assert scores_of(suspects_of(sound(), tmp_path)) == {}


def as_crowd(labels: dict[str, Any], _: object) -> None:
    labels["annotations"].append(
        {"id": 1, "image_id": 5, "category_id": 3, "bbox": [0, 0, 90, 90], "area": 8100, "iscrowd": 1}
    )


def of_score(score: float) -> Edit:
    return lambda _, results: results[12].update(score=score)  # the cat of image 5, which has no label


def two_classes(labels: dict[str, Any], results: list[dict[str, Any]]) -> None:
    results.append({**results[3], "category_id": 7, "score": 0.9})  # a dog too, where label 20 says dog


def twice(labels: dict[str, Any], results: list[dict[str, Any]]) -> None:
    results.append({**results[12], "category_id": 7, "score": 0.6})


@pytest.mark.parametrize(
    ("edit", "kind", "left"),
    [
        (as_crowd, "missing-box", 0),
        (of_score(0.05), "missing-box", 0),
        (twice, "missing-box", 1),  # one object, though two classes are detected
        (two_classes, "wrong-class", 0),
    ],
    ids=["in a crowd", "unsure", "two detections", "own class detected"],
)
def test_what_speaks_for_a_label_or_against_a_detection_counts(
    edit: Edit, kind: str, left: int, tmp_path: Path
) -> None:
    case = with_errors()
    edit(*case)
    assert len(scores_of(suspects_of(case, tmp_path)).get(kind, [])) == left


def test_a_class_that_the_model_confuses_is_trusted_less(tmp_path: Path) -> None:
    """The same detection is weaker evidence where the model often takes dogs for cats."""
    plain, confused = with_errors(), with_errors()
    for row in range(3 * 10, 3 * 20, 3):
        confused[1][row + 1]["category_id"] = 3
    found = [next(suspects_of(case, tmp_path).of("wrong-class")) for case in (plain, confused)]
    own = [one for one in suspects_of(confused, tmp_path).of("wrong-class") if one.image == 1]
    assert own[0].score < found[0].score - 0.01


coordinates = st.integers(0, 12)


@given(st.lists(st.tuples(st.integers(0, 2), coordinates, coordinates, st.integers(1, 9), st.integers(1, 9))))
def test_pairs_are_those_of_the_iou_matrix(rows: list[tuple[int, ...]]) -> None:
    table = np.array(rows, np.float64).reshape(-1, 5)
    boxes = np.column_stack([table[:, 1:3], table[:, 1:3] + table[:, 3:]])
    placed = PlacedBoxes(table[:, 0].astype(np.int64), np.zeros(len(table), np.int64), boxes)
    same_image = table[:, None, 0] == table[None, :, 0]
    for least in (0.05, 0.5, 1.0):
        wanted = set(zip(*np.nonzero((box_iou(boxes, boxes) >= least) & same_image), strict=True))
        pairs = overlapping_pairs(placed, placed, least)
        assert set(zip(pairs.first, pairs.second, strict=True)) == wanted
        assert len(pairs.first) == len(wanted)
        within = pairs_within(placed, least)
        assert set(zip(within.first, within.second, strict=True)) == {(i, j) for i, j in wanted if i < j}


def test_the_best_of_each_group_is_the_first_of_equals() -> None:
    groups, values = np.array([2, 1, 2, 1, 3]), np.array([0.5, 0.1, 0.5, 0.7, 0.0])
    assert best_of_each(groups, values).tolist() == [True, False, False, True, True]


def test_calibrated_scores_are_the_share_that_is_right() -> None:
    """A logistic curve is found again, and a class without detections follows the others."""
    random = np.random.default_rng(0)
    scores, labels = random.uniform(0.05, 0.95, 20_000), random.integers(0, 2, 20_000)
    logits = 0.5 * np.log(scores / (1 - scores)) - 1 - labels
    curve = calibrate(scores, labels, random.random(20_000) < 1 / (1 + np.exp(-logits)), 3)
    assert curve(np.full(3, 0.6), np.arange(3)) == pytest.approx([0.311, 0.142, 0.245], abs=0.02)
    assert (np.diff(curve(np.linspace(0, 1, 50), np.zeros(50, np.int64))) > 0).all()


@pytest.mark.parametrize("right", [True, False])
def test_one_detection_does_not_decide(right: bool) -> None:
    curve = calibrate(np.array([0.9]), np.array([0]), np.array([right]), 1)
    assert 0.25 < curve(np.array([0.9]), np.array([0]))[0] < 0.99


def test_the_usual_iou_follows_the_size_and_ignores_loose_labels() -> None:
    random = np.random.default_rng(0)
    sides = np.repeat([20.0, 200.0], 200)
    iou = np.where(sides > 100, 0.9, 0.7) + random.normal(0, 0.02, 400)
    iou[:20], iou[-20:] = 0.4, 0.5
    expected, spread = usual_iou(iou, sides, np.zeros(400), np.ones(400))
    assert expected[[0, -1]] == pytest.approx([0.7, 0.9], abs=0.03)
    assert 0.01 < spread.min() <= spread.max() < 0.08


def draw_images(folder: Path) -> Path:
    folder.mkdir()
    for number in range(1, IMAGES + 1):
        Image.new("RGB", (SIDE, SIDE), (number, 90, 90)).save(folder / f"{number}.png")
    return folder


def test_the_command_writes_a_page_a_table_and_labels_to_correct(tmp_path: Path) -> None:
    labels, results = with_errors()
    labels["categories"][1]["name"] = "<b>cat"
    write_case(tmp_path, labels, results)
    draw_images(tmp_path / "images")
    words = ("doctor", "labels.json", "--detections", "results.json", "--out", "found")
    status, torch, output, errors = run_command_line(*words, folder=tmp_path)
    assert (status, torch) == (0, False), errors
    assert "labels of the wrong class: 1 likely (score from 0.5), 1 in all" in output
    assert "4 images to correct: `labelme found/review`; names with ? are suspects" in output
    page = (tmp_path / "found/suspects.html").read_text(encoding="utf-8")
    assert "&lt;b&gt;cat" in page
    assert "<b>cat" not in page
    assert page.count("data:image/jpeg") >= 4
    with (tmp_path / "found/suspects.csv").open(encoding="utf-8") as file:
        table = list(csv.DictReader(file))
    assert [row["annotation_id"] for row in table if float(row["score"]) >= 0.5] == ["20", "", "81", "999"]
    document = read(tmp_path / "found/review").splits["all"].document
    names = {item["id"]: item["name"] for item in document["categories"]}
    marked = sorted(names[item["category_id"]] for item in document["annotations"] if "?" in names[item["category_id"]])
    assert marked == [
        *("?doubled-box: <b>cat", "?loose-box: dog", "?missing-box: <b>cat", "?suggested: dog", "?wrong-class: dog")
    ]
    assert len(document["images"]) == 4


def decide(folder: Path) -> None:
    """Correct every marked box as a person would who agrees with each suspect."""
    for path in folder.glob("*.json"):
        content = json.loads(path.read_text(encoding="utf-8"))
        kept = [one for one in content["shapes"] if not one["label"].startswith(("?loose", "?doubled"))]
        for shape in kept:
            word = shape["label"].rpartition(": ")[2]
            shape["label"] = "cat" if shape["label"].startswith("?wrong") else word
        path.write_text(json.dumps({**content, "shapes": kept}), encoding="utf-8")


def test_reviewed_labels_are_taken_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = with_errors()[0]
    before["annotations"][0]["segmentation"] = [[20, 20, 80, 20, 80, 80]]
    before["annotations"][2]["mine"] = 1
    labels, results = write_case(tmp_path, before, with_errors()[1])
    draw_images(tmp_path / "images")
    assert main([str(labels), "--detections", str(results), "--out", str(tmp_path / "found")]) == 0
    review, out = tmp_path / "found/review", tmp_path / "fixed.json"
    words = [str(labels), "--reviewed", str(review), "--fix", str(out)]
    capsys.readouterr()
    assert run_command(main, words) == 2
    assert "rename a box that is right to its class, and delete the others" in capsys.readouterr().err
    decide(review)
    assert run_command(main, words) < 2  # equal boxes in many images are a warning
    assert "took over 4 reviewed images" in capsys.readouterr().out
    after = json.loads(out.read_text(encoding="utf-8"))["annotations"]
    assert after[0]["segmentation"] == [[20, 20, 80, 20, 80, 80]]
    wanted = sound()[0]["annotations"]
    assert len(after) == len(wanted) == 2 * IMAGES
    boxes = {(item["image_id"], item["category_id"]): item["bbox"] for item in after}
    for item in wanted:
        assert boxes[item["image_id"], item["category_id"]] == pytest.approx(item["bbox"], abs=4)
    reviewed = [item for item in after if item["image_id"] == 2]
    assert {item.get("mine") for item in reviewed} == {None}  # its class was wrong, so it is another annotation
    assert all(item["iscrowd"] == 0 for item in after)
    run_command(main, [str(labels), "--reviewed", str(review)])
    assert "--reviewed needs --fix OUT" in capsys.readouterr().err


def test_without_images_the_table_is_written_all_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    labels, results = write_case(tmp_path, *with_errors())
    out = tmp_path / "found"
    assert run_command(main, [str(labels), "--detections", str(results), "--out", str(out)]) == 0
    assert "give --images DIR" in capsys.readouterr().out
    assert sorted(path.name for path in out.iterdir()) == ["suspects.csv", "suspects.html"]
    assert set(KINDS) == {"wrong-class", "missing-box", "loose-box", "doubled-box"}


def test_lost_images_are_one_warning_and_the_others_are_shown(tmp_path: Path) -> None:
    labels, results = write_case(tmp_path, *with_errors())
    images, out = draw_images(tmp_path / "images"), tmp_path / "found"
    for name in ("2.png", "5.png"):
        (images / name).unlink()
    assert run_command(main, [str(labels), "--detections", str(results), "--out", str(out)]) == 0
    page = (out / "suspects.html").read_text(encoding="utf-8")
    assert page.count("not shown") == page.count("2 images could not be read and are not shown, e.g. ") == 1
    assert page.count("data:image/jpeg") == 2


def empty(labels: dict[str, Any], _: object) -> None:
    labels["annotations"] = []


def shifted(_: object, results: list[dict[str, Any]]) -> None:
    for row in results:
        row["bbox"] = [0, 0, 3, 3]


def without_scores(_: object, results: list[dict[str, Any]]) -> None:
    for row in results:
        del row["score"]


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (empty, "there is no label to compare with the detections; annotate some objects"),
        (lambda _, results: results.clear(), "there is no detection to compare with the labels"),
        (shifted, "the detections do not fit the labels: "),
        (without_scores, "detection (item 0) has no score"),
        (lambda _, results: results[0].update(image_id=99), "image_id 99"),
        (lambda _, results: results[0].update(category_id=99), "category_id 99"),
    ],
    ids=["no labels", "no detections", "other boxes", "no scores", "unknown image", "unknown class"],
)
def test_files_that_do_not_fit_are_refused(
    edit: Edit, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    case = sound()
    edit(*case)
    labels, results = write_case(tmp_path, *case)
    assert run_command(main, [str(labels), "--detections", str(results), "--out", str(tmp_path / "found")]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert said in line
    assert not (tmp_path / "found").exists()


def test_labels_with_several_splits_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    labels, results = sound()
    for split in ("train", "val"):
        (tmp_path / "set/annotations").mkdir(parents=True, exist_ok=True)
        (tmp_path / f"set/annotations/instances_{split}.json").write_text(json.dumps(labels), encoding="utf-8")
    _, found = write_case(tmp_path, labels, results)
    assert run_command(main, [str(tmp_path / "set"), "--detections", str(found)]) == 2
    assert "has train and val; give the file of the one that was predicted on" in capsys.readouterr().err
