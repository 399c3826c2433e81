"""Cross-validation: copies stay in one fold, what is done is not trained again, and the doctor reads the result."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from anchorloc import train
from anchorloc.cli import run_command
from anchorloc.data import ShapesData, read_annotations, read_results
from anchorloc.data.coco_export import write_coco
from anchorloc.doctor.__main__ import main as doctor
from anchorloc.engine import fold_runs
from anchorloc.engine import run as session
from anchorloc.engine.fold_labels import joined_groups
from anchorloc.train import RunEvent, StepDone, StopTraining

TINY = [
    "transform.resize={kind: Letterbox, height: 64, width: 64}",
    "detector.backbone={kind: ResidualBackbone, channels: [8, 8, 16, 16], blocks: [1, 1, 1, 1]}",
    "detector.pyramid.channels=16",
    "detector.head={channels: 16, depth: 1}",
    "train={length: 2 iterations, batch_size: 4, workers: 0}",
    "decode.score_threshold=0.001",
]
IMAGES = 8


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Eight scenes of which the first two are copies of each other, without a val split."""
    whole = ShapesData(train_images=IMAGES, val_images=1, size=64)
    write_coco({"train": whole.open("train")}, tmp_path / "set")
    labels = tmp_path / "set/annotations/instances_train.json"
    images = json.loads(labels.read_text(encoding="utf-8"))["images"]
    first, second = (next((tmp_path / "set").rglob(image["file_name"])) for image in images[:2])
    shutil.copyfile(first, second)
    return labels


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The folders of the runs that were started."""
    folders: list[str] = []
    start = session.start_run

    def recorded(out: Any, *arguments: Any, **options: Any) -> Any:
        folders.append(Path(out).name)
        return start(out, *arguments, **options)

    monkeypatch.setattr(fold_runs, "start_run", recorded)
    return folders


def test_every_image_is_detected_in_by_a_model_that_has_not_seen_it(
    data: Path, trained: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "folds"
    assert run_command(train.main, [str(data), *TINY, "--folds", "2", "--out", str(out)]) == 0
    assert trained == ["fold_0", "fold_1"]
    truth = read_annotations(out / "labels.json")
    found = read_results(out / "detections.json", truth)
    assert [len(one) > 0 for one in found] == [True] * IMAGES
    fold_of = [image["fold"] for image in json.loads((out / "labels.json").read_text(encoding="utf-8"))["images"]]
    assert fold_of[0] == fold_of[1]
    assert sorted(set(fold_of)) == [0, 1]
    for fold in (0, 1):
        sides = {
            side: read_annotations(out / f"labels/fold_{fold}_{side}.json").images.ids.tolist()
            for side in ("train", "val")
        }
        assert sides["val"] == [truth.image_id(index) for index in range(IMAGES) if fold_of[index] == fold]
        assert sorted(sides["train"] + sides["val"]) == [truth.image_id(index) for index in range(IMAGES)]
        rows = json.loads((out / f"fold_{fold}/detections.json").read_text(encoding="utf-8"))
        assert {row["image_id"] for row in rows} == set(sides["val"])
    words = capsys.readouterr().out.splitlines()[-1].split()
    assert words[:2] == ["anchorloc", "doctor"]
    assert doctor([*words[2:], "--out", str(tmp_path / "suspects")]) in (0, 2)  # 2 steps may find nothing
    again = ["--resume", "--out", str(out)]
    (out / "fold_1/detections.json").unlink()
    shutil.rmtree(out / "fold_1")
    assert run_command(train.main, again) == 0
    assert trained == ["fold_0", "fold_1", "fold_1"]
    assert run_command(train.main, again) == 0
    assert trained == ["fold_0", "fold_1", "fold_1"]
    assert run_command(train.main, [*again, "--folds", "2"]) == 2
    assert "keeps its data and settings; give only --resume and --out" in capsys.readouterr().err
    document = json.loads(data.read_text(encoding="utf-8"))
    document["annotations"].pop()
    data.write_text(json.dumps(document), encoding="utf-8")
    assert run_command(train.main, again) == 2
    assert "the labels have changed since" in capsys.readouterr().err


def test_a_fold_that_was_stopped_goes_on_from_its_checkpoint(data: Path, trained: list[str], tmp_path: Path) -> None:
    def stop_in_the_second(event: RunEvent) -> None:
        if isinstance(event, StepDone) and event.step == 1 and len(trained) == 2:
            raise StopTraining

    words, out = (*TINY, "train.validate_every=1"), tmp_path / "stopped"
    stopped = train.cross_validate(data, 2, *words, out=out, events=stop_in_the_second)
    assert (stopped.detections, [run.stopped for run in stopped.runs]) == (None, [False, True])
    events = list[RunEvent]()
    resumed = train.cross_validate(data, 2, out=out, resume=True, events=events.append)
    assert trained == ["fold_0", "fold_1"]  # none is started again
    assert [event.step for event in events if isinstance(event, StepDone)] == [2]
    assert resumed.detections is not None
    whole = train.cross_validate(data, 2, *words, out=tmp_path / "whole").detections
    assert whole is not None
    assert resumed.detections.read_bytes() == whole.read_bytes()


@pytest.mark.parametrize("left", [[], ["config.yaml"]])
def test_a_fold_that_ended_before_its_first_checkpoint_is_trained(
    data: Path, trained: list[str], tmp_path: Path, left: list[str]
) -> None:
    """As after a kill while its folder was made."""
    out = tmp_path / "folds"
    train.cross_validate(data, 2, *TINY, out=out)
    (out / "detections.json").unlink()
    for path in (out / "fold_1").iterdir():
        if path.name not in left:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert train.cross_validate(data, 2, out=out, resume=True).detections == out / "detections.json"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--folds", "1"], "--folds 1 is not a number of parts; give one from 2 to 100"),
        (["--folds", "8"], "has 7 different images, too few for 8 folds; give at most 7"),
        (["--folds", "2", "--group-by-name", "^(i?)"], "has 1 group of different images, too few for 2 folds"),
        (["--folds", "2", "--resume"], "has no folds to resume; leave out --resume"),
        (["--folds", "2", "--plan"], "leave out --plan or --folds"),
        (["--folds", "2", "--from", "run"], "may have seen their images; leave out --from"),
        (["--group-by", "video"], "need --folds K"),
    ],
)
def test_what_cannot_be_dealt_is_one_sentence(
    words: list[str], said: str, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command(train.main, [str(data), *TINY, *words, "--out", str(tmp_path / "out")]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert said in line
    assert not (tmp_path / "out").exists()


def test_images_are_joined_by_groups_and_by_pairs() -> None:
    groups = joined_groups([["a", "b", "a", "c", "d"], ["1", "2", "3", "2", "5"]], [(4, 2)])
    assert groups[0] == groups[2] == groups[4] != groups[1] == groups[3]
