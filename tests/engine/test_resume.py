"""A run that is killed or stopped, and resumes as if nothing had happened, or says why it cannot."""

from __future__ import annotations

import math
import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterable, Sequence
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from anchorloc import train
from anchorloc.checkpoint import save_checkpoint
from anchorloc.cli import run_command
from anchorloc.config import to_plain
from anchorloc.data import ShapesData
from anchorloc.data.coco_export import write_coco
from anchorloc.detector import Batch
from anchorloc.engine import run as session
from anchorloc.engine import training as loop
from anchorloc.engine.state import resume, saving
from anchorloc.engine.state.resume import load_last
from anchorloc.engine.state.resume_check import find_changes
from anchorloc.engine.state.run_folder import RunLock
from anchorloc.engine.system.log import read_log
from anchorloc.engine.system.signals import Stopped
from anchorloc.engine.training import Training
from anchorloc.engine.validation import run_validation
from anchorloc.errors import InputError
from tests.engine.small_runs import SMALL, assert_same, assert_same_run, run, small, weights
from tests.python_processes import with_torch

LENGTH = "train.length=9 iterations"


class Killed(BaseException):
    """Stands for SIGKILL: nothing catches it."""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of 9 steps that nothing disturbed."""
    folder = tmp_path_factory.mktemp("runs") / "whole"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "LOG_EVERY", 2)
        run(small(LENGTH), folder)
    return folder


@pytest.fixture(autouse=True)
def frequent_lines_without_reports(monkeypatch: pytest.MonkeyPatch) -> None:
    """tests/test_train.py reads the reports of resumed runs, which take longer than the runs here."""
    monkeypatch.setattr(loop, "LOG_EVERY", 2)
    monkeypatch.setattr(session, "report_run", lambda *_: None)


def at_step(number: int, act: Callable[[], object]) -> Callable[..., dict[str, float]]:
    """Training.step, with `act` after the one of that number."""
    step = Training.step

    def stepped(self: Training, batch: Sequence[Batch], rate: float) -> dict[str, float]:
        losses = step(self, batch, rate)
        if self.clock.step == number:
            act()
        return losses

    return stepped


def kill() -> None:
    raise Killed


def terminate() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def disturb_generators() -> None:
    """What a new process has: other states of all global generators."""
    torch.manual_seed(99)
    np.random.seed(99)  # noqa: NPY002


@pytest.mark.parametrize("stop_at", [3, 7])
def test_a_stopped_run_goes_on_as_if_nothing_had_happened(
    tmp_path: Path, whole: Path, stop_at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Training, "step", at_step(stop_at, terminate))
        with pytest.raises(Stopped) as stopped:
            run(small(LENGTH), tmp_path / "parts")
    assert stopped.value.exit_status == 143
    assert weights(tmp_path / "parts")["step"] == stop_at
    with (tmp_path / "parts" / "metrics.jsonl").open("a") as log:
        log.write('{"step": 99}\n')  # written after the checkpoint: to be undone
    disturb_generators()
    run(small(LENGTH), tmp_path / "parts", resume=True)
    assert_same_run(whole, tmp_path / "parts")


ALL_AUGMENTS = (
    "transform.augment={iou_crop: {}, zoom_out: {}, mosaic: {}, multi_scale: [0.75, 1.0], scale_jitter: [0.5, 2.0], "
    "photometric: 0.3}"
)
ONE_OBJECT = ("task=localization", "data={kind: OneShapeData, train_images: 24, val_images: 6, size: 96}")


@pytest.mark.parametrize(
    "words",
    [
        (ALL_AUGMENTS, "train.sampling={kind: ClassBalancedSampling}"),
        (*ONE_OBJECT, "localizer={hidden: 16}", "transform.augment.iou_crop={}"),
    ],
    ids=["augmented", "localizer"],
)
def test_other_workers_and_a_stop_change_nothing_of_what_is_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    length = "train.length=8 iterations"
    run(small(length, *words), tmp_path / "whole")
    with monkeypatch.context() as patch:
        patch.setattr(Training, "step", at_step(5, terminate))
        with pytest.raises(Stopped):
            run(small(length, *words, "train.workers=2"), tmp_path / "parts")
    disturb_generators()
    run(small(length, *words), tmp_path / "parts", resume=True)
    for name in ("last.pt", "best.pt"):
        ours, theirs = weights(tmp_path / "parts", name), weights(tmp_path / "whole", name)
        ours.pop("config"), theirs.pop("config")  # its number of workers
        assert_same(ours, theirs)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_run_killed_in_mid_epoch_goes_on_from_its_last_save(
    tmp_path: Path, whole: Path, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    config = small(LENGTH, f"train.workers={workers}", "train.save_every=1.0e-9")
    with monkeypatch.context() as patch:
        patch.setattr(Training, "step", at_step(5, kill))
        with pytest.raises(Killed):
            run(config, tmp_path / "parts")
    assert weights(tmp_path / "parts")["step"] == 4  # the epoch has 6 steps and its validations come at 3 and 6
    disturb_generators()
    run(config, tmp_path / "parts", resume=True)
    for name in ("last.pt", "best.pt"):
        ours, theirs = weights(tmp_path / "parts", name), weights(whole, name)
        ours.pop("config"), theirs.pop("config")
        assert_same(ours, theirs)


@pytest.mark.parametrize("number", range(6))
def test_a_run_killed_between_two_writes_loses_nothing(
    tmp_path: Path, whole: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """The writes are last.pt at the start, then last.pt and perhaps best.pt of each validation."""
    written: list[str] = []
    save = save_checkpoint

    def save_and_die(path: Path, state: dict[str, Any], backup: Path | None = None) -> None:
        if len(written) == number:
            raise Killed
        save(path, state, backup)
        written.append(path.name)

    with monkeypatch.context() as patch:
        for module in (saving, resume):
            patch.setattr(module, "save_checkpoint", save_and_die)
        with pytest.raises(Killed):
            run(small(LENGTH), tmp_path / "parts")
    assert written == ["last.pt", "last.pt", "best.pt", "last.pt", "best.pt", "last.pt"][:number]
    run(small(LENGTH), tmp_path / "parts", resume=True)
    assert_same_run(whole, tmp_path / "parts")


def test_a_signal_during_validation_leaves_it_for_later(
    tmp_path: Path, whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def signalled(model: nn.Module, loader: Iterable[Batch], *rest: Any) -> Any:
        terminate()
        return run_validation(model, loader, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(loop, "run_validation", signalled)
        with pytest.raises(Stopped):
            run(small(LENGTH), tmp_path / "parts")
    assert [row["step"] for row in read_log(tmp_path / "parts")] == [2]
    run(small(LENGTH), tmp_path / "parts", resume=True)
    assert_same_run(whole, tmp_path / "parts")


def test_runs_killed_at_any_moment_end_like_one_that_was_not() -> None:
    """SIGKILL to real processes, once inside a write; `python -m benchmarks.kill_and_resume` does 50."""
    words = ["--kills", "2", "--inside", "1", "--iterations", "12", "--seed", "1"]
    done = with_torch().run("from benchmarks import kill_and_resume; kill_and_resume.main()", *words)
    assert "2 of 2 identical" in done.stdout, done.stdout + done.stderr


def test_a_run_that_patience_ended_stays_ended(tmp_path: Path) -> None:
    config = small("train.length=500 iterations", "train.patience=1", "train.optimizer={learning_rate: 1.0e-9}")
    ended = run(config, tmp_path / "run").clock.step
    assert ended < 50
    assert run(config, tmp_path / "run", resume=True).clock.step == ended


def test_resume_needs_the_last_checkpoint_of_a_run(tmp_path: Path) -> None:
    run(small("train.length=2 iterations", "train.keep_checkpoints=1"), tmp_path / "run")
    last = tmp_path / "run" / "last.pt"
    last.write_bytes((tmp_path / "run" / "best.pt").read_bytes())
    with pytest.raises(InputError, match=r"last\.pt holds only weights"):
        load_last(tmp_path / "run", print)
    last.unlink()
    with pytest.raises(InputError, match="does not exist"):
        load_last(tmp_path / "run", print)


# The command line


@pytest.fixture
def coco(tmp_path: Path) -> Path:
    """A COCO-format folder of 8 train and 4 val scenes."""
    data = ShapesData(train_images=8, val_images=4, size=96)
    write_coco({"train": data.open("train"), "val": data.open("val")}, tmp_path / "set")
    return tmp_path / "set"


def command(folder: Path, *words: str) -> int:
    return run_command(train.main, [*words, "--out", str(folder)])


def start(folder: Path, coco: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Train by the command line and stop after 3 of 6 steps."""
    settings = [*SMALL[1:], "train.length=6 iterations", f"data={{kind: CocoData, root: '{coco}'}}"]
    with monkeypatch.context() as patch:
        patch.setattr(Training, "step", at_step(3, terminate))
        assert command(folder, *settings) == 143


def test_a_stopped_run_says_how_to_go_on(
    tmp_path: Path, coco: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    start(tmp_path / "my run", coco, monkeypatch)
    assert f"anchorloc train --resume --out '{tmp_path / 'my run'}'\n" in capsys.readouterr().out
    (tmp_path / "my run" / ".last.pt.0123abcd.tmp").touch()
    assert command(tmp_path / "my run", "--resume", "train.workers=1") == 0  # changes nothing
    assert "resuming from step 3 (50% of 6 iterations): learning rate" in capsys.readouterr().out
    assert weights(tmp_path / "my run")["step"] == 6
    assert not list((tmp_path / "my run").glob("*.tmp"))
    assert not list((tmp_path / "my run").glob(".*.tmp"))


def rename_a_class(path: Path) -> None:
    for split in ("train", "val"):
        file = path / "annotations" / f"instances_{split}.json"
        file.write_text(file.read_text().replace("ellipse", "oval"))


def move_a_box(path: Path) -> None:
    file = path / "annotations" / "instances_train.json"
    file.write_text(file.read_text().replace('"iscrowd": 0', '"iscrowd": 1', 1))


@pytest.mark.parametrize(
    ("edit", "words", "difference"),
    [
        (None, ["loss.box_weight=3.0", "train.seed=1"], "with loss.box_weight=2.0, not 3.0 (and 1 more);"),
        (move_a_box, [], "other train annotations (the content of annotations/instances_train.json has changed)"),
        (rename_a_class, [], "was trained with other classes: 'ellipse' (id 1), not 'oval' (id 1)"),
    ],
)
def test_changes_are_refused_by_name_unless_asked_for(
    tmp_path: Path,
    coco: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    edit: Callable[[Path], None] | None,
    words: list[str],
    difference: str,
) -> None:
    start(tmp_path / "run", coco, monkeypatch)
    if edit is not None:
        edit(coco)
    before = (tmp_path / "run" / "last.pt").read_bytes()
    assert command(tmp_path / "run", "--resume", *words) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert difference in error
    assert (tmp_path / "run" / "last.pt").read_bytes() == before
    assert command(tmp_path / "run", "--resume", "--allow-changes", *words) == 0
    assert "changed: the run was trained with" in capsys.readouterr().out
    assert command(tmp_path / "run", "--resume") == 0  # the new settings are those of the run now


@pytest.mark.parametrize(
    ("word", "same"),
    [
        ("train.length=9 iterations", True),
        ("train.seed=1", True),
        ("loss.box_weight=3.0", True),
        ("assign.topk=5", True),
        ("transform.augment.horizontal_flip=0.1", True),
        ("data.train_images=30", True),
        ("data.val_images=5", False),
        ("data.seed=1", False),
        ("transform.resize={kind: Letterbox, height: 96, width: 96}", False),
        ("transform.multiple=64", False),
        ("anchors.scales=[3.0]", False),
        ("coder.max_ratio=10.0", False),
        ("decode.nms_iou=0.5", False),
        ("task=localization", False),
    ],
)
def test_what_leaves_scores_comparable(word: str, same: bool) -> None:
    then, now = ({"config": to_plain(small(*words))} for words in ([], [word]))
    assert {change.ap for change in find_changes(then, now)} == {not same}


def test_labels_elsewhere_leave_scores_comparable() -> None:
    then, now = ({"config": to_plain(small(f"data={{kind: LabelData, path: {path}}}"))} for path in ("here", "there"))
    assert [change.ap for change in find_changes(then, now)] == [False]


def test_other_data_make_scores_incomparable_only_where_they_are_validated() -> None:
    config = to_plain(small())
    then = {"config": config, "categories": [[1, "a"]], "data": {"train": "x", "val": "y"}, "machine": {"processes": 1}}
    for key, value, ap in (
        ("categories", [[1, "b"]], True),
        ("data", {"train": "z", "val": "y"}, False),
        ("data", {"train": "x", "val": "z"}, True),
        ("machine", {"processes": 2}, False),
    ):
        assert [change.ap for change in find_changes(then, {**then, key: value})] == [ap]


def score_as(monkeypatch: pytest.MonkeyPatch, *aps: float) -> None:
    """Let the next validations have these APs."""
    score, left = Training._score, iter(aps)

    def scored(self: Training, *rest: Any) -> float:
        score(self, *rest)
        return next(left)

    monkeypatch.setattr(Training, "_score", scored)


def said(capsys: pytest.CaptureFixture[str]) -> str:
    return " ".join(capsys.readouterr().out.split())


def test_a_longer_run_keeps_its_best_checkpoint_and_its_rate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    score_as(monkeypatch, 0.4, 0.5, 0.1, 0.2)
    rates, step = [], Training.step

    def stepped(self: Training, batch: Sequence[Batch], rate: float) -> dict[str, float]:
        rates.append(rate)
        return step(self, batch, rate)

    monkeypatch.setattr(Training, "step", stepped)
    folder = tmp_path / "run"
    assert command(folder, *SMALL, "train.length=6 iterations") == 0
    best = (folder / "best.pt").read_bytes()
    said(capsys)
    assert command(folder, "--resume", "--allow-changes", "train.length=12 iterations") == 0
    out = said(capsys)
    assert (
        "resuming from step 6 (50% of 12 iterations): learning rate 5.0e-04, rising for 2 steps, best AP 0.500" in out
    )
    assert "does not compare" not in out
    assert (folder / "best.pt").read_bytes() == best
    assert not list(folder.glob("best-*.pt"))
    assert weights(folder)["training"]["best"] == {"ap": 0.5, "step": 6, "validations_since": 2}
    assert rates[6:8] == pytest.approx([0.1, 0.2 * 0.5 * (1 + math.cos(math.pi / 6))])
    assert max(rates[6:]) < 0.3


@pytest.mark.parametrize("ended", [False, True])
def test_a_best_checkpoint_that_does_not_compare_is_kept_under_another_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], ended: bool
) -> None:
    score_as(monkeypatch, 0.5, 0.1, 0.2)
    folder = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr(Training, "step", at_step(4, terminate))
        assert command(folder, *SMALL, "train.length=6 iterations") == 143
    best = (folder / "best.pt").read_bytes()
    if ended:
        assert command(folder, "--resume") == 0
        assert weights(folder)["training"]["best"]["step"] == 3
    said(capsys)
    assert command(folder, "--resume", "--allow-changes", "decode.nms_iou=0.5", "decode.max_detections=50") == 0
    [line] = [line for line in capsys.readouterr().out.splitlines() if "does not compare" in line]
    assert line == (
        "warning: the best AP so far, 0.500 at step 3, was reached with decode.nms_iou=0.6, not 0.5 (and 1 more), and "
        "does not compare with the coming ones; its best.pt is kept as best-00000003.pt"
    )
    assert (folder / "best-00000003.pt").read_bytes() == best
    now = weights(folder, "best.pt")
    assert (now["step"], now["config"]["decode"]["nms_iou"]) == (6, 0.5)
    assert weights(folder)["training"]["best"] == {"ap": 0.2 if ended else 0.1, "step": 6, "validations_since": 0}


def test_changed_validation_annotations_start_a_new_best(
    tmp_path: Path, coco: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    start(tmp_path / "run", coco, monkeypatch)
    file = coco / "annotations" / "instances_val.json"
    file.write_text(file.read_text().replace('"iscrowd": 0', '"iscrowd": 1', 1))
    before = weights(tmp_path / "run")["training"]["best"]["step"]
    assert command(tmp_path / "run", "--resume", "--allow-changes") == 0
    assert "other val annotations" in (out := said(capsys))
    assert f"its best.pt is kept as best-{before:08}.pt" in out
    assert weights(tmp_path / "run", f"best-{before:08}.pt")["step"] == before


def test_a_moved_data_set_keeps_its_best(
    tmp_path: Path, coco: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    start(tmp_path / "run", coco, monkeypatch)
    coco.rename(tmp_path / "moved")
    assert command(tmp_path / "run", "--resume", "--allow-changes", f"data.root={tmp_path / 'moved'}") == 0
    assert "does not compare" not in capsys.readouterr().out


def test_a_run_that_patience_ended_is_extended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    score_as(monkeypatch, 0.5, 0.4, 0.4, 0.4)
    folder = tmp_path / "run"
    assert command(folder, *SMALL, "train.length=60 iterations", "train.patience=1") == 0
    assert "train.patience=1 ended the run: in the last 1 validation AP did not rise" in capsys.readouterr().out
    assert weights(folder)["step"] == 6
    assert command(folder, "--resume", "--allow-changes", "train.length=90 iterations") == 0
    assert weights(folder)["step"] == 9
    assert weights(folder, "best.pt")["step"] == 3


def test_a_longer_run_that_is_stopped_goes_on_as_if_nothing_had_happened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    longer = small("train.length=13 iterations")
    for name in ("whole", "parts"):
        run(small("train.length=6 iterations"), tmp_path / name)
    run(longer, tmp_path / "whole", resume=True)
    with monkeypatch.context() as patch:
        patch.setattr(Training, "step", at_step(8, terminate))
        with pytest.raises(Stopped):
            run(longer, tmp_path / "parts", resume=True)
    disturb_generators()
    run(longer, tmp_path / "parts", resume=True)
    assert_same_run(tmp_path / "whole", tmp_path / "parts")
    annealing = weights(tmp_path / "parts")["training"]["annealing"]
    assert annealing == {"step": 6, "progress": 6 / 13, "start": 0.0, "peak": 0.3}


def test_a_checkpoint_without_a_schedule_is_extended_too(tmp_path: Path) -> None:
    run(small("train.length=6 iterations"), tmp_path / "run")
    state = weights(tmp_path / "run")
    for key in ("annealing", "images", "validations"):
        del state["training"][key]
    save_checkpoint(tmp_path / "run" / "last.pt", state)
    extended = run(small("train.length=9 iterations"), tmp_path / "run", resume=True)
    assert (extended.clock.annealing.step, extended.clock.annealing.peak) == (6, 0.3)


def test_an_extension_without_a_learning_rate_is_refused_and_changes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "run"
    assert command(folder, *SMALL, "train.length=2 iterations") == 0
    files = {path.name: path.read_bytes() for path in folder.glob("*.*") if path.is_file()}
    assert command(folder, "--resume", "--allow-changes", "train.length=4 iterations", "train.rewarm=0") == 2
    error = capsys.readouterr().err
    assert error.startswith("error: the learning rate is 0 at step 2, the end of 2 iterations")
    assert error.count("\n") == 1
    assert {path.name: path.read_bytes() for path in folder.glob("*.*") if path.is_file()} == files


def test_a_smaller_batch_does_not_put_off_the_next_validation(tmp_path: Path) -> None:
    run(small("train.length=6 iterations"), tmp_path / "run")
    run(small("train.length=9 iterations", "train.batch_size=1"), tmp_path / "run", resume=True)
    assert weights(tmp_path / "run")["training"]["next_validation"] == 9 / 24 + 0.5


def test_a_setting_that_is_newer_than_the_run_is_no_change(
    tmp_path: Path, coco: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start(tmp_path / "run", coco, monkeypatch)
    state = weights(tmp_path / "run")
    del state["config"]["train"]["compile"]
    save_checkpoint(tmp_path / "run" / "last.pt", state)
    assert command(tmp_path / "run", "--resume") == 0


def test_another_network_is_refused_even_so_and_the_run_can_still_go_on(
    tmp_path: Path, coco: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    start(tmp_path / "run", coco, monkeypatch)
    assert command(tmp_path / "run", "--resume", "--allow-changes", "detector.head.channels=24") == 2
    assert "does not fit the network" in capsys.readouterr().err
    assert command(tmp_path / "run", "--resume", "--allow-changes", "train.optimizer={kind: SGD}") == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.endswith(f"or start a new run from its weights (--from {tmp_path / 'run' / 'last.pt'})")
    assert command(tmp_path / "run", "--resume") == 0


def test_changes_are_allowed_to_a_resumed_run_only(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(tmp_path / "run", "--allow-changes") == 2
    assert "--allow-changes needs --resume" in capsys.readouterr().err


def hold_lock(folder: Path, held: Event) -> None:
    lock = RunLock(folder)
    if os.fork() == 0:  # like a loader worker, which outlives the run
        time.sleep(10)
        os._exit(0)
    held.set()
    time.sleep(60)
    lock.release()


def test_a_folder_serves_one_run_at_a_time_and_the_next_after_its_death(
    tmp_path: Path, coco: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    start(tmp_path / "run", coco, monkeypatch)
    context = multiprocessing.get_context("fork")
    held = context.Event()
    holder = context.Process(target=hold_lock, args=(tmp_path / "run", held))
    holder.start()
    try:
        assert held.wait(60)
        assert command(tmp_path / "run", "--resume") == 2
        assert "another run writes into" in capsys.readouterr().err
    finally:
        holder.kill()
        holder.join()
    RunLock(tmp_path / "run").release()
    assert command(tmp_path / "run", "--resume") == 0
