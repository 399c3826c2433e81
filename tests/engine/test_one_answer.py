"""One image has one answer, whatever batch it is in and whichever way it is asked for."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import anchorloc
from anchorloc.config import read_config
from anchorloc.data import CocoData, Subset
from anchorloc.engine.evaluation import detect
from anchorloc.engine.inference import inference_precision
from anchorloc.engine.trained_model import TrainedModel
from anchorloc.export.model_file import export_model
from anchorloc.predict.localizer import NO_BOXES
from anchorloc.structures import Detections
from tests.detector.random_models import CLASSES, save_random

SIZES = ((64, 96), (96, 64), (64, 64), (40, 90), (96, 64), (33, 33), (64, 96))
NMS_OUTPUTS = ["boxes", "scores", "labels", "counts"]
RESIZES = (
    "{kind: Keep}",
    "{kind: ShortestSide, size: 48, max_size: 80}",
    "{kind: Letterbox, height: 64, width: 80}",
    "{kind: TorchvisionShortestSide, size: 48, max_size: 80}",
    "{kind: TorchvisionStretch, height: 48, width: 64}",
)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A data set of noise in several sizes and orientations."""
    random = np.random.default_rng(0)
    (tmp_path / "images").mkdir()
    images, annotations = [], []
    for index, (height, width) in enumerate(SIZES):
        blocks = random.integers(0, 256, (height // 8 + 1, width // 8 + 1, 3), np.uint8)
        pixels = blocks.repeat(8, axis=0).repeat(8, axis=1)[:height, :width]
        Image.fromarray(pixels).save(tmp_path / "images" / f"{index}.png")
        images.append({"id": index, "file_name": f"{index}.png", "height": height, "width": width})
        box = [4, 4, 20, 24]
        annotations.append({"id": index, "image_id": index, "category_id": 1, "bbox": box, "area": 480, "iscrowd": 0})
    categories = [{"id": number, "name": name} for number, name in CLASSES]
    text = json.dumps({"images": images, "annotations": annotations, "categories": categories})
    (tmp_path / "val.json").write_text(text)
    return tmp_path


def opened(folder: Path) -> CocoData:
    return CocoData(root=folder, train="val.json", val="val.json", images="images")


@pytest.mark.parametrize("resize", RESIZES)
def test_scores_and_boxes_do_not_depend_on_batch_or_order_or_way(photos: Path, tmp_path: Path, resize: str) -> None:
    save_random(tmp_path / "best.pt", f"transform.resize={resize}", "decode.score_threshold=0.0")
    localizer = anchorloc.load(tmp_path / "best.pt", device="cpu")
    source = opened(photos).open("val")
    assert isinstance(localizer.model, TrainedModel)
    config = localizer.model.config
    alone = [localizer(photos / "images" / source.name(index)) for index in range(len(source))]
    assert min(map(len, alone)) > 5
    for one, (height, width) in zip(alone, SIZES, strict=True):
        assert (one.boxes[:, 2:] > one.boxes[:, :2]).all()
        assert (one.boxes <= (width, height, width, height)).all()
    for batch_size in (1, 2, 5):
        for order in (np.arange(len(source)), np.arange(len(source))[::-1]):
            found, padded = detect(with_batch_size(localizer.model, batch_size), Subset(source, order))
            for place, index in enumerate(order):
                assert_equal(found[place], alone[index])
                canvas = config.transform.resize(SIZES[index])[0]
                assert padded[place] == config.padded(canvas)


def test_load_evaluation_and_exported_file_agree_on_photos(real_data: Path, tmp_path: Path) -> None:
    """Twenty photos of three sets, from the file to boxes."""
    onnxruntime = pytest.importorskip("onnxruntime")
    words = ["transform.resize={kind: Letterbox, height: 160, width: 192}", "decode.max_detections=40"]
    save_random(tmp_path / "best.pt", *words)
    localizer = anchorloc.load(tmp_path / "best.pt", device="cpu")
    assert isinstance(localizer.model, TrainedModel)
    config = localizer.model.config
    export_model(tmp_path / "best.pt", tmp_path / "model.onnx", real_data / "bccd" / "images", (160, 192))
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    for name, file, count in (
        ("bccd", "instances_val.json", 7),
        ("coco128", "instances_val_permissive.json", 7),
        ("fruits", "instances_val.json", 6),
    ):
        source = CocoData(root=real_data / name, val=f"annotations/{file}").open("val")
        photos = np.linspace(0, len(source) - 1, count).round().astype(int).tolist()
        model = replace(with_batch_size(localizer.model, 3), categories=source.categories)
        judged, _ = detect(model, Subset(source, np.array(photos)))
        loaded = localizer([source.image(index) for index in photos])
        for found, again, index in zip(judged, loaded, photos, strict=True):
            assert len(found) > 5
            assert_equal(again, found)
            pixels, _, placement = config.transform(source.image(index), NO_BOXES, fill=config.detector.fill)
            inputs = {"images": pixels.transpose(2, 0, 1)[None], "sizes": np.array([placement.extent[2:]])}
            boxes, scores, labels, counts = (output[0] for output in session.run(NMS_OUTPUTS, inputs))
            boxes = (boxes / np.tile(placement.scale[::-1], 2))[:counts]
            assert_equal(Detections(boxes, scores[:counts], labels[:counts], labels[:counts], index), found)


def with_batch_size(model: TrainedModel, batch_size: int) -> TrainedModel:
    config = model.config
    return replace(model, config=replace(config, train=replace(config.train, batch_size=batch_size, workers=0)))


def assert_equal(found: Detections, expected: Detections) -> None:
    """Equal up to rounding, which may swap detections of equal score."""
    assert len(found) == len(expected)
    np.testing.assert_allclose(found.scores, expected.scores, atol=1e-4)
    for row in range(len(expected)):
        alike = np.flatnonzero(
            (found.labels == expected.labels[row]) & (abs(found.scores - expected.scores[row]) < 1e-4)
        )
        assert np.abs(found.boxes[alike] - expected.boxes[row]).max(axis=1).min(initial=np.inf) < 1e-2


def test_a_gpu_takes_tf32_only_if_a_setting_says_so() -> None:
    backends: tuple[Any, ...] = torch.backends.cudnn, torch.backends.cuda.matmul
    before = [backend.allow_tf32 for backend in backends]
    for name, allowed in (("float32", False), ("tf32", True)):
        with inference_precision(read_config(None, [f"train.inference_precision={name}"])):
            assert [backend.allow_tf32 for backend in backends] == [allowed, allowed]
    assert [backend.allow_tf32 for backend in backends] == before
