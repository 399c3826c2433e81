"""Run the commands of README.md and docs/ as written, on small data with little work."""

from __future__ import annotations

import doctest
import json
import re
import shutil
import tomllib
from pathlib import Path
from xml.etree import ElementTree

import pytest
import torch
from PIL import Image
from torch.distributed.run import get_args_parser

from anchorloc import __main__ as console
from anchorloc import train
from anchorloc.cli import split_settings
from anchorloc.compare import __main__ as compare
from anchorloc.compare.study_file import read_study
from anchorloc.config import read_config, to_yaml
from anchorloc.data import ShapesData
from anchorloc.data.coco_export import write_coco
from anchorloc.engine import run_report
from benchmarks.torchvision_parity import peer
from tests.detector.random_models import save_random
from tests.guides import PAGES, ROOT, blocks, commands, mentions

TINY = [
    "transform.resize={kind: ShortestSide, size: 96, max_size: 128}",
    "detector.backbone={kind: ResidualBackbone, channels: [8, 8, 16, 16], blocks: [1, 1, 1, 1], first_stride: 8}",
    "detector.pyramid={channels: 16}",
    "detector.head={channels: 16, depth: 1}",
]
SHORT = ("length=2 iterations", "batch_size=2", "workers=0")
LITE = "ssdlite320_mobilenet_v3_large"
RUN = [
    "README.md", "anchors.md", "doctor.md", "first-run.md", "fitting.md", "images.md", "install.md", "models.md",
    "plan.md", "report.md", "training.md",
]  # fmt: skip
# predict/test_command.py, export/conftest.py, engine/test_own_parts.py and recipes/ run these
ELSEWHERE = {"export.md", "extending.md", "predict.md", "recipes.md"}
# tests of their own below run these
SINGLE_PROCESS = {"comparing.md", "formats.md", "getting-started.md", "scaling.md", "studies.md"}
USE_CASES = {"use-cases/driving.md", "use-cases/medical.md", "use-cases/retail.md"}  # by test_use_cases.py


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a new current folder with the files that the pages name and do not make themselves."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(run_report, "RESAMPLES", 20)
    shapes = ShapesData(train_images=12, val_images=6, size=96)
    write_coco({split: shapes.open(split) for split in ("train", "val")}, Path("path/to/data"))
    annotations = Path("path/to/data/annotations")
    for split in ("train", "val"):
        for name in (f"{split}.json", f"instances_{split}.json"):
            text = (annotations / f"instances_{split}.json").read_text()
            Path(name).write_text(text)
    for name in ("images", "photos"):
        shutil.copytree("path/to/data/images", name)
    for name in ("path/to/mine", "coco128"):
        shutil.copytree("path/to/data", name)
    shutil.copytree(ROOT / "configs", "configs")
    for name in ("mine.yaml", "a.yaml", "b.yaml"):
        Path(name).write_text(blocks("README.md", "yaml")[0])
    Path("results.json").write_text("[]")
    return tmp_path


def prepare(page: str) -> None:
    """Make the files that only one page needs."""
    if page == "report.md":
        Path("runs/mine").mkdir(parents=True)
        data = "data={train_images: 2, val_images: 4, size: 96}"
        save_random(Path("runs/mine/best.pt"), data)
    elif page == "doctor.md":
        whole = json.loads(Path("train.json").read_text())
        for number, image in enumerate(whole["images"]):
            image |= {"patient": f"p{number // 2}", "file_name": f"walk{number // 2}_frame{number}.png"}
        Path("all.json").write_text(json.dumps(whole))
        for labels, results in (("train.json", "runs/folds/detections.json"), ("val.json", "results.json")):
            Path(results).parent.mkdir(parents=True, exist_ok=True)
            found = [item | {"score": 0.5} for item in json.loads(Path(labels).read_text())["annotations"]]
            Path(results).write_text(json.dumps(found))
        shutil.copy("train.json", "runs/folds/labels.json")
    elif page == "models.md":  # the smallest of the four models, on classes that COCO has
        shutil.copy(f"configs/{LITE}.yaml", "configs/ssd300_vgg16.yaml")
        torch.save(peer(LITE).state_dict(), "ssd300_vgg16_coco-b556d3b4.pth")
        names = {"ellipse": "cat", "rectangle": "car", "triangle": "dog", "cross": "bus"}
        Path("path/to/coco/annotations").mkdir(parents=True)
        for split in ("train", "val"):
            shutil.copytree("images", f"path/to/coco/{split}2017")
            text = re.sub("|".join(names), lambda found: names[found[0]], Path(f"{split}.json").read_text())
            Path(f"path/to/coco/annotations/instances_{split}2017.json").write_text(text)


def run(words: list[str]) -> None:
    """Run a command; parse it only, where it needs many processes."""
    if words[0] == "torchrun":
        read_torchrun(words)
    elif words[:2] == ["anchorloc", "train"] and "--folds" in words:  # tests/engine/test_folds.py runs it
        assert train.parser().parse_intermixed_args(words[2:]).folds
    elif words[:2] == ["anchorloc", "export"]:  # tests/export/conftest.py runs it
        assert words in commands("export.md")
    elif words[0] == "anchorloc":
        name, rest = words[1], words[2:]
        status = console.main([name, *rest, *less_work(name, rest)])
        assert status in ((0, 1) if name == "doctor" else (0,)), words
    else:
        assert words[0] in ("pip", "pytest", "uv"), words


def less_work(name: str, rest: list[str]) -> list[str]:
    """Return the words to append to a command, so that it does less work."""
    kind = rest[0] if name == "lab" else name
    if kind == "train":
        if "--resume" in rest:
            return []
        taken_over = any(word.startswith(("detector.weights", "--from")) for word in rest)
        scenes = ["data={train_images: 4, val_images: 2, size: 96}", "anchors.strides=[8, 16, 32]"]
        return [
            *(scenes if rest[0] == "--out" else []),
            *([] if taken_over else TINY),
            *(f"train.{less}" for less in SHORT),
        ]
    if kind not in ("evaluate", "report", "fit", "compare", "sheet"):
        return []
    number = len(list(Path().glob("runs/*")))
    new = [] if "--out" in rest else ["--out", f"runs/{number}.png"]  # two runs within a second would share a name
    if kind == "fit":
        new += ["--passes", "1", "--restarts", "1", "--resamples", "1"]
    elif kind == "sheet":
        new += ["--images", "2"]
    elif kind == "evaluate":
        new += ["--resamples", "20", *([] if "--detections" in rest else ["train.workers=0"])]
    return new


def read_torchrun(words: list[str]) -> None:
    arguments = get_args_parser().parse_args(words[1:])
    assert arguments.module
    assert arguments.training_script == "anchorloc.train"
    ours = train.parser().parse_intermixed_args(arguments.training_script_args)
    path, overrides = split_settings(ours.settings)
    read_config(path, overrides)


@pytest.mark.parametrize("page", RUN)
def test_the_commands_of_a_page_run(desk: Path, page: str) -> None:
    prepare(page)
    known = commands(page)
    assert known
    for words in known:
        if page != "README.md" or not runs_elsewhere(words):
            run(words)


def runs_elsewhere(words: list[str]) -> bool:
    """Whether test_train.py or the test of another page runs a command of the README."""
    return words == ["anchorloc", "train"] or "--resume" in words or words[1] in ("lab", "export", "compare")


def test_the_settings_of_models_fit_the_config_that_the_page_names() -> None:
    """The test of the commands above uses a smaller model."""
    with_config = [words[2:] for words in commands("models.md") if words[2].endswith(".yaml")]
    assert len(with_config) == 2
    for words in with_config:
        overrides = [word for word in words[1:] if "=" in word]
        assert read_config(ROOT / words[0], overrides).detector.weights == "ssd300_vgg16_coco-b556d3b4.pth"


def test_the_commands_of_scaling_are_read(desk: Path) -> None:
    assert [words[0] for words in commands("scaling.md")] == ["torchrun", "torchrun"]
    for words in commands("scaling.md"):
        run(words)


def test_no_page_with_commands_is_left_out() -> None:
    assert {page for page in PAGES if commands(page)} == {*RUN, *ELSEWHERE, *SINGLE_PROCESS, *USE_CASES}


def test_the_commands_of_formats_run(desk: Path) -> None:
    write_labels(Path("photos"), Path("train.json"))
    shutil.copytree("labelme", "labels")
    shutil.copytree("photos", "labels", dirs_exist_ok=True)
    listed = json.loads(Path("train.json").read_text())
    found = [item | {"score": 0.5} for item in listed.pop("annotations")]
    for name, content in (("images.json", listed), ("results.json", found)):
        Path("found").mkdir(exist_ok=True)
        Path("found", name).write_text(json.dumps(content))
    for words in commands("formats.md"):
        run(words)
    exec(blocks("formats.md", "python")[0], {})


def test_the_python_of_the_page_runs(desk: Path) -> None:
    """The snippets in order, as in a notebook."""
    data = "data={train_images: 4, val_images: 2, size: 96}"
    settings = [data, "anchors.strides=[8, 16, 32]", *TINY, *(f"train.{less}" for less in SHORT)]
    Path("mine.yaml").write_text(to_yaml(read_config(None, settings)))
    names: dict[str, object] = {}
    for block in blocks("python.md", "python"):
        exec(block, names)
    assert isinstance(names["run"], train.Run)
    assert not names["run"].stopped
    assert str(names["of_any_tool"]).endswith("AP 0.000, AP50 0.000 on 6 images, 1 warning")


def test_comparing_is_read(desk: Path) -> None:
    """The commands and the study of both pages; tests/compare runs studies, Ray, and result files."""
    (desk / "studies").mkdir()
    Path("mine.yaml").write_text("train: {warmup: 10}")
    Path("studies/study.yaml").write_text(blocks("studies.md", "yaml")[0])
    assert read_study(Path("studies/study.yaml")).pairs
    models = [compare.parse(words[2:]) for words in commands("comparing.md")]
    assert [len(one.files) for one in models] == [2, 2, 2, 2, 3, 2]
    assert [one.annotations is not None for one in models] == [False, True, False, False, True, True]
    here, elsewhere, with_ray, ready = (compare.parse(words[2:]) for words in commands("studies.md"))
    assert elsewhere.files == [*here.files, "data.root=path/to/images"]
    assert here.out == with_ray.out
    assert with_ray.engine == "ray"
    assert read_study(Path(ready.files[0])).baseline == "ATSS, 1 shape"


def test_getting_started(desk: Path) -> None:
    """Three label formats give the same boxes, and the other commands run on them."""
    write_labels(Path("photos"), Path("train.json"))
    Path("mine.yaml").write_text(blocks("getting-started.md", "yaml")[0])
    train_at_once, convert, *others = commands("getting-started.md")
    converted = []
    for kind in ("voc", "yolo", "labelme"):
        for folder in ("labels", "coco"):
            shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(kind, "labels")
        run(convert)
        converted.append(boxes_of(json.loads(Path("coco/annotations/instances_all.json").read_text())))
    assert converted[0] == converted[1] == converted[2] == boxes_of(json.loads(Path("train.json").read_text()))
    for words in (train_at_once, *others):
        run(words)
    exec(blocks("getting-started.md", "python")[0], {})
    document = json.loads(blocks("getting-started.md", "json")[0])
    Path("three.json").write_text(json.dumps(document))
    assert console.main(["doctor", "three.json"]) == 0


def write_labels(photos: Path, annotations: Path) -> None:
    """Write JPEGs, and their boxes in whole pixels into a folder of each format."""
    document = json.loads(annotations.read_text())
    names = {one["id"]: one["name"] for one in document["categories"]}
    order = sorted(names.values())
    for kind in ("voc", "yolo", "labelme"):
        Path(kind).mkdir()
    Path("yolo/classes.txt").write_text("\n".join(order))
    for number, image in enumerate(document["images"]):
        stem = "a" if number == 0 else Path(image["file_name"]).stem
        Image.open(photos / image["file_name"]).convert("RGB").save(photos / f"{stem}.jpg")
        (photos / image["file_name"]).unlink()
        image["file_name"] = f"{stem}.jpg"
        width, height = image["width"], image["height"]
        voc = ElementTree.Element("annotation")
        ElementTree.SubElement(voc, "filename").text = f"{stem}.jpg"
        add(voc, "size", {"width": width, "height": height, "depth": 3})
        yolo, shapes = [], []
        for one in (one for one in document["annotations"] if one["image_id"] == image["id"]):
            one["bbox"] = [round(number) for number in one["bbox"]]
            x, y, w, h = one["bbox"]
            name = names[one["category_id"]]
            thing = add(voc, "object", {"name": name})
            add(thing, "bndbox", {"xmin": x + 1, "ymin": y + 1, "xmax": x + w, "ymax": y + h})
            yolo.append(f"{order.index(name)} {(x + w / 2) / width} {(y + h / 2) / height} {w / width} {h / height}")
            shapes.append({"label": name, "shape_type": "rectangle", "points": [[x + w, y], [x, y + h]]})
        ElementTree.ElementTree(voc).write(f"voc/{stem}.xml")
        Path(f"yolo/{stem}.txt").write_text("\n".join(yolo))
        page = {"imagePath": f"{stem}.jpg", "imageWidth": width, "imageHeight": height, "shapes": shapes}
        Path(f"labelme/{stem}.json").write_text(json.dumps(page))
    for stray in photos.glob("*.png"):
        stray.unlink()
    annotations.write_text(json.dumps(document))


def add(parent: ElementTree.Element, name: str, values: dict[str, object]) -> ElementTree.Element:
    child = ElementTree.SubElement(parent, name)
    for key, value in values.items():
        ElementTree.SubElement(child, key).text = str(value)
    return child


def boxes_of(document: dict[str, list[dict[str, object]]]) -> set[tuple[object, ...]]:
    """(file, class, corners) of every box, whatever the ids."""
    files = {one["id"]: one["file_name"] for one in document["images"]}
    names = {one["id"]: one["name"] for one in document["categories"]}
    return {
        (files[one["image_id"]], names[one["category_id"]], *(round(float(v)) for v in one["bbox"]))  # type: ignore[attr-defined]
        for one in document["annotations"]
    }


@pytest.mark.parametrize("page", PAGES)
def test_what_a_page_mentions_exists(page: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Modules, sub-commands and options of every command in the text, and the extras of the package."""
    for module, *words in mentions(page):
        stem = module.replace(".", "/")
        path = next((file for file in (ROOT / f"{stem}.py", ROOT / stem / "__main__.py") if file.is_file()), None)
        assert path is not None, module
        options = {word.split("=")[0].rstrip(".,:;)") for word in words if re.match(r"--[a-z]", word)}
        sub = words[:1] if module == "anchorloc.lab" and words and words[0].isalpha() else []
        if module.startswith("anchorloc.") and options:
            with pytest.raises(SystemExit):
                console.main([module.removeprefix("anchorloc."), *sub, "--help"])
            known = capsys.readouterr().out
        else:
            known = path.read_text()
        for option in options:
            assert re.search(rf"{option}\b", known), (module, option)
    extras = re.findall(r"anchorloc\[(\w+)\]", PAGES[page].read_text())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert set(extras) <= set(project["optional-dependencies"])


def test_the_examples_of_the_box_library() -> None:
    results = doctest.testfile(str(PAGES["boxes.md"]), module_relative=False)
    assert results.attempted > 5
    assert results.failed == 0


SETTINGS = [text for page in ("localization.md", "models.md", "training.md") for text in blocks(page, "yaml")]


@pytest.mark.parametrize("text", SETTINGS)
def test_the_settings_of_a_page_are_read(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(text)
    read_config(path)


@pytest.mark.parametrize("page", PAGES)
def test_the_tests_that_a_page_names_exist(page: str) -> None:
    for stem, choices, rest in re.findall(
        r"\b(tests/[\w/]*)(?:\{([\w,]+)\})?([\w/.]*)", PAGES[page].read_text(encoding="utf-8")
    ):
        for choice in choices.split(","):
            assert (ROOT / f"{stem}{choice}{rest}".rstrip(".")).exists(), f"{stem}{choice}{rest}"
