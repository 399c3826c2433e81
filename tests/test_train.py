"""The train command as its user meets it: a run from start to report, and every mistake in one sentence."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from anchorloc import evaluate, train
from anchorloc.cli import run_command
from anchorloc.config import read_config
from anchorloc.data import ShapesData
from anchorloc.data.coco_export import write_coco
from anchorloc.engine import run_report
from anchorloc.engine.build import build_detector
from anchorloc.engine.system.log import read_log
from anchorloc.lab import __main__ as lab

CONFIGS = sorted((Path(__file__).parents[1] / "configs").glob("*.yaml"))
TINY = [
    "detector.backbone={channels: [8, 8, 16, 16], blocks: [1, 1, 1, 1]}",
    "detector.pyramid.channels=16",
    "detector.head={channels: 16, depth: 1}",
    "train={length: 4 iterations, batch_size: 4, workers: 0, validate_every: 1}",
]


@pytest.fixture
def coco(tmp_path: Path) -> Path:
    """A COCO-format folder of 8 train and 4 val scenes."""
    data = ShapesData(train_images=8, val_images=4, size=96)
    write_coco({"train": data.open("train"), "val": data.open("val")}, tmp_path / "set")
    return tmp_path / "set"


def change(folder: Path, edit: Callable[[dict[str, Any]], object], split: str = "train") -> None:
    """Edit an annotation file in place."""
    path = folder / "annotations" / f"instances_{split}.json"
    document = json.loads(path.read_text(encoding="utf-8"))
    edit(document)
    path.write_text(json.dumps(document), encoding="utf-8")


def run(folder: Path, coco: Path, *words: str) -> int:
    data = f"data={{kind: CocoData, root: '{coco}'}}"
    return run_command(train.main, [*TINY, data, *words, "--out", str(folder)])


def test_seconds_on_small_shapes_teach_something(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The default network and settings, but for the length, the warm-up, the batch and the data."""
    folder = tmp_path / "run"
    length = ["train.length=40 iterations", "train.warmup=10", "train.batch_size=8"]
    data = "data={train_images: 320, val_images: 20, size: 64}"
    assert run_command(train.main, [*length, data, "--out", str(folder)]) == 0
    losses = [row["loss"] for row in read_log(folder) if "loss" in row]
    assert losses[-1] < 0.95 * losses[0]
    record = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    assert record["summary"]["AP50"] > 0.003  # untrained: 0.000; rounding and threads change it
    output = capsys.readouterr().out
    assert "report" in output
    assert (folder / "report.html").is_file()
    assert {path.name for path in folder.iterdir()} >= {"best.pt", "last.pt", "config.yaml", "environment.json"}


def test_a_run_can_be_repeated_from_its_folder_and_judged_again(
    tmp_path: Path, coco: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The report at its end has the analysis of `evaluate`, or the command for it where it would take long."""
    assert run(tmp_path / "a", coco) == 0
    again = [str(tmp_path / "a" / "config.yaml"), "--out", str(tmp_path / "b")]
    monkeypatch.setattr(run_report, "MAX_ANALYZED", -1)
    assert "anchorloc.evaluate" not in capsys.readouterr().out
    assert run_command(train.main, again) == 0
    assert f"anchorloc evaluate {tmp_path / 'b' / 'best.pt'}\n" in capsys.readouterr().out
    first, second = ((tmp_path / name / "metrics.json").read_text(encoding="utf-8") for name in "ab")
    assert json.loads(first)["summary"] == json.loads(second)["summary"]
    judged = [str(tmp_path / "a" / "best.pt"), "--out", str(tmp_path / "c")]
    assert run_command(evaluate.main, judged) == 0
    assert json.loads((tmp_path / "c" / "metrics.json").read_text())["summary"] == json.loads(first)["summary"]
    assert json.loads((tmp_path / "c" / "metrics.json").read_text())["analysis"] == json.loads(first)["analysis"]
    assert "analysis" not in json.loads(second)
    assert "<h2>Errors</h2>" in (tmp_path / "a" / "report.html").read_text()
    assert run_command(train.main, ["--resume", "--out", str(tmp_path / "a")]) == 0  # done already: reports again
    assert [row["step"] for row in read_log(tmp_path / "a")][-1] == 4
    assert run_command(train.main, ["train.seed=1", "--resume", "--out", str(tmp_path / "a")]) == 2
    assert "was trained with train.seed=0, not 1" in capsys.readouterr().err
    assert run_command(train.main, again) == 2
    assert "exists already" in capsys.readouterr().err


def test_odd_boxes_are_counted_and_trained_around(
    tmp_path: Path, coco: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def edit(document: dict[str, Any]) -> None:
        document["annotations"][0]["bbox"] = [10, 10, 0, 5]
        document["annotations"][1]["bbox"] = [-50, -50, 20, 20]

    change(coco, edit)
    assert run(tmp_path / "run", coco) == 0
    output = " ".join(capsys.readouterr().out.split())
    assert "1 box has zero size" in output or "zero size" in output
    assert "1 box has zero size (first: annotation 1 of image 1" in output
    assert "1 box has no part inside their image" in output


def set_box(box: list[Any]) -> Callable[[dict[str, Any]], None]:
    def edit(document: dict[str, Any]) -> None:
        document["annotations"][0]["bbox"] = box

    return edit


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (set_box([1, 2, -3, 4]), ["instances_train.json", "annotation 1", "-3"]),
        (set_box([1, 2, 1e308, 4]), ["instances_train.json", "annotation 1", "1e+308"]),
        (set_box([1, 2, float("nan"), 4]), ["instances_train.json", "NaN"]),
        (set_box([1, 2, 3]), ["instances_train.json", "annotation 1"]),
        (lambda d: d["annotations"][0].update(category_id=99), ["annotation 1", "99"]),
        (lambda d: d["annotations"][0].update(image_id=99), ["annotation 1", "99"]),
        (lambda d: d["annotations"][1].update(id=1), ["instances_train.json", "1"]),
        (lambda d: d["images"][0].update(file_name="gone.png"), ["gone.png"]),
        (lambda d: d["images"][0].update(file_name="../annotations/instances_val.json"), [".."]),
        (lambda d: d.update(annotations=[]), ["instances_train.json"]),
        (lambda d: d.update(images=[], annotations=[]), ["instances_train.json"]),
        (lambda d: d.update(categories=[]), ["instances_train.json"]),
        (lambda d: d.pop("images"), ["instances_train.json", "images"]),
        (lambda d: d["categories"][0].update(name="circle"), ["categories", "circle"]),
    ],
)
def test_bad_data_is_one_sentence_and_status_2(
    tmp_path: Path,
    coco: Path,
    capsys: pytest.CaptureFixture[str],
    edit: Callable[[dict[str, Any]], object],
    words: list[str],
) -> None:
    change(coco, edit)
    assert run(tmp_path / "run", coco) == 2
    assert_one_sentence(capsys, words)
    assert not (tmp_path / "run").exists()


def assert_one_sentence(capsys: pytest.CaptureFixture[str], words: list[str]) -> None:
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert "Traceback" not in error
    assert all(word in error for word in words), error


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"not an image", ["train_000003.png"]), (b"", ["train_000003.png"]), (None, ["train_000003.png"])],
)
@pytest.mark.parametrize("workers", [0, 1])
def test_a_broken_image_is_one_sentence(
    tmp_path: Path,
    coco: Path,
    capsys: pytest.CaptureFixture[str],
    content: bytes | None,
    words: list[str],
    workers: int,
) -> None:
    path = coco / "images" / "train_000003.png"
    path.write_bytes(path.read_bytes()[:-300] if content is None else content)
    assert run(tmp_path / "run", coco, f"train.workers={workers}") == 2
    assert_one_sentence(capsys, words)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["train.batch_sise=4"], ["train.batch_sise", "did you mean 'batch_size'?"]),
        (["train.batch_size=x"], ["train.batch_size", "'x'"]),
        (["missing.yaml"], ["missing.yaml", "does not exist"]),
        (["train.seed"], ["train.seed is neither a file nor an override; write train.seed=VALUE"]),
        (["a.yaml", "b.yaml"], ["give one data set or config, got a.yaml and b.yaml"]),
        (["anchors.strides=[8, 16]"], ["anchors.strides", "do not fit the feature maps"]),
        (["data.train_images=8", "train.device=cuda:77"], ["cuda:77"]),
        (["data.train_images=8", "train.device=abacus"], ["abacus"]),
        (["data.kind=CocoData"], ["data.root is missing"]),
        (["data={kind: CocoData, root: nowhere}"], ["nowhere"]),
        (["train.device=meta"], ["cuda:N or mps, got 'meta'"]),
        (["--resume"], ["--resume needs --out"]),
        (["--resume", "--out", "nowhere"], ["nowhere", "not the folder of a run"]),
    ],
)
def test_bad_commands_are_one_sentence(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    words: list[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run_command(train.main, arguments) == 2
    assert_one_sentence(capsys, words)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("main", "words"), [(train.main, []), (lab.main, ["report"])])
def test_an_override_may_be_longer_than_a_file_name(
    main: Any, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command(main, [*words, f"train.batch_size=0  # {300 * 'x'}"]) == 2
    assert_one_sentence(capsys, ["train: batch_size must be above 0"])


def test_every_setting_can_be_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(train.main, ["--list"]) == 0
    assert "train.batch_size = 16  # images per step" in capsys.readouterr().out


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_every_config_reads_and_its_parts_fit(path: Path) -> None:
    with torch.device("meta"):  # without the seconds of random weights
        detector = build_detector(read_config(path), 3, pretrained=False)
    assert path.read_text(encoding="utf-8").startswith("# ")  # the command, and what it measured
    assert sum(weight.numel() for weight in detector.parameters()) > 1e5


@pytest.mark.parametrize("name", ["bccd", "fruits", "airplanes"])
def test_the_configs_train_on_the_real_sets(
    tmp_path: Path, real_data: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """One step and one validation of a few images each: paths, formats and shapes fit."""
    (config,) = [path for path in CONFIGS if path.stem == name]
    small = [f"data.root={real_data / name}", "train.length=2 iterations", "train.batch_size=2", "train.workers=0"]
    cheap = ["detector.backbone.weights=none", "transform.resize={kind: Letterbox, height: 64, width: 64}"]
    assert run_command(train.main, [str(config), *small, *cheap, "--out", str(tmp_path / "run")]) == 0
    capsys.readouterr()
