"""Training and evaluating from a program or a notebook: quiet, with results as values, and stopped at will."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import anchorloc
from anchorloc.checkpoint import load_checkpoint
from anchorloc.config import read_config, to_yaml
from anchorloc.data import ShapesData
from anchorloc.data.coco_export import write_coco
from anchorloc.engine import run_report
from anchorloc.engine.system.signals import CANCELED
from anchorloc.errors import InputError
from anchorloc.report_folder import ReportPage
from anchorloc.train import (
    CheckpointSaved,
    Logged,
    Run,
    RunEvent,
    RunStopped,
    StepDone,
    StopTraining,
    Validated,
    Validating,
)
from tests.detector.random_models import save_random

TINY = [
    "data={train_images: 6, val_images: 3, size: 64}",
    "transform.resize={kind: Letterbox, height: 64, width: 64}",
    "detector.backbone={channels: [8, 8, 16, 16], blocks: [1, 1, 1, 1]}",
    "detector.pyramid.channels=8",
    "detector.head={channels: 8, depth: 1}",
    "train={length: 3 iterations, batch_size: 2, workers: 0, validate_every: 10}",
]


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the file of a config that trains for three steps."""
    monkeypatch.setattr(run_report, "RESAMPLES", 10)
    path = tmp_path / "tiny.yaml"
    path.write_text(to_yaml(read_config(None, TINY)), encoding="utf-8")
    return path


def test_a_run_returns_what_it_has_reached(config: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """In a thread, as a program with a window runs it; nothing is printed."""
    folder, results, handler = tmp_path / "run", list[Run](), signal.getsignal(signal.SIGINT)
    thread = threading.Thread(target=lambda: results.append(anchorloc.train.run(config, "train.seed=1", out=folder)))
    thread.start()
    thread.join()
    assert capfd.readouterr() == ("", "")
    assert signal.getsignal(signal.SIGINT) is handler
    (run,) = results
    assert (run.folder, run.best, run.best_step, run.steps) == (folder, folder / "best.pt", 3, 3)
    assert (run.stopped, run.exit_status) == (False, 0)
    assert run.metrics == json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    assert run.best_ap == load_checkpoint(folder / "last.pt")["training"]["best"]["ap"]
    assert any("6 images are few" in warning for warning in run.warnings)
    assert len(set(run.warnings)) == len(run.warnings)
    scores = [f"{run.metrics['summary'][name]:.3f}" for name in ("AP", "AP50")]
    reached = f"3 steps, best AP on val {run.best_ap:.3f} at step 3"
    scored = f"AP {scores[0]}, AP50 {scores[1]} on 3 images, {len(run.warnings)} warnings"
    assert repr(run) == str(run) == f"{folder}: {reached}, {scored}"
    environment = json.loads((folder / "environment.json").read_text(encoding="utf-8"))
    assert environment["command"] == f"anchorloc.train.run('{config}', 'train.seed=1')"
    assert run.best is not None
    assert anchorloc.load(run.best).model.step == 3


def test_a_listener_stops_a_run_and_resume_finishes_it(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    events = list[RunEvent]()

    def listen(event: RunEvent) -> None:
        events.append(event)
        if isinstance(event, StepDone) and event.step == 2:
            raise StopTraining

    folder = tmp_path / "run"
    run = anchorloc.train.run(read_config(config), out=folder, events=listen)
    assert [type(event) for event in events] == [CheckpointSaved, StepDone, StepDone, CheckpointSaved, RunStopped]
    assert (run.stopped, run.steps, run.best, run.report, run.metrics) == (True, 2, None, None, {})
    assert run.stop_signal == CANCELED
    assert str(run) == f"{folder}: stopped after 2 steps"
    resumed = list[RunEvent]()
    finished = anchorloc.train.resume(folder, events=resumed.append, verbose=True)
    validation = [Validating, Validating, Logged, Validated]
    assert [type(event) for event in resumed] == [StepDone, CheckpointSaved, *validation, CheckpointSaved]
    assert (finished.stopped, finished.steps, finished.best) == (False, 3, folder / "best.pt")
    assert f"report:{folder / 'report.html'}" in "".join(capsys.readouterr().out.split())


def test_a_listener_stops_a_run_within_a_validation(config: Path, tmp_path: Path) -> None:
    events = list[RunEvent]()

    def listen(event: RunEvent) -> None:
        events.append(event)
        if isinstance(event, Validating) and event.batch == 2:
            raise StopTraining

    words = ("train.validate_every=1", "data.val_images=6")
    stopped = anchorloc.train.run(read_config(config), *words, out=tmp_path / "run", events=listen)
    seen = [event for event in events if isinstance(event, Validating)]
    assert [(event.batch, event.batches) for event in seen] == [(1, 3), (2, 3)]
    assert (stopped.stopped, stopped.best) == (True, None)
    assert not any(isinstance(event, Validated) for event in events)
    assert anchorloc.train.resume(tmp_path / "run").best == tmp_path / "run" / "best.pt"


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Let SIGINT raise KeyboardInterrupt: a shell starts its background commands with SIGINT ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_ctrl_c_acts_when_the_run_is_saved(config: Path, tmp_path: Path) -> None:
    def press(event: RunEvent) -> None:
        if isinstance(event, StepDone):
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        anchorloc.train.run(config, out=tmp_path / "run", events=press)
    assert load_checkpoint(tmp_path / "run" / "last.pt")["step"] == 1
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_mistakes_are_raised_and_not_printed(config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    taken = tmp_path / "taken"
    taken.mkdir()
    (taken / "file").touch()
    train, evaluate = anchorloc.train, anchorloc.evaluate
    with pytest.raises(InputError, match=r"gone\.yaml does not exist"):
        train.run(tmp_path / "gone.yaml")
    with pytest.raises(InputError, match=r"did you mean 'seed'\?"):
        train.run(config, "train.sede=1")
    with pytest.raises(InputError, match="neither a file nor an override"):
        train.run(config, "train.seed")
    with pytest.raises(InputError, match=f"{taken} exists already"):
        train.run(config, out=taken)
    with pytest.raises(InputError, match=r"no best\.pt or last\.pt"):
        train.run(config, start_from=taken)
    with pytest.raises(InputError, match=r"'train\.sede=1': train\.sede: unknown key, did you mean 'seed'"):
        train.run(read_config(config), "train.sede=1")
    with pytest.raises(InputError, match="start_from keeps the settings of its run"):
        train.run(read_config(config), start_from=taken)
    with pytest.raises(InputError, match=f"{taken} is not the folder of a run"):
        train.resume(taken)
    with pytest.raises(InputError, match="give a checkpoint, or --detections"):
        evaluate.run(out=tmp_path / "out")
    with pytest.raises(InputError, match=r"\(other labels: data=PATH\) or --detections with --annotations, not both"):
        evaluate.run(tmp_path / "gone.pt", annotations=config, out=tmp_path / "out")
    with pytest.raises(InputError, match=r"gone\.pt does not exist"):
        evaluate.run(tmp_path / "gone.pt", out=tmp_path / "out")
    with pytest.raises(InputError, match="split must be one of train, val, test, got 'vla'"):
        evaluate.run(taken, split="vla")
    with pytest.raises(InputError, match="resamples: need a whole number from 0, got '-1'"):
        evaluate.run(taken, resamples=-1)
    with pytest.raises(InputError, match="precision: need a number above 0 and up to 1, got '2'"):
        evaluate.run(taken, precision=2)
    assert capsys.readouterr() == ("", "")
    assert not (tmp_path / "out").exists()


def test_a_model_is_scored_as_by_the_command(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    save_random(tmp_path / "best.pt", "data={train_images: 2, val_images: 3, size: 64}")
    found = anchorloc.evaluate.run(tmp_path / "best.pt", "train.workers=0", out=tmp_path / "judged", resamples=10)
    assert capfd.readouterr() == ("", "")
    assert found.metrics == json.loads((tmp_path / "judged" / "metrics.json").read_text(encoding="utf-8"))
    assert found.metrics["analysis"]["intervals"]["resamples"] == 10
    assert found.unreadable == ()
    words = [str(tmp_path / "best.pt"), "train.workers=0", "--resamples", "10", "--out", str(tmp_path / "again")]
    assert anchorloc.evaluate.main(words) == 0
    assert json.loads((tmp_path / "again" / "metrics.json").read_text(encoding="utf-8")) == found.metrics
    assert str(found).startswith(f"{tmp_path / 'judged'}: AP ")
    assert "\n" not in str(found)


def test_results_of_any_tool_are_scored(tmp_path: Path) -> None:
    shapes = ShapesData(train_images=1, val_images=3, size=64)
    write_coco({"val": shapes.open("val")}, tmp_path / "data")
    truth = tmp_path / "data" / "annotations" / "instances_val.json"
    boxes = json.loads(truth.read_text(encoding="utf-8"))["annotations"]
    results = tmp_path / "results.json"
    results.write_text(json.dumps([{**one, "score": 0.5} for one in boxes]), encoding="utf-8")
    found = anchorloc.evaluate.run(
        detections=results, annotations=truth, out=tmp_path / "judged", max_detections=50, precision=0.5, resamples=0
    )
    assert str(found).startswith(f"{tmp_path / 'judged'}: AP 1.000, AP50 1.000 on 3 images")
    assert found.metrics["max_detections"] == [1, 10, 50]
    assert found.metrics["analysis"]["min_precision"] == 0.5


def test_a_page_is_a_path_and_a_view(tmp_path: Path) -> None:
    page = ReportPage(tmp_path / "report.html")
    page.path.write_text('<!doctype html><p title="a">é & b</p>', encoding="utf-8")
    assert os.fspath(page) == str(page) == str(tmp_path / "report.html")
    assert Path(page).is_file()
    assert 'srcdoc="&lt;!doctype html&gt;&lt;p title=&quot;a&quot;&gt;é &amp; b&lt;/p&gt;"' in page._repr_html_()
