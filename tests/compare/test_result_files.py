"""`anchorloc compare` on result files: names, scores, verdicts, reports, and mistakes of the user."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.cells import cell_len
from rich.console import Console

from anchorloc.cli import run_command
from anchorloc.compare import __main__ as compare
from anchorloc.compare.result_files.file_comparison import ComparisonOptions, FileComparison, compare_results
from anchorloc.compare.result_files.named_files import compared_pairs, name_files
from anchorloc.compare.result_files.terminal import print_comparison
from anchorloc.compare.result_files.writer import write_comparison
from anchorloc.data import CocoSource, read_results, read_truth
from anchorloc.metrics import evaluate
from tests.compare.result_file_cases import CLASSES, IMAGES, write, write_case
from tests.python_processes import without_torch
from tests.report.report_cases import HOSTILE, Page, controls


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("results")
    write_case(folder)
    return folder


def run(case: Path, *words: object) -> int:
    """Run the command; words that name a file of the case are found in its folder."""
    found = [str(case / str(word)) if (case / str(word)).is_file() else str(word) for word in words]
    return run_command(
        compare.main, [*found, *([] if "--annotations" in found else ["--annotations", str(case / "val.json")])]
    )


def compared(case: Path, *words: str, folder: Path | None = None, **options: Any) -> FileComparison:
    truth = read_truth(case / "val.json")
    images = None if folder is None else CocoSource(**vars(truth), folder=folder)
    return compare_results(name_files(words), truth, ComparisonOptions(case / "val.json", **options), images)


def table(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"))))


def test_two_files_without_torch(case: Path, tmp_path: Path) -> None:
    code = """
import sys
from anchorloc.__main__ import main
status = main(["compare", *sys.argv[1:]])
sys.exit("torch" in sys.modules or status)
"""
    words = [case / "bad.json", case / "good.json", "--annotations", case / "val.json", "--out", tmp_path / "out"]
    done = without_torch().run(code, *map(str, words))
    assert done.returncode == 0, done.stderr
    assert "good is better than bad" in done.stdout
    assert "report: " in done.stdout
    assert max(map(len, done.stdout.splitlines()[:-1])) <= 80


def test_the_scores_are_those_of_an_evaluation(case: Path) -> None:
    (pair,) = compared(case, f"{case}/bad.json", f"{case}/good.json", score=0.5).pairs
    truth = read_truth(case / "val.json")
    targets = [truth.target(index) for index in range(len(truth))]
    for name, side in (("good", "ours"), ("bad", "theirs")):
        found = evaluate(targets, read_results(case / f"{name}.json", truth), truth.categories)
        values = {one.score.name: getattr(one, side) for one in (pair.ap, *pair.of("scores"))}
        named = {key: value for key, value in found.summary.named().items() if value is not None}
        assert {key: value for key, value in values.items() if not key.startswith("F1")} == pytest.approx(named)
        assert found.operating_point is not None
        assert values["F1"] == pytest.approx(found.operating_point.f1)
        classes = {one.score.name: getattr(one, side) for one in pair.of("classes")}
        assert classes == pytest.approx({one.category.name: one.ap for one in found.classes})
        assert values["F1 at 0.5"] == pytest.approx(f1_at(0.5, case / f"{name}.json", found.boxes, found))


def f1_at(threshold: float, path: Path, boxes: int, evaluation: Any) -> float:
    truth = read_truth(path.parent / "val.json")
    found = read_results(path, truth)
    kept = [matched[one.scores >= threshold] for one, matched in zip(found, evaluation.matched, strict=True)]
    right, all_kept = (sum(int((rows >= low).sum()) for rows in kept) for low in (0, -1))
    return 2 * right / (all_kept + boxes)


def test_the_verdicts_on_scores_and_classes(case: Path) -> None:
    (pair,) = compared(case, f"{case}/bad.json", f"{case}/good.json").pairs
    assert (pair.name, pair.against, pair.ap.decision) == ("good", "bad", "better")
    assert pair.ap.judged is not None
    assert pair.ap.judged.interval is not None
    low, high = pair.ap.judged.interval
    assert 0 < low < pair.ap.value < high
    assert {one.score.name: one.decision for one in pair.of("classes")} == {
        "cat": "better",
        "dog": "better",
        "rare": "few",
    }
    rare = pair.of("classes")[-1]
    assert (rare.score.boxes, rare.score.groups, rare.judged, rare.groups_needed) == (5, 5, None, None)
    assert {one.score.name for one in pair.of("scores")} == {
        *("AP50", "AP75", "APs", "AR1", "AR10", "AR100", "ARs", "F1")
    }


def test_equal_files_do_not_differ(case: Path) -> None:
    found = compared(case, f"{case}/good.json", f"{case}/copy.json")
    (pair,) = found.pairs
    assert {one.decision for one in pair.differences} == {"not shown", "few"}
    assert {one.value for one in pair.differences} == {0}
    assert found.differing == [[]]
    assert (
        f"{case}/good.json and {case}/copy.json have the same content, so nothing differs between them"
        in found.warnings
    )


def test_several_files_of_a_name_are_its_seeds(case: Path) -> None:
    found = compared(case, f"old={case}/bad.json", f"new={case}/good.json", f"new={case}/good2.json")
    (pair,) = found.pairs
    alone = compared(case, f"{case}/bad.json", f"{case}/good.json", f"{case}/good2.json", reference="bad")
    assert pair.ap.ours == pytest.approx(np.mean([one.ap.ours for one in alone.pairs]))
    assert found.note == (
        "Verdicts hold for other images like these, and for other trainings of the names with several files."
    )
    assert found.errors["new"].tolist() == ((alone.errors["good"] + alone.errors["good2"]) / 2).tolist()


def test_groups_of_images_are_one_unit(case: Path) -> None:
    words = (f"{case}/bad.json", f"{case}/good.json")
    by_key, by_name = compared(case, *words, group_by="video"), compared(case, *words, group_by_name=r"^(video\d+)_")
    assert by_key.groups == by_name.groups == 10
    assert by_key.pairs == by_name.pairs
    assert by_key.unit == "group"
    assert by_key.pairs[0].ap.score.groups == 10
    assert by_key.pairs[0].ap.judged != compared(case, *words).pairs[0].ap.judged
    (few,) = compared(case, *words, group_by_name=r"^(video\d)\d*_frame[1-9]*").pairs  # as ten groups
    assert few.ap.decision != "few"


def test_few_images_get_no_verdict(case: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document = json.loads((case / "val.json").read_text(encoding="utf-8"))
    document["annotations"] = [one for one in document["annotations"] if one["image_id"] <= 9]
    write(tmp_path / "val.json", document)
    status = run(case, "good.json", "bad.json", "--annotations", tmp_path / "val.json", "--out", tmp_path / "out")
    assert status == 0
    out = capsys.readouterr().out
    assert "bad against good: no verdict from 9 images with boxes; it needs 10, and 10 boxes" in " ".join(out.split())
    assert {row["verdict"] for row in table(tmp_path / "out" / "differences.csv")} == {"few"}


def test_pairs() -> None:
    assert compared_pairs(list("abc"), None) == [("b", "a"), ("c", "a"), ("c", "b")]
    assert compared_pairs(list("abc"), "b") == [("a", "b"), ("c", "b")]


def test_names(tmp_path: Path) -> None:
    for path in ("x/results.json", "y/results.json", "a=b.json", "z.json"):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        write(tmp_path / path, path)
    x, y, odd, z = (tmp_path / path for path in ("x/results.json", "y/results.json", "a=b.json", "z.json"))
    assert name_files([str(x), str(z)]) == {"results": (x,), "z": (z,)}
    assert name_files([str(x), str(y)]) == {"x": (x,), "y": (y,)}
    inner = tmp_path / "x" / "again" / "results.json"
    inner.parent.mkdir()
    write(inner, "inner")
    assert name_files([str(x), str(inner)]) == {str(tmp_path / "x"): (x,), "again": (inner,)}
    assert name_files([f"one={x}", f"two={y}", f"one={z}"]) == {"one": (x, z), "two": (y,)}
    assert name_files([str(odd), str(z)]) == {"a=b": (odd,), "z": (z,)}


def test_the_files_of_a_report(case: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    words = ("bad.json", "good.json", "--images", case / "images", "--out", out, "--json", "-")
    assert run(case, *words) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == json.loads((out / "comparison.json").read_text(encoding="utf-8"))
    (pair,) = printed["pairs"]
    assert (pair["name"], pair["against"], pair["verdict"]) == ("good", "bad", "better")
    rows = table(out / "differences.csv")
    assert [row["score"] for row in rows if row["kind"] == "class"] == list(CLASSES)
    assert float(rows[0]["difference"]) == pytest.approx(pair["scores"][0]["difference"], rel=1e-5)
    images = table(out / "images.csv")
    assert len(images) == IMAGES
    most = max(images, key=lambda row: abs(float(row["errors of good"]) - float(row["errors of bad"])))
    listed = pair["images"][0]
    assert abs(listed["errors"] - listed["errors_against"]) == abs(
        float(most["errors of good"]) - float(most["errors of bad"])
    )
    text = (out / "comparison.html").read_text(encoding="utf-8")
    page = Page(text)
    assert page.tags.count("image") == 8  # 4 images with the detections of 2 files
    assert "good is better than bad" in text


def test_pictures_show_the_errors_that_are_counted(case: Path) -> None:
    found = compared(case, f"{case}/bad.json", f"{case}/good.json", folder=case / "images")
    for number, image in enumerate(found.differing[0][:4]):
        for picture, errors in zip(
            found.pictures[2 * number : 2 * number + 2], (image.theirs, image.ours), strict=True
        ):
            kinds = [box.kind for box in picture.boxes]
            assert kinds.count("wrong") + kinds.count("missed") == errors
    assert found.pictures[0].name.startswith("bad: video")


def test_an_image_that_cannot_be_read_is_said(case: Path, tmp_path: Path) -> None:
    found = compared(case, f"{case}/bad.json", f"{case}/good.json", folder=tmp_path)
    assert not found.pictures
    (warning,) = [warning for warning in found.warnings if "not shown" in warning]
    assert "images could not be read and are not shown, e.g. " in warning


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (["bad.json", "good.json"], 0),
        (["good.json", "bad.json"], 1),
        (["good.json", "copy.json"], 0),
        (["bad.json", "good.json", "--reference", "good"], 1),
    ],
)
def test_fail_if_worse(case: Path, tmp_path: Path, words: list[str], status: int) -> None:
    assert run(case, *words, "--fail-if-worse", "--out", tmp_path / "out") == status
    assert (tmp_path / "out" / "comparison.html").exists()
    assert run(case, *words, "--out", tmp_path / "more") == 0


def test_more_pairs_than_tables(case: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(case, "good.json", "good2.json", "bad.json", "copy.json", "--out", tmp_path / "out") == 0
    out = capsys.readouterr().out
    assert out.count(" against ") + out.count(" than ") == 6
    assert "the report has the other scores of each pair" in out


def test_warnings_name_their_file(case: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path / "none.json", [])
    assert run(case, "good.json", tmp_path / "none.json", "--out", tmp_path / "out", "--fail-if-worse") == 1
    assert "warning: none.json: there are no detections, so every score is 0" in capsys.readouterr().err
    page = (tmp_path / "out" / "comparison.html").read_text(encoding="utf-8")
    assert "none.json: there are no detections" in page


MISTAKES: list[tuple[list[str], str]] = [
    (["good.json"], "good is the only name; give the result files of at least two names"),
    (["a=good.json", "a=bad.json"], "a is the only name; give the result files of at least two names"),
    (["good.json", "good.json"], "good.json is given twice; give every result file once"),
    (
        ["a=good.json", "a=copy.json", "bad.json"],
        "two files of a have the same content, so they are not results of two",
    ),
    (["good=bad.json", "good.json"], "two files are named good; give "),
    (["good.json", "good=bad.json"], "two files are named good; give "),
    (["=good.json", "bad.json"], "lacks a name or a file; give name=FILE"),
    (["good.json", "none.json"], "none.json does not exist"),
    (["good.json", "bad.json", "--reference", "goood"], "--reference: there is no name 'goood'; did you mean 'good'?"),
    (["good.json", "other.json"], "image_id 99"),
    (["good.json", "empty.json"], "empty.json"),
    (["good.json", "val.json"], "val.json"),
    (["good.json", "bad.json", "--group-by", "patient"], "has no key 'patient'; choose one of "),
    (["good.json", "bad.json", "--group-by-name", "x(y)"], "does not match --group-by-name 'x(y)'; change the pattern"),
    (["good.json", "bad.json", "--images", "nowhere"], "the image folder nowhere does not exist; correct --images"),
    (["good.json", "bad.json", "--engine", "ray"], "--engine needs a study; remove it"),
    (["study.yaml", "good.json"], "is a study; give no other file with it, or give result files with --annotations"),
    (["good.json", "images"], "images is no result file; give result files only, or checkpoints and folders of"),
    (["good.json", "bad.json", "--split", "test"], "--split needs checkpoints; remove it"),
    (["good.json", "bad.json", "--json", "bad.json"], "bad.json exists already; give another --json"),
]


@pytest.mark.parametrize(("words", "message"), MISTAKES)
def test_mistakes(
    case: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    write(case / "other.json", [{"image_id": 99, "category_id": 1, "bbox": [1, 1, 5, 5], "score": 0.5}])
    for name in ("empty.json", "study.yaml"):
        (case / name).write_text("", encoding="utf-8")
    paths = {path.name for path in case.iterdir()}
    named = ["=".join(str(case / part) if part in paths else part for part in word.split("=")) for word in words]
    assert run(case, *named, "--out", tmp_path / "out") == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_annotations_without_boxes(case: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document = json.loads((case / "val.json").read_text(encoding="utf-8"))
    write(tmp_path / "val.json", {**document, "annotations": []})
    assert run(case, "good.json", "bad.json", "--annotations", tmp_path / "val.json", "--out", tmp_path / "out") == 2
    assert "val.json has no box to find, so nothing can be compared; give annotated images" in capsys.readouterr().err


def test_options_of_the_other_kind(case: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(compare.main, [str(case / "good.json"), str(case / "bad.json")]) == 2
    assert capsys.readouterr().err == (
        "error: result files need --annotations PATH, the labels that they are scored on\n"
    )
    (tmp_path / "study.yaml").write_text("", encoding="utf-8")
    assert run_command(compare.main, [str(tmp_path / "study.yaml"), "--fail-if-worse"]) == 2
    assert capsys.readouterr().err == "error: --fail-if-worse needs result files or checkpoints; remove it\n"


def test_hostile_names_stay_text(case: Path, tmp_path: Path) -> None:
    document = json.loads((case / "val.json").read_text(encoding="utf-8"))
    names = [name for name in HOSTILE if name and "\udc80" not in name]
    for category, name in zip(document["categories"], names, strict=False):
        category["name"] = name
    (tmp_path / "data").mkdir()
    path = tmp_path / "data" / "val.json"
    write(path, document)
    files = {name: (case / file,) for name, file in zip(names[3:5], ("good.json", "bad.json"), strict=True)}
    found = compare_results(files, read_truth(path), ComparisonOptions(path))
    text = write_comparison(tmp_path, found).read_text(encoding="utf-8")
    assert "script" not in Page(text).tags
    assert not controls(text)
    file = io.StringIO()
    print_comparison(found, Console(file=file, width=80, force_terminal=False))
    assert max(map(cell_len, file.getvalue().splitlines())) <= 80
    assert not controls(file.getvalue())
    assert not controls((tmp_path / "differences.csv").read_text(encoding="utf-8"))
