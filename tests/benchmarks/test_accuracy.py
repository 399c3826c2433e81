"""benchmarks.accuracy on a tiny set: both train, what is done is kept, and bad input is one sentence."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from subprocess import CompletedProcess
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from anchorloc import train
from anchorloc.cli import run_command
from anchorloc.config import read_config
from anchorloc.data import Augment, CocoData, ShapesData, ShortestSide, Transform
from anchorloc.data.coco_export import write_coco
from anchorloc.detector import ResidualBackbone
from anchorloc.detector.layers import Backbone
from benchmarks import accuracy, torchvision_training
from benchmarks.accuracy_summary import gap_closed, summary

OURS = ["ours", "ours-equal-epochs"]
TINY = """
data: {kind: CocoData, root: nowhere}
transform: {resize: {kind: ShortestSide, size: 48, max_size: 64}}
anchors: {strides: [8, 16, 32]}
detector:
  backbone: {kind: ResidualBackbone, channels: [8, 8, 8, 8], blocks: [1, 1, 1, 1], first_stride: 8}
  pyramid: {channels: 8}
  head: {channels: 8, depth: 1}
train: {batch_size: 4, workers: 0, threads: 1}
"""


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Return a folder with a recipe and its data."""
    write_data_set_of_scenes(tmp_path / "data" / "tiny")
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "tiny.yaml").write_text(TINY)
    return tmp_path


def write_data_set_of_scenes(root: Path) -> None:
    shapes = ShapesData(train_images=8, val_images=3, size=64)
    write_coco({"train": shapes.open("train"), "val": shapes.open("val")}, root)


def words(place: Path, *others: str) -> list[str]:
    folders = ["--configs", str(place / "configs"), "--out", str(place / "runs"), "--table", str(table(place))]
    return [str(place / "data"), *folders, "--sets", "tiny", "--seeds", "0", *others]


def table(place: Path) -> Path:
    return place / "results" / "accuracy.csv"


def run_here(command: Sequence[str], **_: object) -> CompletedProcess[bytes]:
    """Train in this process, which has imported torch."""
    assert command[1:3] == ["-m", "anchorloc.train"]
    return CompletedProcess(command, run_command(train.main, command[3:]))


def test_all_train_and_are_not_trained_again(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Our run has its own size and augmentation; at equal epochs it takes the peer's."""
    augmented = TINY.replace("64}}", "64}, augment: {horizontal_flip: 0.25, scale_jitter: [0.5, 2]}}")
    (place / "configs" / "tiny.yaml").write_text(augmented)
    peers = Transform(resize=ShortestSide(40, 40), augment=Augment(horizontal_flip=0.5))
    monkeypatch.setattr(accuracy, "PEERS", peers)
    seen: list[Transform] = []

    def look(model: object, source: object, transform: Transform, *others: object, **options: object) -> int:
        seen.append(transform)
        return 3  # 24 images, thrice the set

    monkeypatch.setattr(torchvision_training, "train", look)
    monkeypatch.setattr(accuracy, "subprocess", SimpleNamespace(run=run_here, DEVNULL=None))
    assert accuracy.main(words(place, "--minutes", "0.02")) == 0
    configs = [read_config(place / "runs" / f"tiny-0.02-0-{name}" / "config.yaml") for name in OURS]
    assert seen == [peers] == [configs[1].transform]
    assert configs[0].transform.resize == ShortestSide(48, 64)
    assert configs[0].transform.augment == Augment(horizontal_flip=0.25, scale_jitter=(0.5, 2))
    assert configs[1].train.length == "6 iterations"
    rows = list(csv.DictReader(table(place).read_text().splitlines()))
    assert [row["method"] for row in rows] == ["torchvision", "ours", "ours-equal-epochs"]
    assert [(row["steps"], row["epochs"]) for row in rows[::2]] == [("3", "3.00"), ("6", "3.00")]
    assert int(rows[1]["steps"]) > 0
    for row in rows:
        assert 0 <= float(row["AP"]) <= float(row["AP50"]) <= 1
        assert row["minutes"] == "0.02"
        assert float(row["cores"]) > 0
        assert row["commit"]
        assert "pycocotools" in row["versions"]
    printed = capsys.readouterr().out
    assert "tiny, 0.02 minutes" in printed
    assert "more AP at equal epochs" in printed

    before = table(place).read_bytes()
    trained: list[accuracy.Run] = []

    def note(run: accuracy.Run) -> accuracy.Score:
        trained.append(run)
        return accuracy.Score(1, 8, 0.5, 0.75, 0.5)

    for method in accuracy.METHODS:
        monkeypatch.setitem(accuracy.METHODS, method, note)
    assert accuracy.main(words(place, "--minutes", "0.02")) == 0
    assert not trained
    assert table(place).read_bytes() == before
    assert accuracy.main(words(place, "--minutes", "2", "--by", "ours")) == 0
    assert [run.minutes for run in trained] == [2]
    assert table(place).read_bytes().startswith(before)


def test_a_run_that_fails_leaves_the_table_as_it_is(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scores = iter([accuracy.Score(1, 8, 0.5, 0.75, None)])
    monkeypatch.setitem(accuracy.METHODS, "torchvision", lambda run: next(scores))
    monkeypatch.setitem(accuracy.METHODS, "ours", lambda run: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        accuracy.main(words(place))
    (row,) = accuracy.read_table(table(place))
    assert (row["method"], row["AP"], row["AP75"]) == ("torchvision", "0.5000", "0.0000")


def body() -> Backbone:
    torch.manual_seed(0)
    return ResidualBackbone((8, 8, 8, 8), (1, 1, 1, 1), first_stride=8)()


def test_the_peer_learns_and_its_boxes_are_in_original_pixels(tmp_path: Path) -> None:
    """With a score threshold that an untrained network passes, detections fill images larger than the network's."""
    write_data_set_of_scenes(tmp_path / "data")
    data = CocoData(tmp_path / "data")
    train, transform = data.open("train"), Transform(resize=ShortestSide(32, 32))
    model = torchvision_training.retinanet(body(), len(train.categories), 32, 32)
    before = {name: value.clone() for name, value in model.named_parameters()}
    assert torchvision_training.train(model, train, transform, "3 iterations", 0) == 3
    assert all(torch.isfinite(value).all() for value in model.parameters())
    moved = [name for name, value in model.named_parameters() if not torch.equal(value, before[name])]
    assert any(name.startswith("backbone.body") for name in moved)
    assert any(name.startswith("head") for name in moved)
    model.score_thresh = 0.0  # type: ignore[assignment]
    found = list(torchvision_training.detect(model, data.open("val"), transform))
    assert [one.image_id for one in found] == [data.open("val").image_id(index) for index in range(3)]
    corners = np.concatenate([one.boxes for one in found])
    assert corners.min() >= 0
    assert 60 < corners.max() <= 64


def refused(argv: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> str:
    """The one line that a command ends with before any training."""
    for method in accuracy.METHODS:
        monkeypatch.setitem(accuracy.METHODS, method, lambda run: pytest.fail("trained"))
    assert run_command(accuracy.main, argv) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    return line


def test_equal_epochs_need_the_peer(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(accuracy.main, words(place, "--by", "ours-equal-epochs")) == 2
    assert "add torchvision to --by, before it" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("damaged", "told"),
    [
        ("data", "data/tiny is not there; give as DATA the folder that holds the set tiny"),
        ("configs/tiny.yaml", "tiny.yaml does not exist"),
        ("data/tiny/annotations/instances_val.json", "instances_val.json does not exist"),
    ],
)
def test_what_is_missing_is_one_sentence(
    place: Path, damaged: str, told: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (place / damaged).rename(place / "elsewhere")
    assert told in refused(words(place), capsys, monkeypatch)


def test_other_bad_input_is_one_sentence(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "give DATA" in refused([], capsys, monkeypatch)
    table(place).parent.mkdir()
    table(place).write_text("set,AP\ntiny,1\n")
    assert f"{table(place)} has a line without minutes" in refused(words(place), capsys, monkeypatch)
    recipe = place / "configs" / "tiny.yaml"
    backbone = TINY.replace("ResidualBackbone, channels: [8, 8, 8, 8], blocks: [1, 1, 1, 1], first_stride: 8", "{}")
    recipe.write_text(backbone.replace("{}", "TorchvisionBackbone, name: resnet18"))
    assert "resnet18, whose weights are not known; known: mobilenet_v2" in refused(words(place), capsys, monkeypatch)
    recipe.write_text(backbone.replace("{}", "TorchvisionBackbone, name: mobilenet_v2"))
    assert "mobilenet_v2_imagenet_tvnaming.pth does not exist" in refused(words(place), capsys, monkeypatch)


@pytest.mark.parametrize("word", ["0", "-1", "many"])
def test_a_length_that_is_none_is_refused(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        accuracy.main(["data", f"--minutes={word}"])
    assert "--minutes" in capsys.readouterr().err


def line(method: str, seed: int, ap: float, minutes: str = "10", cores: float = 1.95) -> dict[str, str]:
    return {
        "set": "airplanes",
        "minutes": minutes,
        "seed": str(seed),
        "method": method,
        "AP": f"{ap:.4f}",
        "cores": f"{cores:.2f}",
        "commit": "abc",
    }


def test_the_summary_by_hand() -> None:
    rows = [
        line("torchvision", 0, 0.6),
        line("ours", 0, 0.8),
        line("ours", 1, 0.9),
        line("torchvision", 1, 0.8, cores=1),
        line("torchvision", 2, 0.7),
        line("ours-equal-epochs", 0, 0.625),
        line("ours-equal-epochs", 2, 0.65, cores=1),  # not by the clock
        line("ours", 0, 0.5, "2"),
        line("torchvision-bf16", 0, 0.6, "2"),
    ]
    text = summary(rows)
    assert [printed.split() for printed in text if printed and "runs" not in printed] == [
        ["airplanes,", "10", "minutes", "seed", "0", "seed", "1", "seed", "2", "mean"],
        ["AP", "of", "ours", "0.800", "0.900", "-", "0.850"],
        ["AP", "of", "ours-equal-epochs", "0.625", "-", "0.650", "0.637"],
        ["AP", "of", "torchvision", "0.600", "0.800", "0.700", "0.700"],
        ["gap", "of", "torchvision", "closed", "50%", "50%", "-", "50%"],
        ["more", "AP", "at", "equal", "epochs", "+0.025", "-", "-0.050", "-0.012"],
        ["airplanes,", "2", "minutes", "seed", "0", "mean"],
        ["AP", "of", "ours", "0.500", "0.500"],
        ["AP", "of", "torchvision-bf16", "0.600", "0.600"],
        ["gap", "of", "torchvision-bf16", "closed", "-25%", "-25%"],
    ]
    assert text[-1] == "9 runs of 1 commit; 1 of the timed had less than 1.8 cores"
    assert max(map(len, text)) <= 80
    assert summary([]) == ["no run is done yet"]


@given(st.floats(0, 1), st.floats(0, 0.999))
def test_the_gap_closed(mine: float, theirs: float) -> None:
    closed = gap_closed(mine, theirs)
    assert theirs + closed * (1 - theirs) == pytest.approx(mine)
    assert (closed >= 0) == (mine >= theirs)
