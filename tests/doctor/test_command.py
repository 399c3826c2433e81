"""The command `anchorloc doctor`: exit status, terminal, files."""

from __future__ import annotations

import csv
import io
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from rich.cells import cell_len
from rich.console import Console

from anchorloc.cli import run_command
from anchorloc.data import LabeledData, read, read_annotations
from anchorloc.data.formats import READERS, WRITERS
from anchorloc.data.formats.writing import WITH_SCORES
from anchorloc.data.formats.yolo import read_yolo
from anchorloc.doctor import Rule, diagnose, print_diagnosis, read_document
from anchorloc.doctor.__main__ import main
from anchorloc.errors import InputError
from tests.data.data_sets import write_document
from tests.data.formats.golden import boxes_by_name, photo, ultralytics
from tests.doctor.doctor_cases import FOUND, clean
from tests.python_processes import run_command_line

DOCS = Path(__file__).resolve().parents[2] / "docs" / "doctor-rules.md"
NAME = "\x1b]0;owned\x07=cmd|' \u202e"


def sick() -> dict[str, Any]:
    """Return a file that breaks most rules, and has a name that would steer a terminal."""
    content = clean()
    for key in ("partly-outside", "ignore-flag", "unknown-image", "negative-box", "repeated-box",
                "empty-box", "no-crowd", "no-area", "bad-crowd", "no-box", "empty-image", "same-file-name",
                "bad-item", "same-annotation-id"):  # fmt: skip
        extra = clean()
        FOUND[key][0](extra)
        shift = len(content["images"])
        for name in ("images", "annotations"):
            for item in extra[name]:
                if isinstance(item, dict):
                    item["image_id" if name == "annotations" else "id"] = _shifted(item, name, shift)
            content[name] += extra[name]
    content["categories"].append({"id": 5, "name": NAME})
    content["images"][1]["file_name"] = NAME
    return content


def _shifted(item: dict[str, Any], name: str, shift: int) -> Any:
    value = item["image_id" if name == "annotations" else "id"]
    return value + shift if isinstance(value, int) else value


@pytest.mark.parametrize(
    ("content", "status"),
    [(clean(), 0), (sick(), 1), (clean() | {"images": {}}, 2), ([], 2), ("{", 2), ('{"images": [], "images": []}', 2)],
)
def test_the_exit_status(content: Any, status: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(main, [str(write_document(tmp_path / "a.json", content))]) == status
    out, err = capsys.readouterr()
    assert bool(out) == (status < 2)
    assert len(err.splitlines()) == (status == 2)


def test_the_doctor_loads_no_torch(tmp_path: Path) -> None:
    write_document(tmp_path / "a.json", clean())
    words = ("doctor", "a.json", "--fix", "fixed.json", "--split", "fixed")
    status, torch, _, errors = run_command_line(*words, folder=tmp_path)
    assert (status, torch) == (0, False), errors
    assert (tmp_path / "fixed" / "val.json").exists()


def test_information_alone_is_clean(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = clean()
    FOUND["no-box"][0](content)
    assert main([str(write_document(tmp_path / "a.json", content))]) == 0
    assert "notes\n      1  class without a box\n" in capsys.readouterr().out


def test_the_summary_fits_a_terminal_and_cannot_steer_it(tmp_path: Path) -> None:
    write_document(tmp_path / "a.json", sick())
    done = subprocess.run(
        [sys.executable, "-m", "anchorloc.doctor", "a.json"],
        cwd=tmp_path, capture_output=True, encoding="utf-8", env={"PATH": "", "PYTHONUTF8": "1"}, check=False,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) <= 40
    assert max(map(cell_len, lines)) <= 80
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f\u202e]", done.stdout)
    order = [done.stdout.index(word) for word in ("errors: correct", "warnings: these", "notes\n", "of errors")]
    assert order == sorted(order)
    assert f"      1  {Rule.NEGATIVE_BOX.title}\n         annotation 11" in done.stdout
    assert f"→ {Rule.NEGATIVE_BOX.advice}" in done.stdout


@pytest.mark.parametrize("number", [1, 12, 20, len(Rule)])
@pytest.mark.parametrize("files", [1, 2])
def test_any_number_of_kinds_fits_a_terminal(number: int, files: int, tmp_path: Path) -> None:
    documents = [read_document(write_document(tmp_path / f"{row}.json", clean())) for row in range(files)]
    diagnosis = diagnose(documents)
    diagnosis.findings.cases.clear()
    for rule in list(Rule)[:number]:
        for document in documents:
            diagnosis.findings.add(rule, document, "images", 0, "名" * 200)
    console = Console(file=io.StringIO(), width=80)
    print_diagnosis(diagnosis, console)
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert len(lines) < 40
    assert max(map(cell_len, lines)) <= 80
    more = sum(int(line.split()[1]) for line in lines if " more" in line)
    printed = [rule for rule in list(Rule)[:number] if any(f"  {rule.counted(files)}"[:70] in line for line in lines)]
    assert len(printed) + more == number


def test_every_case_is_in_the_files(tmp_path: Path) -> None:
    path = write_document(tmp_path / "a.json", sick())
    main([str(path), "--json", str(tmp_path / "o.json"), "--csv", str(tmp_path / "o.csv")])
    record = json.loads((tmp_path / "o.json").read_text(encoding="utf-8"))
    assert not record["clean"]
    assert all(finding["count"] == len(finding["cases"]) for finding in record["findings"])
    negative = next(finding for finding in record["findings"] if finding["kind"] == "negative-box")
    assert negative["cases"][0].keys() == {"file", "list", "row", "id", "file_name", "value"}
    assert negative["cases"][0]["id"] == 11
    rows = list(csv.DictReader((tmp_path / "o.csv").read_text(encoding="utf-8").splitlines()))
    assert len(rows) == sum(finding["count"] for finding in record["findings"])
    assert not any(cell and cell[0] in "=+-@" for row in rows for cell in row.values())
    assert "\x1b" not in (tmp_path / "o.csv").read_text(encoding="utf-8")


def test_cells_that_a_spreadsheet_would_run_are_text(tmp_path: Path) -> None:
    content = clean()
    content["images"][0]["file_name"] = "=1+1.png"
    FOUND["negative-box"][0](content)
    main([str(write_document(tmp_path / "a.json", content)), "--csv", str(tmp_path / "o.csv")])
    rows = list(csv.DictReader((tmp_path / "o.csv").read_text(encoding="utf-8").splitlines()))
    assert [row["file_name"] for row in rows] == ["'=1+1.png"]


def test_fix_writes_a_new_file_and_leaves_the_old_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_document(tmp_path / "a.json", sick())
    before, out = path.read_bytes(), tmp_path / "b.json"
    assert main([str(path), "--fix", str(out)]) == 1
    printed = capsys.readouterr().out
    assert f"      1  {Rule.NEGATIVE_BOX.title}: removed\n" in printed
    assert "it has no errors and 4 kinds of warnings:\n" in printed
    assert path.read_bytes() == before
    read_annotations(out)
    with pytest.raises(InputError, match=r"b\.json exists already; give another --fix"):
        main([str(path), "--fix", str(out)])
    capsys.readouterr()
    main([str(out)])
    assert "errors: " not in capsys.readouterr().out


def test_split_takes_what_fix_writes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_document(tmp_path / "a.json", sick())
    with pytest.raises(InputError, match="has errors and is not split"):
        main([str(path), "--split", str(tmp_path / "parts")])
    main([str(path), "--fix", str(tmp_path / "b.json"), "--split", str(tmp_path / "parts"), "--seed", "3"])
    table = capsys.readouterr().out.splitlines()[-2:]
    sizes = [len(read_annotations(tmp_path / "parts" / f"{name}.json")) for name in ("train", "val")]
    assert sum(sizes) == len(read_annotations(tmp_path / "b.json"))
    assert [line.split()[:2] for line in table] == [["train", str(sizes[0])], ["val", str(sizes[1])]]
    with pytest.raises(InputError, match="is not an empty folder"):
        main([str(path), "--split", str(tmp_path / "parts")])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--fix-xyxy"], "needs --fix"),
        (["--fix", "b.json", "--skip", "unknown-image"], "need every finding; leave out --only and --skip"),
        (["--fix", "b.json", "--fix-shares", "--fix-scale", "2"], "are two readings of the same boxes; give one"),
        (["--convert", "tfrecord", "out"], "--convert tfrecord cannot be written; choose one of coco, yolo"),
        (["--detections", "b.json", "--fix", "c.json"], "--detections and --fix cannot be combined; leave out --fix"),
        (
            ["--detections", "b.json", "--convert", "coco", "out", "--csv", "c.csv"],
            "cannot be combined; leave out --csv",
        ),
        (["--out", "found"], "--out is the folder for suspects; give --detections JSON, without --convert"),
        (["--score", "0.5", "--convert", "coco", "out"], "--score needs --detections JSON and --convert FORMAT DIR"),
        (["--folds", "3"], "need --split"),
        (["--decode"], "needs --images"),
        (["--val-images", "."], "needs --val"),
        (["--split", "p", "--val", "a.json"], "leave out --val"),
        (["--split", "p", "--fractions", "0.8"], "got 0.8"),
        (["--split", "p", "--fractions", "0.8", "0.3"], "got 0.8 0.3"),
        (["--split", "p", "--group-by", "patient"], "has no key 'patient'"),
        (["--group-by-name", "("], "is not a regular expression"),
        (["--split", "p", "--group-by-name", "x"], "has 0 groups"),
        (["--images", "nowhere"], "--images nowhere does not exist; give an existing folder"),
        (["--json", "a.json"], "a.json exists already"),
        (["--fix", "nowhere/b.json"], "the folder nowhere does not exist"),
        (["--json", "b.json", "--fix", "b.json"], "name the same path"),
    ],
)
def test_options_that_contradict_each_other_are_refused_in_one_sentence(
    options: list[str], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_document(tmp_path / "a.json", clean())
    assert run_command(main, ["a.json", *options]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.startswith("error: ")
    assert len(error.splitlines()) == 1


def test_a_conversion_reads_the_labels_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    calls: list[Path] = []

    def read_and_count(source: Path, images: Path | None = None) -> LabeledData:
        calls.append(source)
        return read_yolo(source, images)

    monkeypatch.setitem(READERS, "yolo", read_and_count)
    source = ultralytics(tmp_path / "set")
    main([str(source), "--convert", "voc", str(tmp_path / "out")])
    assert calls == [source]
    assert read(tmp_path / "out").describe() == "Pascal VOC: 2 classes, 1 train, 1 val images"
    assert "wrote the labels as voc" in capsys.readouterr().out


def test_labels_with_splits_are_fixed_by_the_commands_that_the_doctor_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    ultralytics(Path("set"))
    lines = "1 0.25 0.5 0.3 0.5\n0 0.5 0.2 0.3 0.3\n0 0.9 0.5 0.3 0.5\n"  # the last one leaves its image
    Path("set/labels/train/a.txt").write_text(lines)
    assert run_command(main, ["set"]) == 1
    advice = "make one for each split: `anchorloc doctor set --convert coco DIR`, then give "
    advice += f"DIR/annotations/instances_train.json --images {tmp_path}/set/images\n"
    assert f"\n--fix takes one file; {advice}" in capsys.readouterr().out
    assert run_command(main, ["set", "--fix", "out.json"]) == 2
    assert (
        capsys.readouterr().err == f"error: --fix and --split take one file, but the labels have train, val; {advice}"
    )
    assert run_command(main, ["set", "--convert", "coco", "DIR"]) == 1
    train = "DIR/annotations/instances_train.json"
    assert run_command(main, [train, "--images", "set/images", "--fix", "out.json"]) == 0
    Path("out.json").unlink()
    capsys.readouterr()
    assert run_command(main, ["DIR", "--images", "set/images"]) == 1
    assert f"--fix takes one file; give it: `anchorloc doctor {train} --images set/images`" in capsys.readouterr().out
    val = "DIR/annotations/instances_val.json"
    assert run_command(main, [train, "--val", val]) == 1
    assert f"--fix takes one file; for val: `anchorloc doctor {val} --fix OUT`" in capsys.readouterr().out


def image_list(root: Path) -> tuple[Path, Path]:
    """Write the images.json and results.json of a prediction on two photographs, which lie in photos."""
    sizes = {"a.jpg": (100, 80), "b.jpg": (60, 90)}
    for name, size in sizes.items():
        photo(root / "photos" / name, size)
    images = [
        {"id": number, "file_name": name, "width": sizes[name][0], "height": sizes[name][1]}
        for number, name in ((7, "a.jpg"), (9, "b.jpg"))
    ]
    categories = [{"id": 3, "name": "red"}, {"id": 1, "name": "blue"}]
    found = [
        {"image_id": 9, "category_id": 3, "bbox": [10, 20, 30.5, 40], "score": 0.25},
        {"image_id": 7, "category_id": 1, "bbox": [1, 2, 3, 4], "score": 0.5},
        {"image_id": 9, "category_id": 1, "bbox": [5, 6, 7, 8], "score": 0.9},
    ]
    return (
        write_document(root / "images.json", {"images": images, "categories": categories}),
        write_document(root / "results.json", found),
    )


@pytest.mark.parametrize("kind", WRITERS)
def test_detections_become_labels_to_correct(kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    images, found = image_list(tmp_path)
    out, photos = tmp_path / "out", tmp_path / "photos"
    words = [str(images), "--detections", str(found), "--images", str(photos), "--convert", kind, str(out)]
    assert main(words) == 0
    said = "with their scores" if kind in WITH_SCORES else "without scores, for which the format has no place"
    assert capsys.readouterr().out == f"wrote 3 detections as {kind}, {said}: {out}\n"
    boxes = boxes_by_name(read(out, images=photos if kind in ("coco", "cvat") else None))
    assert [name for name, _ in boxes["b.jpg"]] == ["blue", "red"]  # by descending score
    expected = np.array([[5, 6, 12, 14], [10, 20, 40.5, 60]])
    np.testing.assert_allclose(np.array([box for _, box in boxes["b.jpg"]]), expected, atol=1e-9)
    assert [name for name, _ in boxes["a.jpg"]] == ["blue"]
    scores = {
        "coco": r'"score": ([0-9.]+)',
        "labelme": r'"score": ([0-9.]+)',
        "cvat": r'<attribute name="score">([0-9.]+)<',
    }
    text = "".join(path.read_text() for path in sorted(out.rglob("*")) if path.suffix in (".json", ".xml"))
    assert re.findall(scores.get(kind, "no score"), text) == (["0.5", "0.9", "0.25"] if kind in WITH_SCORES else [])


def test_detections_of_low_scores_are_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    images, found = image_list(tmp_path)
    words = [str(images), "--detections", str(found), "--images", str(tmp_path / "photos")]
    assert main([*words, "--score=0.5", "--convert", "coco", str(tmp_path / "out")]) == 0
    assert "wrote 2 detections as coco" in capsys.readouterr().out
    assert run_command(main, [*words, "--score=0.95", "--convert", "coco", str(tmp_path / "none")]) == 2
    assert "results.json has no detections of score >= 0.95; give a lower --score" in capsys.readouterr().err


def test_detections_that_do_not_fit_the_images_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    images, found = image_list(tmp_path)
    convert = ["--convert", "coco", str(tmp_path / "out")]
    write_document(found, [{"image_id": 8, "category_id": 3, "bbox": [1, 2, 3, 4], "score": 0.5}])
    assert run_command(main, [str(images), "--detections", str(found), *convert]) == 2
    assert "results.json: detection (item 0): image_id 8 is none of the 2 annotated ids" in capsys.readouterr().err
    write_document(found, [])
    assert run_command(main, [str(images), "--detections", str(found), *convert]) == 2
    assert "results.json has no detections" in capsys.readouterr().err
    assert run_command(main, [str(found), "--detections", str(found), *convert]) == 2
    assert "results.json has no lists images and categories; give the annotations" in capsys.readouterr().err
    source = ultralytics(tmp_path / "set")
    assert run_command(main, [str(source), "--detections", str(found), *convert]) == 2
    assert "has train and val; give the file of the one that was predicted on" in capsys.readouterr().err


@pytest.mark.parametrize("options", [["--stride", "0"], ["--stride", "x"], ["--folds", "1"], ["--fractions", "0", "1"]])
def test_numbers_out_of_range_are_refused(options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["a.json", *options])
    assert caught.value.code == 2
    assert f"got '{options[1]}'" in capsys.readouterr().err


@pytest.mark.parametrize("rule", Rule, ids=lambda rule: rule.key)
def test_advice_fits_its_line(rule: Rule) -> None:
    assert cell_len(rule.advice) <= 80 - len("         → ")
    assert cell_len(rule.counted(2)) <= 80 - len("999,999  ")


def test_the_page_lists_every_rule_as_it_is() -> None:
    page = DOCS.read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([a-z-]+)` \| (error|warning|information) \| (.+?) \| (.+?) \|$", page, re.MULTILINE)
    assert rows == [(rule.key, rule.severity.name.lower(), rule.title, rule.advice) for rule in Rule]


def test_a_box_is_clipped_by_the_size_of_the_file_if_none_is_declared(tmp_path: Path) -> None:
    Image.new("RGB", (40, 30)).save(tmp_path / "a.png")
    document = {
        "images": [{"id": 1, "file_name": "a.png"}],
        "categories": [{"id": 1, "name": "cell"}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [-5, 5, 60, 10], "area": 600, "iscrowd": 0}],
    }
    path = tmp_path / "train.json"
    path.write_text(json.dumps(document))
    main([str(path), "--images", str(tmp_path), "--fix", str(tmp_path / "fixed.json")])
    fixed = json.loads((tmp_path / "fixed.json").read_text())
    assert (fixed["images"][0]["height"], fixed["images"][0]["width"]) == (30, 40)
    assert fixed["annotations"][0]["bbox"] == [0, 5, 40, 10]
