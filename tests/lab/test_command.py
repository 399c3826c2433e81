"""The lab as its user meets it: files, equal numbers everywhere, harmless names, mistakes in one sentence."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from rich.cells import cell_len
from rich.console import Console

from anchorloc.cli import run_command
from anchorloc.config import config_from_plain, read_config
from anchorloc.data import LabelData
from anchorloc.lab import __main__ as lab
from anchorloc.lab.anchor_coverage import CURVE_IOUS
from anchorloc.lab.inspection import inspect_anchors, open_views
from anchorloc.lab.invocation import Invocation
from anchorloc.lab.miss_causes import MissCause
from anchorloc.lab.report import print_inspections
from anchorloc.lab.report.charts import scaled_shapes, scatter
from anchorloc.lab.report.key_figures import CAUSES, key_figures
from anchorloc.lab.report.pictures import unassigned_pictures
from anchorloc.report.csv import write_csv
from tests.data.data_sets import document, write_data_set, write_document
from tests.report.report_cases import HOSTILE, Page, controls

SMALL = "anchors={strides: [4, 8], scales: [2.0], height_to_width: [1.0, 2.0]}"


@pytest.fixture
def coco(tmp_path: Path) -> Path:
    return write_data_set(tmp_path / "set")


def run(*words: object) -> int:
    return run_command(lab.main, [str(word) for word in words])


def table(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"))))


def test_a_sample_of_the_images_is_stated(tmp_path: Path, coco: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = f"data={{kind: CocoData, root: '{coco}'}}"
    assert run("report", data, SMALL, "--max-images", 1, "--out", tmp_path / "out") == 0
    splits = json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))["splits"]
    assert [(splits[name]["images"], splits[name]["images_in_split"]) for name in ("train", "val")] == [(1, 2), (1, 2)]
    said = "on 1 of 2 images spread evenly"
    assert said in capsys.readouterr().out.replace("\n", " ")
    assert said in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")


def test_a_report_of_a_config(tmp_path: Path, coco: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "mine.yaml"
    config.write_text(f"data: {{kind: CocoData, root: '{coco}'}}\nassign: {{kind: MaxIoUAssigner}}\n", encoding="utf-8")
    out = tmp_path / "out"
    assert run("report", config, SMALL, "--passes", 2, "--out", out) == 0
    assert {path.name for path in out.iterdir()} == {
        *("report.html", "report.json", "boxes.csv", "shares.csv", "shapes.csv", "recall.csv")
    }
    record = json.loads((out / "report.json").read_text(encoding="utf-8"))
    train, val = record["splits"]["train"], record["splits"]["val"]
    assert (train["images"], train["passes"], train["ceiling"]) == (4, 2, None)
    assert (val["images"], val["augmented"], val["crowd_boxes"]) == (2, False, 1)
    assert val["numbers"]["boxes"] == 3
    assert val["ceiling"]["found"] + sum(val["ceiling"]["missed"].values()) == 3
    assert record["assign"]["kind"] == "MaxIoUAssigner"
    written = read_config(config, [SMALL])
    assert config_from_plain(record["config"], "report.json") == written
    assert {"python", "anchorloc", "torch"} <= set(record["versions"])
    boxes = table(out / "boxes.csv")
    assert [row["annotation"] for row in boxes if row["split"] == "val"] == ["12", "14", "11"]
    assert len(boxes) == 6 + 3
    assert {row["class"] for row in boxes} == {"dog", "cat"}
    recall = table(out / "recall.csv")
    assert [float(row["without rescue"]) for row in recall if row["split"] == "val"] == pytest.approx(
        val["recall"]["without_rescue"], abs=1e-5
    )
    shapes = table(out / "shapes.csv")
    assert [int(row["positives"]) for row in shapes if row["split"] == "val"] == [
        count for level in val["positives_per_shape"] for count in level
    ]
    shares = table(out / "shares.csv")
    assert sum(int(row["boxes"]) for row in shares if row["split"] == "train") == 6
    assert {row["level"] for row in shares} <= {"-1", "0", "1"}
    printed = capsys.readouterr().out
    page = " ".join((out / "report.html").read_text(encoding="utf-8").split())
    for text in (printed, page):
        assert f"{val['numbers']['ceiling_ap']:.3f}" in text
        assert "upper bound" in " ".join(text.split())
    assert "report: " in printed


def test_a_report_of_an_annotation_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_document(tmp_path / "boxes.json", document())
    assert run("report", path, SMALL, "--out", tmp_path / "out") == 0
    record = json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))
    assert list(record["splits"]) == ["boxes.json"]
    assert record["splits"]["boxes.json"]["ceiling"] is not None
    assert "without a positive anchor" in (tmp_path / "out" / "report.html").read_text(
        encoding="utf-8"
    )  # drawn on gray
    assert run("report", path, "--out", tmp_path / "out") == 2
    assert "exists already" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["ssd300_vgg16", "retinanet_resnet50_fpn"])
def test_a_report_of_a_torchvision_model(tmp_path: Path, coco: Path, name: str) -> None:
    config = Path(__file__).parents[2] / "configs" / f"{name}.yaml"
    data = f"data={{kind: CocoData, root: '{coco}'}}"
    assert run("report", config, data, "--out", tmp_path / "out") == 0
    record = json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))
    assert record["splits"]["val"]["numbers"]["boxes"] == 3
    assert len(table(tmp_path / "out" / "shapes.csv")) == 2 * (4 + 6 + 6 + 6 + 4 + 4 if name[0] == "s" else 45)


def test_the_terminal_has_80_columns_and_40_lines(real_data: Path) -> None:
    overrides = [f"data.root={real_data / 'bccd'}"]
    config = read_config(Path(__file__).parents[2] / "configs" / "bccd.yaml", overrides)
    file = io.StringIO()
    print_inspections(list(inspect_anchors(open_views(config))), Console(file=file, width=80))
    lines = file.getvalue().splitlines()
    assert len(lines) <= 40
    settings = re.compile(r"\s+anchors\.")  # to be copied, so never wrapped
    assert max(cell_len(line) for line in lines if not settings.match(line)) <= 80
    assert "Platelets" in file.getvalue()


@pytest.mark.parametrize("splits", [1, 2])
def test_nothing_is_cut_at_80_columns(tmp_path: Path, coco: Path, splits: int) -> None:
    path = write_document(tmp_path / f"{'instances_of_a_very_long_name_':_<40}.json", document())
    data = {"root": str(coco)} if splits == 2 else {"root": str(tmp_path), "train": path.name, "val": path.name}
    config = config_from_plain({"data": {"kind": "CocoData", **data}}, "a test", [SMALL])
    inspections = list(inspect_anchors(open_views(config)))
    assert len(inspections) == splits
    file = io.StringIO()
    print_inspections(inspections, Console(file=file, width=80))
    assert "…" not in file.getvalue()
    widest = 16 + 2 * (3 + len("1,234,567"))  # label, and the counts of two splits
    assert max(len(number.description) for number in key_figures(inspections[-1])) <= 80 - widest


def hostile_document() -> dict[str, Any]:
    names = [name.encode("utf-8", "replace").decode() for name in HOSTILE]  # a lone surrogate is refused in a path
    images = [{"id": n, "file_name": f"{name}{n}.png", "height": 60, "width": 80} for n, name in enumerate(names, 1)]
    categories = [{"id": n, "name": name + str(n)} for n, name in enumerate(names, 1)]
    boxes = [
        {"id": n, "image_id": n, "category_id": n, "bbox": [5, 5, size, size], "area": size**2, "iscrowd": 0}
        for n, size in ((n, 3 + n) for n in range(1, len(HOSTILE) + 1))
    ]
    return {"images": images, "categories": categories, "annotations": boxes}


def test_names_break_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_document(tmp_path / "x.json", hostile_document())
    assert run("report", path, SMALL, "assign={kind: MaxIoUAssigner}", "--out", tmp_path / "out") == 0
    text = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    page = Page(text)
    assert page.title == "x.json: anchors"
    assert "script" not in page.tags
    assert not any(key.startswith("on") for key, _ in page.attributes)
    links = [value or "" for key, value in page.attributes if key in ("href", "src", "srcset", "xlink:href")]
    assert all(link.startswith(("data:image/jpeg;base64,", "#")) for link in links)
    assert not controls(text)
    assert not controls(capsys.readouterr().out)
    for name in ("boxes.csv", "shares.csv"):
        content = (tmp_path / "out" / name).read_text(encoding="utf-8")
        assert not controls(content)
        cells = [cell for row in csv.reader(io.StringIO(content)) for cell in row]
        assert not [cell for cell in cells if cell.startswith(("=", "@"))]


def test_configs_side_by_side(tmp_path: Path, coco: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = []
    for name, scales in (("few", "[2.0]"), ("more", "[1.0, 2.0, 4.0]")):
        files.append(tmp_path / f"{name}.yaml")
        files[-1].write_text(
            f"data: {{kind: CocoData, root: '{coco}'}}\nanchors: {{strides: [4, 8], scales: {scales}}}\n"
            "assign: {kind: MaxIoUAssigner}\n",
            encoding="utf-8",
        )
    assert run("compare", *files, "--out", tmp_path / "out") == 0
    record = json.loads((tmp_path / "out" / "compare.json").read_text(encoding="utf-8"))
    few, more = (record[name]["splits"]["val"]["numbers"] for name in ("few", "more"))
    assert few["anchors"] * 3 == more["anchors"]
    rows = table(tmp_path / "out" / "compare.csv")
    (row,) = [row for row in rows if row["split"] == "val" and row["number"] == "mean recall"]
    assert float(row["more"]) == pytest.approx(more["recall50_90"], abs=1e-5)
    cells = {(row["split"], row["number"]): row for row in rows}
    for name in ("few", "more"):
        for grouping, start in (("size", ""), ("class", ""), ("height/width", "height/width ")):
            for group in record[name]["splits"]["val"]["groups"][grouping]:
                for word, key in (("assigned", "assigned"), ("IoU >= 0.5", "recall50")):
                    cell = cells["val", f"{word}, {start}{group['label']}"][name]
                    assert float(cell) == pytest.approx(group[key], abs=1e-5)
    printed, page = capsys.readouterr().out, (tmp_path / "out" / "compare.html").read_text(encoding="utf-8")
    for text in (printed, page):
        assert "few" in text
        assert "stride 4: 8 x 8; stride 8: 16 x 16" in " ".join(text.split())
        assert "dog" in text
        assert f"{more['recall50_90']:.3f}" in text
    alone = json.loads(json.dumps(record["few"]))
    assert run("report", files[0], "--out", tmp_path / "alone") == 0
    single = json.loads((tmp_path / "alone" / "report.json").read_text(encoding="utf-8"))
    assert single["splits"]["val"]["numbers"] == alone["splits"]["val"]["numbers"]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["reprot"], ["reprot", "did you mean 'report'?"]),
        (["xyz"], ["xyz", "report, fit, compare, sheet"]),
        (["report", "missing.yaml"], ["missing.yaml", "does not exist"]),
        (["report", "missing.json"], ["missing.json", "does not exist"]),
        (["report", "a.yaml", "b.yaml"], ["one config or", "a.yaml, b.yaml"]),
        (["report", "anchors.scale=[4]"], ["anchors.scale", "did you mean 'scales'?"]),
        (["report", "anchors.strides=[8, 16, 32]", "anchors.scales=[[4], [4]]"], ["scales", "2 levels"]),
        (["fit", "missing.json"], ["missing.json", "does not exist"]),
        (["report", "--out", "/proc/none/out"], ["/proc/none/out cannot be made", "--out"]),
        (["compare", "a.yaml"], ["two or more"]),
        (["compare", "a.yaml", "b.yaml"], ["a.yaml", "does not exist"]),
        (["compare", "a.yaml", "a.yaml"], ["two or more different"]),
    ],
)
def test_mistakes_are_one_sentence(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
    expected: list[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(*words) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert [word for word in expected if word not in error] == []
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_made_before_the_work_and_not_left_empty(tmp_path: Path) -> None:
    bad = write_document(tmp_path / "bad.json", {"images": []})
    assert run("report", bad, "--out", tmp_path / "a" / "b") == 2
    assert list(tmp_path.iterdir()) == [bad]


@pytest.mark.parametrize(
    ("given", "words", "warned"),
    [("yaml", [], True), ("json", [], False), ("json", ["detector.pyramid.extra_levels=0"], True)],
)
def test_anchors_that_training_would_refuse_are_a_warning(
    tmp_path: Path, coco: Path, capsys: pytest.CaptureFixture[str], given: str, words: list[str], warned: bool
) -> None:
    strides = "anchors={strides: [16, 8], scales: [2]}"
    path = write_document(tmp_path / "boxes.json", document())
    if given == "yaml":
        path = tmp_path / "mine.yaml"
        path.write_text(f"data: {{kind: CocoData, root: '{coco}'}}\n", encoding="utf-8")
    assert run("report", path, strides, *words, "--out", tmp_path / "out") == 0
    error = capsys.readouterr().err
    assert ("warning: training would refuse" in error and "do not fit the feature maps" in error) is warned


def test_a_box_that_augmentation_cut_has_the_size_the_network_gets(coco: Path) -> None:
    jitter = "transform.augment={scale_jitter: [3, 3], horizontal_flip: 0}"
    data = f"data={{kind: CocoData, root: '{coco}'}}"
    config = read_config(None, [data, SMALL, jitter, "assign={kind: MaxIoUAssigner}"])
    train = next(iter(inspect_anchors(open_views(config), findings=False)))
    lost = train.coverage.boxes.take(~train.coverage.boxes.assigned)
    captions = [picture.caption for picture in unassigned_pictures(train)]
    assert len(lost)
    for width, height in lost.sizes.tolist():
        assert any(f"{width:.1f} x {height:.1f} px" in caption for caption in captions)
    assert all("after augmentation" in caption for caption in captions)


@pytest.mark.parametrize("words", [["--passes", "0"], ["--passes", "x"], ["--max-images", "0"]])
def test_passes_are_a_whole_number(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run("report", *words)
    assert "whole number from 1" in capsys.readouterr().err


def test_figures_lie_where_the_numbers_are(coco: Path) -> None:
    config = read_config(None, [f"data={{kind: CocoData, root: '{coco}'}}", SMALL])
    found = [one.coverage for one in inspect_anchors(open_views(config), findings=False)]
    drawn = scatter(found[-1])
    assert drawn.assigned.count("M") + drawn.unassigned.count("M") == len(found[-1].boxes)
    assert len(drawn.shapes) == 4
    x, y = drawn.shapes[0][:2]
    assert drawn.axes.left < x < drawn.axes.right
    assert drawn.axes.top < y < drawn.axes.bottom
    square, tall = scaled_shapes(found[-1])[0].shapes
    assert tall[3] / tall[2] == pytest.approx(2)
    assert square[2] * square[3] == pytest.approx(tall[2] * tall[3])
    assert scaled_shapes(found[-1])[1].shapes[0][2] == pytest.approx(2 * square[2])


def test_cells_of_a_csv(tmp_path: Path) -> None:
    write_csv(tmp_path / "a.csv", ("a", "b"), [("=1+1", 1 / 3), ("plain, text", None), ("\x1b[2J", -1)])
    assert (tmp_path / "a.csv").read_text() == 'a,b\n\'=1+1,0.333333\n"plain, text",\n\\x1b[2J,-1\n'


def test_every_cause_has_words() -> None:
    assert set(CAUSES) == set(MissCause)
    assert len(CURVE_IOUS) == 14
    assert np.allclose(np.diff(CURVE_IOUS), 0.05)


def test_labels_whose_images_lie_elsewhere(tmp_path: Path) -> None:
    for folder in ("labels", "photos"):
        (tmp_path / folder).mkdir()
    Image.new("RGB", (80, 60)).save(tmp_path / "photos" / "a.png")
    (tmp_path / "labels" / "boxes.csv").write_text("a.png,10,10,40,40,cat\n")
    call = Invocation([tmp_path / "labels"], [f"data.images={tmp_path / 'photos'}"], "", 0.0)
    (config,) = call.configs
    assert isinstance(config.data, LabelData)
    assert (config.data.train, config.data.val) == ("all", "all")
    assert len(config.data.open("val")) == 1
