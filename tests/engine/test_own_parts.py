"""Parts of the user's own: the page on them runs, wrong ones are refused, and checkpoints open without them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from random import Random
from types import FunctionType
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from PIL import Image

import anchorloc
from anchorloc import __main__ as console
from anchorloc.anchors import AnchorGenerator
from anchorloc.assign import ATSSAssigner
from anchorloc.checkpoint import load_checkpoint, save_checkpoint
from anchorloc.compare.study_file import read_study
from anchorloc.config import (
    Config,
    config_from_plain,
    imports_allowed,
    own_classes,
    own_failures,
    read_config,
    to_plain,
)
from anchorloc.config.own_classes import own_class
from anchorloc.data import Augment, ImageSettings, ShapesData, Source, Split
from anchorloc.data.tiles import Tiles
from anchorloc.detector import Criterion, Detector, TaskAlignedAssigner
from anchorloc.engine import run_report
from anchorloc.engine.build import build_detector
from anchorloc.engine.network_part_checks import check_network_parts
from anchorloc.engine.state.resume import resume_command
from anchorloc.engine.trained_model import for_inference
from anchorloc.errors import InputError
from anchorloc.lab.anchor_coverage import measure_coverage
from anchorloc.lab.network_views import NetworkViews
from anchorloc.lab.part_checks import check_parts, open_checked
from anchorloc.structures import AnchorGrid, Assignment, Category, Target
from anchorloc.train import StepDone, StopTraining
from tests.detector.random_models import save_random
from tests.guides import blocks, commands

LESS = ["train.length=2 iterations", "train.batch_size=2", "train.workers=0"]
TINY = [
    "detector.backbone={channels: [8, 8, 16, 16], blocks: [1, 1, 1, 1]}",
    "detector.pyramid.channels=8",
    "detector.head={channels: 8, depth: 1}",
]


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a new current folder with the module, the config and the data of the page."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(run_report, "RESAMPLES", 20)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "parts", raising=False)
    Path("parts.py").write_text("\n\n".join(blocks("extending.md", "python")[1:]), encoding="utf-8")
    Path("own.yaml").write_text(blocks("extending.md", "yaml")[0], encoding="utf-8")
    random = np.random.default_rng(0)
    for split, images_of_it in (("train", 6), ("val", 3)):
        Path("squares", split).mkdir(parents=True)
        images = np.full((images_of_it, 64, 64, 3), 90, np.uint8)
        corners = random.integers(4, 30, (images_of_it, 2))
        for image, (x, y) in zip(images, corners, strict=True):
            image[y : y + 24, x : x + 24] = 200
        np.save(Path("squares", split, "images.npy"), images)
        np.save(Path("squares", split, "boxes.npy"), np.hstack([corners, corners + 24]).astype(np.float32))
    Path("photos").mkdir()
    Image.fromarray(images[0]).save("photos/a.png")
    return tmp_path


def test_the_page_runs(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    exec(blocks("extending.md", "python")[0], {})
    train, lab, evaluate, predict = (words[1:] for words in commands("extending.md"))
    allowed = "--allow-import"
    assert console.main([word for word in train if word != allowed]) == 2
    error = capsys.readouterr().err
    assert "data.kind=parts.ArrayData is Python code, which is imported only if you allow it" in error
    assert not Path("runs").exists()
    assert console.main([*train, *LESS]) == 0, capsys.readouterr().err
    assert "anchors: 6 of 6 boxes have a positive anchor" in capsys.readouterr().out.replace("\n", " ")
    assert console.main(lab) == 0, capsys.readouterr().err
    assert console.main(evaluate) == 0, capsys.readouterr().err
    assert console.main(predict) == 0, capsys.readouterr().err
    saved = load_checkpoint(Path("runs/own/best.pt"))["config"]
    assert saved["loss"]["box"] == {"kind": "parts.CharbonnierLoss", "eps": 0.1}
    assert saved["assign"] == {"kind": "parts.TopKAssigner", "k": 9}
    for words in (lab, evaluate, predict):
        assert console.main([word for word in words if word != allowed]) == 2
        assert "parts." in capsys.readouterr().err


def test_a_run_with_own_parts_resumes(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def stop(event: object) -> None:
        if isinstance(event, StepDone):
            raise StopTraining

    run = anchorloc.train.run("own.yaml", *LESS, out="run", events=stop, allow_import=True)
    assert (run.stopped, run.steps) == (True, 1)
    resume = ["train", "--resume", "--out", "run"]
    assert console.main(resume) == 2
    assert "give --allow-import (in Python allow_import=True)" in capsys.readouterr().err
    assert console.main([*resume, "--allow-import"]) == 0, capsys.readouterr().err
    assert load_checkpoint(Path("run/last.pt"))["step"] == 2


def test_an_object_of_a_local_class_trains(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is imported: the program has the class."""
    monkeypatch.setattr(run_report, "RESAMPLES", 20)

    @dataclass(frozen=True)
    class Doubled:
        weight: float = 2.0

        def __call__(self, deltas: Any, boxes: Any, anchors: Any, coder: Any) -> Any:
            return self.weight * (deltas - coder.encode(boxes, anchors)).abs().sum(dim=-1)

    settings = replace(
        Config(),
        data=ShapesData(4, 2, 64),
        loss=Criterion(box=Doubled(np.float32(0.5))),  # type: ignore[arg-type]
    )
    run = anchorloc.train.run(settings, *TINY, *LESS, "loss.box.weight=0.25", out=tmp_path / "run")
    assert run.best is not None
    kind = load_checkpoint(run.best)["config"]["loss"]["box"]
    assert kind == {"kind": f"{Doubled.__module__}.{Doubled.__qualname__}", "weight": 0.25}
    assert anchorloc.load(run.best).model.step == 2


def test_a_checkpoint_opens_without_what_inference_does_not_need(tmp_path: Path) -> None:
    path = tmp_path / "best.pt"
    save_random(path, "data={train_images: 2, val_images: 2, size: 64}", *TINY)
    state = load_checkpoint(path)
    config = state["config"]
    config["loss"] |= {
        "box": {"kind": "nowhere.Loss", "eps": [1, {"a": 2}]},
        "classification": {"kind": "nowhere.Focal"},
    }
    config["assign"] = {"kind": "nowhere.Assigner"}
    config["data"] = {"kind": "nowhere.Data", "max_pixels": 5000, "window": [0, 100], "tiles": to_plain(Tiles(64))}
    config["transform"]["augment"]["custom"] = {"kind": "nowhere.Blur", "radius": 3}
    save_checkpoint(path, state)
    model = anchorloc.load(path)
    assert model.model.config.tiles == Tiles(64)
    assert model.image_settings == ImageSettings(max_pixels=5000, window=(0, 100))
    assert len(model(np.zeros((64, 64, 3), np.uint8), score=0)) > 0
    Image.fromarray(np.zeros((80, 80, 3), np.uint8)).save(tmp_path / "large.png")
    with pytest.raises(InputError, match=r"max_pixels"):
        model(str(tmp_path / "large.png"))
    assert to_plain(model.model.config) == config
    with pytest.raises(InputError, match=r"^data\.kind=nowhere\.Data is Python code"):
        anchorloc.evaluate.run(path, out=tmp_path / "report")
    judged = anchorloc.evaluate.run(
        path, "data={kind: ShapesData, train_images: 2, val_images: 2, size: 64}", out=tmp_path / "judged", resamples=0
    )
    assert judged.metrics["images"] == 2 if "images" in judged.metrics else judged.metrics
    missing = anchorloc.load(path, allow_import=True)  # the code of parts that it does not need may be gone
    assert len(missing(np.zeros((64, 64, 3), np.uint8), score=0)) > 0
    with pytest.raises(InputError, match=r"^data\.kind=nowhere\.Data: ModuleNotFoundError: No module named 'nowhere'"):
        anchorloc.evaluate.run(path, out=tmp_path / "report", allow_import=True)


@dataclass(frozen=True)
class BoxLoss:
    """A box loss that returns `make(deltas)`."""

    make: Callable[..., Any]

    def __call__(self, deltas: Any, boxes: Any, anchors: Any, coder: Any) -> Any:
        return self.make(deltas)


@dataclass(frozen=True)
class KindLoss:
    kind: str = "GIoULoss"


@dataclass(frozen=True)
class UnknownLoss:
    weight: Missing = 1  # type: ignore[name-defined]  # noqa: F821


@dataclass(frozen=True)
class ClassLoss:
    make: Callable[..., Any]
    background_class: ClassVar[bool] = False

    def total(self, logits: Any, batch: Any, quality: Any) -> Any:
        return self.make(logits)


@dataclass(frozen=True)
class Backbone:
    module: Any

    def __call__(self, *, pretrained: bool = True) -> Any:
        return self.module


class Net(torch.nn.Module):
    def __init__(self, channels: Any, strides: Any, shrink: int = 4) -> None:
        super().__init__()
        self.channels, self.strides, self.shrink = channels, strides, shrink

    def forward(self, images: Any) -> Any:
        return [images[:, :1, :: self.shrink, :: self.shrink]]


@dataclass(frozen=True)
class NoLoss:
    eps: float = 0.1


NO_LOSS: Any = NoLoss()


def box(make: Callable[..., Any]) -> Config:
    return replace(Config(), loss=Criterion(box=BoxLoss(make)))


def classification(make: Callable[..., Any]) -> Config:
    return replace(Config(), loss=Criterion(classification=ClassLoss(make)))


def backbone(module: Any) -> Config:
    return replace(Config(), detector=replace(Config().detector, backbone=Backbone(module)))


BOX_SENTENCE = (
    "a box loss takes deltas (P, 4), boxes (P, 4), anchors (P, 4) and a coder, and returns the finite loss (P,)"
)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (box(lambda deltas: deltas.sum()), "the loss of 3 positives has shape () and type float32, not (3,) and"),
        (box(lambda deltas: deltas.sum(dim=1).detach()), "the loss of 3 positives has no gradient"),
        (box(lambda deltas: deltas.sum(dim=1).long()), "has shape (3,) and type int64, not (3,) and float32"),
        (box(lambda deltas: deltas.sum(dim=1).half()), "has shape (3,) and type float16, not (3,) and float32"),
        (box(lambda deltas: sys.exit(3)), "it raised SystemExit: 3"),
        (replace(Config(), loss=Criterion(classification=NO_LOSS)), "has no attribute 'background_class'; a classif"),
        (box(lambda deltas: deltas.sum(dim=1) / 0), "the loss of 3 positives is NaN or infinite"),
        (box(lambda deltas: [0.0] * 3), "the loss of 3 positives is a list, not a tensor"),
        (box(lambda deltas: deltas[[0, 0, 0], 0] if len(deltas) else None), "the loss of 0 positives is a NoneType"),
        (box(lambda deltas: deltas.nothing), "it raised AttributeError: 'Tensor' object has no attribute 'nothing'"),
        (replace(Config(), loss=Criterion(box=NO_LOSS)), "it raised TypeError: 'NoLoss' object is not callable"),
        (box(lambda deltas: deltas.sum()), BOX_SENTENCE),
        (classification(lambda logits: logits), "not () and float32; a classification loss has background_class"),
        (classification(lambda logits: logits.sqrt().nansum()), "has a gradient that is NaN or infinite"),
        (backbone(3), "it returned int; a backbone is called with pretrained=True or False"),
        (backbone(torch.nn.Identity()), "it raised AttributeError: 'Identity' object has no attribute 'channels'"),
        (backbone(Net(3, (4,))), "its channels are 3"),
        (backbone(Net((1, 2), (4,))), "it has 2 channels for 1 strides"),
        (backbone(Net((1, 2), (4, 8))), "it gives 1 maps for 2 strides"),
        (backbone(Net((2,), (4,))), "has shape (1, 1, 64, 64) and type float32, not (1, 2, 64, 64) and float32"),
    ],
)  # fmt: skip
def test_wrong_network_parts_are_refused(config: Config, words: str) -> None:
    with pytest.raises(InputError) as caught:
        check_network_parts(config, ShapesData(2, 1, 64).open("train"))
    assert words in str(caught.value)
    assert f".kind={__name__}." in str(caught.value)
    assert "\n" not in str(caught.value)


@dataclass(frozen=True)
class Assigner:
    """The assignment of ATSS, changed."""

    change: Callable[[Assignment], Any]

    def __call__(self, grid: AnchorGrid, boxes: Any, crowd: Any) -> Any:
        return self.change(ATSSAssigner()(grid, boxes, crowd))


@dataclass(frozen=True)
class Anchors:
    strides: Any = (4, 8, 16, 32)
    shapes_per_level: Any = (1, 1, 1, 1)
    make: Callable[..., Any] = AnchorGenerator((4, 8, 16, 32), (4.0,), (1.0,))

    def __call__(self, image_size: Any) -> Any:
        return self.make(image_size)


@dataclass(frozen=True)
class Augmentation:
    make: Callable[..., Any]

    def __call__(self, image: Any, boxes: Any, random: Random) -> Any:
        return self.make(image, boxes, random)


def growing(size: Any) -> AnchorGrid:
    return AnchorGenerator((4, 8, 16, 32), (9.0 + next(NUMBERS),), (1.0,))(size)


def assigned(change: Callable[[Assignment], Any]) -> Config:
    return replace(Config(), assign=Assigner(change))


def augmented(make: Callable[..., Any]) -> Config:
    return replace(Config(), transform=replace(Config().transform, augment=Augment(custom=Augmentation(make))))


NONE = np.zeros(0, np.int64)
NUMBERS = count()
LIST: Any = [1]


def rows(boxes: Any) -> Any:
    return np.arange(len(boxes))


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (assigned(lambda found: found.matched), "it returned ndarray for"),
        (assigned(lambda found: replace(found, count=7)), "its count is 7 for"),
        (assigned(lambda found: replace(found, anchors=found.anchors[::-1])), "are not ascending; an assigner takes"),
        (assigned(lambda found: replace(found, rows=found.rows + 9)), "rows for"),
        (assigned(lambda found: replace(found, rows=found.rows.astype(float))), "and type float64, not"),
        (assigned(lambda found: replace(found, ignored=LIST)), "is a list, not an array"),
        (assigned(lambda found: Assignment(NONE, NONE, NONE, found.count, NONE)), "unassigned is [] for"),
        (
            assigned(lambda found: replace(found, anchors=np.arange(len(found.anchors)))),
            "a positive anchor does not overlap its box",
        ),
        (replace(Config(), anchors=Anchors(strides=(4, 0))), "its strides are (4, 0), not numbers above 0"),
        (replace(Config(), anchors=Anchors(shapes_per_level=(1,))), "its shapes_per_level are (1,) for 4 strides"),
        (replace(Config(), anchors=Anchors(make=lambda size: None)), "it returned NoneType; an anchor generator has"),
        (replace(Config(), anchors=Anchors((4, 8, 16, 64))), "x1 of level 3 has shape (1, 2) and type float32, not"),
        (
            replace(Config(), anchors=Anchors(make=growing)),
            "it gave two grids for images of (64, 64); an anchor generator has",
        ),
        (augmented(lambda image, boxes, random: image), "it returned ndarray, not pixels, boxes and rows"),
        (augmented(lambda image, boxes, random: (image / 2, boxes, rows(boxes))), "float64, not (64, 64, 3) uint8"),
        (augmented(lambda image, boxes, random: (image, boxes[:1], rows(boxes))), "it returned boxes (1, 4) with rows"),
        (augmented(lambda image, boxes, random: (image, boxes, rows(boxes) + 99)), "boxes; an augmentation takes"),
        (augmented(lambda image, boxes, random: (image, boxes * np.nan, rows(boxes))), "a box that is not finite"),
        (
            augmented(lambda image, boxes, random: (image, boxes + next(NUMBERS), rows(boxes))),
            "it gave one picture two results: not all its random numbers come from its generator",
        ),
        (
            augmented(lambda image, boxes, random: (image, boxes - (image.max() > 0), rows(boxes))),
            "it gave other boxes over black pixels; an augmentation takes pixels",
        ),
    ],
)  # fmt: skip
def test_wrong_array_parts_are_refused(config: Config, words: str) -> None:
    source = ShapesData(6, 1, 64).open("train")
    assert any(len(source.target(index)) > 1 for index in range(6))
    with pytest.raises(InputError) as caught:
        check_parts(config, source)
    assert words in str(caught.value)
    assert f".kind={__name__}." in str(caught.value)


class Squares(Source):
    """Three images with one box each, changed by what a test gives."""

    categories = (Category(np.int64(1), "square"),)  # type: ignore[arg-type]

    def __init__(self, **changes: Any) -> None:
        vars(self).update(changes)

    def __len__(self) -> int:
        return 3

    def size(self, index: int) -> Any:
        return vars(self).get("sizes", (40, 50))

    def image(self, index: int) -> Any:
        return vars(self).get("pixels", np.zeros((40, 50, 3), np.uint8))

    def target(self, index: int) -> Any:
        boxes = np.array([[-3.0, 2.0, 20.0, 30.0]])
        found = Target(boxes, np.zeros(1, np.int64), np.zeros(1, np.bool_), np.array([644.0]), np.array([index]))
        return replace(found, **vars(self).get("parts", {}))


@dataclass(frozen=True)
class Data(ImageSettings):
    source: Any

    def open(self, split: Split) -> Any:
        return self.source() if isinstance(self.source, FunctionType) else self.source


def moving(index: int) -> Target:
    target: Target = Squares().target(index)
    return replace(target, boxes=target.boxes + next(NUMBERS) % 7)


def leave() -> None:
    sys.exit(3)


def test_a_source_has_the_rest_by_itself() -> None:
    train, val, test = open_checked(replace(Config(), data=Data(Squares())))
    assert test is None
    assert train is val
    assert train.training_target(0).boxes.tolist() == [[0, 2, 20, 30]]  # clipped to the image
    assert (train.image_id(1), train.name(1), train.annotation_id(4)) == (2, "2", 4)
    assert (train.warnings, train.check_images()) == ((), ())
    assert train.categories == (Category(1, "square"),)
    assert type(train.categories[0].id) is int
    moved = Squares(parts={"boxes": np.array([[-3.0, 2.0, 20.0, 31.0]])})
    assert train.fingerprint == Squares().fingerprint != moved.fingerprint


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (object(), "its train split lacks __len__, "),
        (Squares(categories=["square"]), "the categories of its train split are ['square'], not a tuple of Category"),
        (Squares(sizes=(40.0, 50)), "image 0 of its train split has the size (40.0, 50), not a tuple (height,"),
        (Squares(pixels=np.zeros((50, 40, 3), np.uint8)), "are (50, 40, 3) uint8, not (40, 50, 3) uint8 as its size"),
        (Squares(sizes=np.array([40, 50])), "has the size array([40, 50]), not a tuple (height, width)"),
        (None, "open('train') returned None"),
        (Squares(categories=(Category(1, "a"), Category(1, "b"))), "some categories of its train split have the same"),
        (Squares(image_id=lambda index: 7), "some images of its train split have the same image_id"),
        (Squares(parts={"boxes": np.array([[60.0, 2, 70, 4]])}), "none of the 3 boxes of its train split is inside of"),
        (Squares(target=lambda index: Squares().target(index).take(NONE)), "its train split has no box; a data set"),
        (
            Squares(name=lambda index: Path("a.png")),
            "has the name PosixPath('a.png'), not a string",
        ),
        (Squares(image_id=lambda index: (index, 1)), "has the image_id (0, 1), not an int or a string"),
        (Squares(categories=(Category(1, 7),)), "a category of its train split has the id 1 and the name 7, not"),  # type: ignore[arg-type]
        (Squares(categories=(Category(None, "a"),)), "has the id None and the name 'a', not an int"),  # type: ignore[arg-type]
        (Squares(target=moving), "image 0 of its train split has other boxes each time"),
        (leave, "it raised SystemExit: 3"),
        (Squares(parts={"labels": np.array([3])}), "has the labels [3], of 1 classes"),
        (Squares(parts={"boxes": np.array([[9.0, 2, 4, 4]])}), "has a box of negative size: they are x1, y1, x2, y2"),
        (Squares(parts={"crowd": np.zeros(1)}), "crowd of image 0 of its train split has shape (1,) and type float64"),
        (Squares(parts={"area": [1.0]}), "area of image 0 of its train split is a list, not an array"),
    ],
)
def test_a_wrong_source_is_refused(source: Any, words: str) -> None:
    with pytest.raises(InputError) as caught:
        open_checked(replace(Config(), data=Data(source)))
    assert words in str(caught.value)
    assert "; a data set inherits from ImageSettings and has open(split)" in str(caught.value)


def test_numbers_of_numpy_are_sizes() -> None:
    train, _, _ = open_checked(replace(Config(), data=Data(Squares(sizes=(np.int64(40), np.int64(50))))))
    assert Config().samples(train, training=False)[0, 0].image.shape == (40, 50, 3)


@pytest.mark.parametrize("cache", [0, 1 << 20])
def test_an_image_of_another_size_or_type_is_refused(cache: int) -> None:
    """The trial of a source reads one image only, and boxes would be in the wrong place."""
    for pixels in (np.zeros((30, 50, 3), np.uint8), np.zeros((1, 50, 3), np.uint8), np.zeros((40, 50, 3)), None):
        samples = Config().samples(Squares(pixels=pixels), training=False, cache_bytes=cache)
        with pytest.raises(InputError, match=r"^image 2, 3, has pixels \(.*\) \w+, but .* its size as \(40, 50\)"):
            samples[0, 2]


def test_every_assignment_is_held_to_the_protocol() -> None:
    """An assigner may be right for the image that it is tried on, and wrong for others."""
    source = ShapesData(6, 1, 64).open("train")
    negative = assigned(lambda found: replace(found, rows=-1 - found.rows))
    initial: Any = TaskAlignedAssigner(initial=negative.assign)  # type: ignore[arg-type]
    for config, key in ((negative, "assign"), (replace(negative, assign=initial), r"assign\.initial")):
        said = rf"^{key}\.kind=.*: rows for \d+ boxes are not all from 0 to"
        with pytest.raises(InputError, match=said):
            config.method.collate()([config.samples(source, training=True)[0, 0]])
        with pytest.raises(InputError, match=said):
            measure_coverage(NetworkViews(config, source), rescue_curve=False)


def test_an_augmentation_may_drop_and_move_boxes() -> None:
    """The pixels, the boxes and the lab agree, also where a picture has padding."""

    def shift(image: Any, boxes: Any, random: Random) -> Any:
        by = 1 + int(random.random() * 8)
        return np.roll(image, by, axis=1), boxes[:-1] + np.array([by, 0, by, 0]), rows(boxes)[:-1]

    config = replace(augmented(shift), data=ShapesData(6, 1, 64))
    source = config.data.open("train")
    check_parts(config, source)
    plain = replace(config, transform=replace(config.transform, augment=Augment()))
    moved, before = (one.samples(source, training=True)[3, 2] for one in (config, plain))
    assert len(moved.target) == len(before.target) - 1
    by = moved.target.boxes[0, 0] - before.target.boxes[0, 0]
    assert by in range(1, 9)
    assert np.array_equal(moved.image, np.roll(before.image, int(by), axis=1))
    assert moved.target.labels.tolist() == before.target.labels[:-1].tolist()
    still = config.samples(source, training=False)[0, 2]
    assert len(still.target) == len(before.target)  # evaluation applies no augmentation


def test_an_error_of_own_code_has_its_file_and_line(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = (
        Path("parts.py")
        .read_text()
        .replace("error = deltas", "if len(deltas) not in (0, 3): raise KeyError('gone')\n        error = deltas")
    )
    Path("parts.py").write_text(text)
    line = text[: text.index("raise KeyError")].count("\n") + 1
    assert console.main(["train", "own.yaml", "--allow-import", "--out", "run", *LESS]) == 2
    assert f"error: parts.py, line {line}: KeyError: 'gone'; correct this code of your own" in capsys.readouterr().err


def test_an_error_of_own_code_in_a_worker_has_its_file_and_line(desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """torch gives it as text."""
    monkeypatch.setattr(own_classes, "_FILES", set())
    with imports_allowed(True):
        assert own_class("parts.UpsideDown", "x") is not None
    frames = f'Original Traceback (most recent call last):\n  File "{desk}/parts.py", line 7, in f\n'
    text = f"Caught ValueError.\n{frames}ValueError: odd"
    said = r"^parts\.py, line 7: ValueError: odd; correct this code of your own$"
    with pytest.raises(InputError, match=said), own_failures():
        raise ValueError(text)
    with pytest.raises(ValueError, match=r"^ours$"), own_failures():
        raise ValueError("ours")


def test_an_error_of_code_beside_a_part_has_its_file_and_line(desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The network of a backbone may have a module of its own; installed packages are not the user's."""
    monkeypatch.setattr(own_classes, "_FILES", {f"{desk}/parts.py"})
    for file, own in (("nets/plain.py", True), (".venv/lib/site-packages/torch/nn/module.py", False)):
        Path(file).parent.mkdir(parents=True)
        Path(file).write_text("def fail():\n    raise KeyError('gone')\n")
        code: dict[str, Any] = {}
        exec(compile(Path(file).read_text(), str(desk / file), "exec"), code)
        said = r"^plain\.py, line 2: KeyError: 'gone'; correct this code of your own$"
        with pytest.raises(InputError, match=said) if own else pytest.raises(KeyError), own_failures():
            code["fail"]()


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("nowhere.Loss", "loss.box.kind=nowhere.Loss: ModuleNotFoundError: No module named 'nowhere'"),
        ("parts.Nothing", "loss.box.kind=parts.Nothing: parts has no class Nothing; check the name"),
        ("parts.PlainNetwork", "loss.box.kind=parts.PlainNetwork is no dataclass, whose fields are its settings"),
        ("odd.Loss", "loss.box.kind=odd.Loss: NameError: name 'Missing' is not defined"),
        ("odd.Open", "loss.box.kind=odd.Open: TypeError: unhashable type: 'list'; write @dataclass(frozen=True)"),
        ("leaving.Loss", "loss.box.kind=leaving.Loss: SystemExit: 3; correct leaving, or check its name"),
        ("parts..Loss", "loss.box.kind=parts..Loss is no name of a class; write package.module.Class"),
        ("odd.Function", "loss.box.kind=odd.Function: Function.eps is a function, which a config cannot hold; give"),
        ("odd.Kind", "loss.box.kind=odd.Kind has a field 'kind', which names the class; rename the field"),
        ("odd.Enumerated", "loss.box.kind=odd.Enumerated: Enumerated.mode is a Mode, which a config cannot hold; give"),
        ("odd.Infinite", "loss.box.eps: need finite numbers, got inf"),
        (
            "odd.Drawn",
            "loss.box.kind=odd.Drawn: PydanticSchemaGenerationError: Unable to generate",
        ),
        ("odd.None_, eps: 1", "loss.box.eps: unknown key of None_, which has no settings"),
        ("parts.CharbonnierLoss, esp: 1", "loss.box.esp: unknown key of CharbonnierLoss, known here: eps"),
        ("parts.CharbonnierLoss, eps: x", "loss.box.eps: expected a number, got 'x'"),
    ],
)
def test_wrong_kinds_are_refused(desk: Path, kind: str, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("odd.py").write_text(
        "from dataclasses import dataclass\nfrom enum import StrEnum\nimport random\n"
        "@dataclass(frozen=True)\nclass Loss:\n    eps: 'Missing' = 1\n"
        "@dataclass(frozen=True)\nclass Open:\n    eps: 'list[int]'\n"
        "@dataclass(frozen=True)\nclass Function:\n    eps: object = lambda x: x\n"
        "@dataclass(frozen=True)\nclass None_:\n    pass\n"
        "@dataclass(frozen=True)\nclass Drawn:\n    random: 'random.Random | None' = None\n"
        "@dataclass(frozen=True)\nclass Infinite:\n    eps: float = float('inf')\n"
        "@dataclass(frozen=True)\nclass Kind:\n    kind: str = 'GIoULoss'\n"
        "class Mode(StrEnum):\n    FAST = 'fast'\n"
        "@dataclass(frozen=True)\nclass Enumerated:\n    mode: Mode = Mode.FAST\n"
    )
    Path("leaving.py").write_text("import sys\nsys.exit(3)\n")
    more = ", eps: [1]" if kind == "odd.Open" else ""
    assert console.main(["train", f"loss.box={{kind: {kind}{more}}}", "--allow-import", "--out", "run"]) == 2
    assert words in capsys.readouterr().err
    assert not Path("run").exists()


def test_what_is_no_component_is_refused(tmp_path: Path) -> None:
    config = replace(Config(), loss=Criterion(box=lambda deltas, boxes, anchors, coder: deltas.sum()))
    with pytest.raises(InputError, match=r"^box: <function .* is no component; give an object of a frozen dataclass$"):
        anchorloc.train.run(config, out=tmp_path / "run")


def test_objects_that_no_config_can_hold_are_refused(tmp_path: Path) -> None:
    """They would become text, and the part would be built from that."""
    for made, words in (
        (BoxLoss(lambda deltas: deltas), r"^BoxLoss\.make is a function, which a config cannot hold; give numbers"),
        (KindLoss(), r"^box: .*\.KindLoss has a field 'kind', which names the class; rename the field$"),
        (UnknownLoss(), r"^the types of the fields of .*\.UnknownLoss cannot be read: name 'Missing' is not defined$"),
        (BoxLoss, r"^box: BoxLoss is a class; give an object, BoxLoss\(\)$"),
    ):
        with pytest.raises(InputError, match=words):
            anchorloc.train.run(replace(Config(), loss=Criterion(box=made)), out=tmp_path / "run")  # type: ignore[arg-type]


def test_an_own_backbone_may_need_values(tmp_path: Path) -> None:
    """Shapes are computed with values, because such code may look at them."""

    class Looks(torch.nn.Module):
        channels, strides = (3, 3, 3, 3), (4, 8, 16, 32)

        def forward(self, images: Any) -> Any:
            assert images.sum().item() == images.sum().item()
            return [images[:, :, ::stride, ::stride] for stride in self.strides]

    build_detector(backbone(Looks()), 1)
    with pytest.raises(InputError, match=r"kind=.*\.Backbone: it raised .*; a backbone is called with"):
        build_detector(backbone(Net((1,) * 4, (4, 8, 16, 32))), 1)


def test_the_normalization_of_an_own_backbone_stays() -> None:
    """Its code may use the output of a convolution twice, and values of tensors."""

    class Sum(torch.nn.Module):
        channels, strides = (8, 8, 8, 8), (4, 8, 16, 32)

        def __init__(self) -> None:
            super().__init__()
            self.conv, self.norm = torch.nn.Conv2d(3, 8, 4, 4), torch.nn.BatchNorm2d(8)

        def forward(self, images: Any) -> Any:
            found = self.conv(images)
            found = self.norm(found) + found * (1 + 0 * found.sum().item())
            return [found[:, :, ::step, ::step] for step in (1, 2, 4, 8)]

    config = backbone(Sum())
    network = build_detector(config, 1).eval()
    network.backbone.norm.running_mean.fill_(0.5)  # type: ignore[union-attr, operator]
    images = torch.rand(1, 3, 64, 64) * 255
    with torch.no_grad():
        expected = network(images).logits
        found = for_inference(network, config, torch.device("cpu"))(images).logits
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


def test_a_plan_names_the_option_that_own_parts_need(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert console.main(["train", "own.yaml", "--allow-import", "--plan", "--out", "plan", *LESS]) == 0
    assert "anchorloc train plan/config.yaml --allow-import" in capsys.readouterr().out
    assert resume_command(Path("run"), Config()) == "anchorloc train --resume --out run"


def test_numbers_of_numpy_are_settings() -> None:
    numbers: list[Any] = [np.int64(5), np.int32(4), np.float32(0.5)]
    five, four, half = numbers
    factors: Any = np.array([0.5, 1.0])
    config = replace(
        Config(),
        assign=ATSSAssigner(five),
        train=replace(Config().train, batch_size=four, ema=half),
        transform=replace(Config().transform, augment=Augment(multi_scale=factors)),
    )
    read = config_from_plain(to_plain(config), "here")
    assert (read.assign, read.train.batch_size, read.train.ema) == (ATSSAssigner(5), 4, 0.5)
    assert read.transform.augment == Augment(multi_scale=(0.5, 1.0))


def test_the_network_of_an_own_backbone_is_a_detector(desk: Path) -> None:
    with imports_allowed(True):
        config = read_config(Path("own.yaml"))
    network = config.method.build(1)
    assert isinstance(network, Detector)
    assert network(torch.zeros(1, 3, 64, 64)).logits.shape == (1, 64 + 16 + 4, 1)


def test_a_study_takes_own_parts(desk: Path) -> None:
    text = "common: {train: {length: 1 epochs}}\nseeds: 2\nbaseline: a\n"
    Path("study.yaml").write_text(text + "settings: {a: {}, b: {loss: {box: {kind: parts.CharbonnierLoss}}}}")
    with pytest.raises(InputError, match=r"^loss\.box\.kind=parts\.CharbonnierLoss is Python code"):
        read_study(Path("study.yaml"))
    with imports_allowed(True):
        study = read_study(Path("study.yaml"))
    assert to_plain(study.settings["b"].loss.box) == {"eps": 0.01}


def test_result_files_name_no_code(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a.json", "b.json", "val.json"):
        (tmp_path / name).write_text("[]")
    words = ["compare", *(str(tmp_path / name) for name in ("a.json", "b.json"))]
    assert console.main([*words, "--annotations", str(tmp_path / "val.json"), "--allow-import"]) == 2
    assert "--allow-import needs a study or checkpoints; remove it" in capsys.readouterr().err
