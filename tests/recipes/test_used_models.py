"""The recipes around a trained model: labels to correct, a web service, a video."""

from __future__ import annotations

import json
import re
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock, call
from urllib.parse import unquote

import numpy as np
import pytest

import anchorloc
from anchorloc.data import ShapesData, read
from anchorloc.predict.localizer import Localizer
from tests.guides import commands
from tests.recipes.recipe_programs import PAGE, mock_of, run_program


@pytest.fixture
def model(desk: Path) -> Localizer:
    return anchorloc.load("runs/mine/best.pt", device="cpu")


def test_fiftyone(model: Localizer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The package is always a mock: it needs a MongoDB, in which it would keep the data set of the recipe."""
    fiftyone = MagicMock(Detection=SimpleNamespace, Detections=SimpleNamespace, Sample=SimpleNamespace)
    monkeypatch.setitem(sys.modules, "fiftyone", fiftyone)
    dataset = run_program("import fiftyone")["dataset"]
    samples = [one.args[0] for one in dataset.add_sample.call_args_list]
    photos = sorted(Path("photos").iterdir())
    for sample, photo, found in zip(samples, photos, model(photos), strict=True):
        assert sample.filepath == str(photo)
        objects = sample.predictions.detections
        assert [(one.label, one.confidence) for one in objects] == [(one.name, one.score) for one in found]
        height, width = found.size
        x1, y1, x2, y2 = found.boxes.T
        fractions = np.stack([x1 / width, y1 / height, (x2 - x1) / width, (y2 - y1) / height], axis=1)
        np.testing.assert_allclose([one.bounding_box for one in objects], fractions, atol=1e-6)
    run_program("dataset.export", dataset=dataset, fo=fiftyone)
    kind = fiftyone.types.COCODetectionDataset
    words = {"labels_path": "corrected.json", "dataset_type": kind, "label_field": "predictions"}
    assert dataset.export.call_args == call(**words)


def assert_labels(labels: Path, model: Localizer) -> None:
    """Check that labels, which may be rounded, are the boxes that the model finds in the photos."""
    (split,) = read(labels, images=Path("photos")).splits.values()
    names = {one["id"]: one["name"] for one in split.document["categories"]}
    for image in split.document["images"]:
        rows = [row for row in split.document["annotations"] if row["image_id"] == image["id"]]
        found = model(Path("photos", unquote(Path(image["file_name"]).name)))
        assert [names[row["category_id"]] for row in rows] == found.names
        expected = [row["bbox"] for row in found.to_coco(0)]
        np.testing.assert_allclose([row["bbox"] for row in rows], expected, atol=0.01)


def test_label_studio(model: Localizer, capsys: pytest.CaptureFixture[str]) -> None:
    run_program("tasks.json")
    tasks = json.loads(Path("tasks.json").read_text(encoding="utf-8"))
    interface = capsys.readouterr().out
    assert re.findall(r"<Label value=\"(.*?)\"/>", interface) == list(model.names)
    assert [task["data"]["image"] for task in tasks] == [
        "/data/local-files/?d=photos/a.png",
        "/data/local-files/?d=photos/b%20c.png",
    ]
    found, (prediction,) = model("photos/b c.png"), tasks[1]["predictions"]
    assert len(found) == len(prediction["result"]) > 5
    for one, region in zip(found, prediction["result"], strict=True):
        x1, y1, x2, y2 = one.box
        assert (region["original_width"], region["original_height"], region["score"]) == (64, 96, one.score)
        assert region["value"]["rectanglelabels"] == [one.name]
        sides = [region["value"][key] for key in ("x", "y", "width", "height")]
        np.testing.assert_allclose(sides, [x1 / 0.64, y1 / 0.96, (x2 - x1) / 0.64, (y2 - y1) / 0.96], atol=1e-4)
    if find_spec("label_studio_sdk") is not None:
        round_trip(tasks, interface, model)


def round_trip(tasks: list[dict[str, Any]], interface: str, model: Localizer) -> None:
    """Let Label Studio check the predictions and export them as if an annotator had accepted them."""
    from label_studio_sdk.converter import Converter
    from label_studio_sdk.label_interface import LabelInterface

    known = LabelInterface(interface)
    for number, task in enumerate(tasks, 1):
        assert known.validate_task({"data": task["data"]})
        assert known.validate_prediction(task["predictions"][0], return_errors=True) == []
        task |= {"id": number, "annotations": [{"id": number, "result": task["predictions"][0]["result"]}]}
    Path("accepted.json").write_text(json.dumps(tasks), encoding="utf-8")
    Converter(interface, "export", download_resources=False).convert_to_coco("accepted.json", "export", is_dir=False)
    assert_labels(Path("export"), model)


class Refused(Exception):
    """What fastapi.HTTPException stands for."""


def test_web_service(model: Localizer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests at a time get what each gets alone."""
    fastapi = mock_of(monkeypatch, "fastapi")
    if fastapi is not None:
        fastapi.HTTPException = Refused
        fastapi.FastAPI.return_value.post.side_effect = lambda path: lambda function: function
    monkeypatch.setattr(anchorloc, "load", lambda path: {"model.onnx": model}[path])
    names = run_program("from fastapi")

    def ask(content: bytes, score: float | None = None) -> Any:
        """Return the answer, or the status and the reason of a refusal."""
        if fastapi is not None:
            try:
                return names["detect"](SimpleNamespace(file=BytesIO(content)), score)
            except Refused as error:
                return error.args
        from fastapi.testclient import TestClient

        query = {} if score is None else {"score": str(score)}
        answer = TestClient(names["app"]).post("/detect", files={"image": content}, params=query)
        return answer.json() if answer.status_code == 200 else (answer.status_code, answer.json()["detail"])

    photos = sorted(Path("photos").iterdir())
    alone = [model(photo).to_dict() for photo in photos]
    with ThreadPoolExecutor(4) as threads:
        together = list(threads.map(ask, [photo.read_bytes() for photo in photos * 4]))
    assert together == alone * 4
    assert ask(photos[0].read_bytes(), 0.6) == model(photos[0], 0.6).to_dict() != alone[0]
    status, reason = ask(b"<html>")
    assert status == 422
    assert reason.startswith("the image is not an image of a known format")


def test_video(model: Localizer, monkeypatch: pytest.MonkeyPatch) -> None:
    cv2 = mock_of(monkeypatch, "cv2")
    scenes = ShapesData(1, 3, 96).open("val")
    frames = [scenes.image(index) for index in range(3)]
    if cv2 is not None:
        cv2.cvtColor.side_effect = lambda image, _: image[:, :, ::-1]
        cv2.VideoCapture.return_value.get.return_value = 96.0
        cv2.VideoCapture.return_value.read.side_effect = [(True, frame[:, :, ::-1]) for frame in frames] + [
            (False, None)
        ]
    else:
        import cv2 as opencv

        writer = opencv.VideoWriter("street.mp4", opencv.VideoWriter_fourcc(*"mp4v"), 25, (96, 96))
        for frame in frames:
            writer.write(np.ascontiguousarray(frame[:, :, ::-1]))
        writer.release()
    printed = list[Any]()
    run_program("import cv2", print=printed.append)
    assert len(printed) == 3
    if cv2 is not None:
        assert list(map(str, printed)) == list(map(str, model(frames)))
        written = cv2.VideoWriter.return_value.write.call_args_list
        for one, frame, found in zip(written, frames, printed, strict=True):
            np.testing.assert_array_equal(one.args[0], np.asarray(found.draw(frame))[:, :, ::-1])
        cv2.VideoCapture.return_value.isOpened.return_value = False
    else:
        drawn = opencv.VideoCapture("found.mp4")
        assert drawn.get(opencv.CAP_PROP_FRAME_COUNT) == 3
        Path("street.mp4").unlink()
    with pytest.raises(SystemExit, match="cannot be read"):
        run_program("import cv2")


def test_the_other_commands_are_read(desk: Path) -> None:
    """test_guides.py and others run such commands; here their files must fit the programs."""
    known = [words for words in commands(PAGE) if words[0] == "anchorloc" and words[1] != "compare"]
    assert known == [
        ["anchorloc", "doctor", "corrected.json", "--images", "photos"],
        ["anchorloc", "train", "corrected.json", "data.images=photos", "--out", "runs/corrected"],
        ["anchorloc", "train", "export", "data.images=photos", "--out", "runs/corrected"],
    ]
