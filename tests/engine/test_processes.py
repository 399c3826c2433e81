"""Several processes: they train as one would, end together, and go on after one was killed."""

from __future__ import annotations

import subprocess
from datetime import timedelta
from pathlib import Path

import pytest
import torch
from torch._C._distributed_c10d import HashStore

import anchorloc
from anchorloc import train
from anchorloc.cli import run_command
from anchorloc.data import ShapesData
from anchorloc.data.coco_export import write_coco
from anchorloc.engine.build import refuse_small_batches
from anchorloc.engine.system import processes
from anchorloc.engine.system.log import read_log
from anchorloc.engine.system.processes import SINGLE_PROCESS, Processes, process_group
from anchorloc.engine.validation import merge_shards
from anchorloc.errors import InputError
from anchorloc.files import read_json, write_json
from benchmarks import parted_training
from tests.engine.small_runs import SMALL, assert_same_run, small, weights
from tests.made_once import made_once
from tests.python_processes import with_torch

PACKAGE = str(Path(anchorloc.__file__).parent)  # stands in each traceback through the package

# What torchrun does, except that it forks: each import of torch would take seconds.
TORCHRUN = """
import os, signal, sys
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

def run():
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # a fork keeps torchrun's own handler, which waits 30 s
    {run}

where = {{"rdzv_backend": "c10d", "rdzv_endpoint": "localhost:0", "run_id": "tests"}}
elastic_launch(LaunchConfig(1, 1, {count}, max_restarts={restarts}, start_method="fork", **where), run)()
"""
# Two nodes with one process each, which meet at a free port of this machine.
NODES = """
import os, signal, socket, sys
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

def run():
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    {run}

with socket.socket() as free:
    free.bind(("localhost", 0))
    where = {{"rdzv_endpoint": f"localhost:{{free.getsockname()[1]}}", "rdzv_backend": "c10d", "run_id": "nodes"}}
other = os.fork()
elastic_launch(LaunchConfig(2, 2, 1, max_restarts=0, start_method="fork", **where), run)()
if not other:
    sys.stdout.flush()
    os._exit(0)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(other, 0)[1]))
"""
TRAIN = "from anchorloc import cli, train; sys.exit(cli.run_command(train.main))"
DISTURBED = "from tests.engine import torchrun_script; sys.exit(torchrun_script.main())"
PARTED = "from benchmarks import parted_training; sys.exit(parted_training.main())"


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """12 steps of 4 images, of which most have no object: in most steps a process or both have none."""

    def fill(root: Path) -> None:
        data = ShapesData(train_images=24, val_images=7, size=96)
        write_coco({"train": data.open("train"), "val": data.open("val")}, root)
        file = root / "annotations" / "instances_train.json"
        document = read_json(file)
        document["annotations"] = [item for item in document["annotations"] if item["image_id"] in (3, 8, 15, 20)]
        write_json(file, document)

    root = made_once(tmp_path_factory, "few-objects", fill)
    return [*SMALL[1:], "train.length=12 iterations", f"data={{kind: CocoData, root: '{root}'}}"]


def torchrun(run: str, *words: str, restarts: int = 0, count: int = 2) -> subprocess.CompletedProcess[str]:
    """Run code in several processes whose sys.argv[1:] are the words."""
    return with_torch().run(TORCHRUN.format(run=run, restarts=restarts, count=count), *words)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, settings: list[str]) -> Path:
    """A run of two nodes with one process each, which nothing disturbed."""

    def fill(folder: Path) -> None:
        done = with_torch().run(NODES.format(run=TRAIN), *settings, "--out", str(folder / "whole"))
        assert done.returncode == 0, done.stderr
        assert done.stdout.count("report: ") == 1

    return made_once(tmp_path_factory, "two-nodes", fill) / "whole"


def test_one_process_writes_and_both_look_over_the_val_split(whole: Path) -> None:
    assert [row["step"] for row in read_log(whole) if "val/AP" in row] == [3, 6, 9, 12]
    assert weights(whole)["training"]["machine"] == {"processes": 2, "device": "cpu"}
    assert read_json(whole / "metrics.json")["counts"]["images"] == 7  # in batches of 4 and 3, one for each process


def test_a_run_goes_on_after_one_process_was_killed(whole: Path, settings: list[str], tmp_path: Path) -> None:
    """torchrun starts the two of one node anew; from last.pt they end as the two nodes that nothing disturbed."""
    folder = tmp_path / "run"
    done = torchrun(DISTURBED, "kill", *settings, "--out", str(folder), restarts=1)
    assert done.returncode == 0, done.stderr
    assert "error: process 0 of 2 stops because another process has ended" in done.stderr
    assert PACKAGE not in done.stderr
    assert done.stdout.count("training for 12 iterations") == 2
    assert done.stdout.count("resuming from step 3 (25% of 12 iterations): learning rate") == 1
    assert_same_run(whole, folder)


def test_all_processes_train_with_the_plan_of_the_first(settings: list[str], tmp_path: Path) -> None:
    run = "from tests.engine import planned_script; sys.exit(planned_script.main())"
    done = torchrun(run, str(tmp_path / "seed"), *settings, "train.warmup=auto", "--out", str(tmp_path / "run"))
    assert done.returncode == 0, done.stderr
    assert [(tmp_path / f"seed{rank}").read_text() for rank in (0, 1)] == ["77", "77"]


def test_a_process_that_waits_for_one_that_never_comes_is_ended(settings: list[str], tmp_path: Path) -> None:
    run = f"if os.environ['RANK'] == '1': sys.exit(3)\n    {TRAIN}"
    done = torchrun(run, *settings, "--out", str(tmp_path / "run"))
    assert done.returncode == 1
    assert "exitcode  : 3 " in done.stderr
    assert PACKAGE not in done.stderr
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"MASTER_PORT": "1"}, r"process 1 of 2 cannot connect to the others at 127\.0\.0\.1:1 \(.*timed out"),
        ({"GLOO_SOCKET_IFNAME": "none0"}, r"process 1 of 2 cannot connect to the others at 127\.0\.0\.1:1 \(.*none0"),
        ({"RANK": ""}, "WORLD_SIZE=2 asks for several processes, but .* RANK expected.*; start them with torchrun"),
        ({"WORLD_SIZE": "two"}, "WORLD_SIZE=two asks for several processes, but invalid literal"),
    ],
)
def test_a_process_that_cannot_reach_the_others_is_told(
    monkeypatch: pytest.MonkeyPatch, changes: dict[str, str], told: str
) -> None:
    where = {"WORLD_SIZE": "2", "RANK": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "1", **changes}
    for name, value in where.items():
        monkeypatch.setenv(name, value) if value else monkeypatch.delenv(name, raising=False)
    if "GLOO_SOCKET_IFNAME" in changes:  # the store is reached, the peers are not
        monkeypatch.setattr(processes, "rendezvous", lambda *_, **__: iter([(HashStore(), 1, 2)]))
    monkeypatch.setattr(processes, "CONNECT_TIMEOUT", timedelta(seconds=1))
    with pytest.raises(InputError, match=told), process_group():
        raise AssertionError("it interleave")


def test_a_signal_to_one_process_stops_all_at_the_same_step(settings: list[str], tmp_path: Path) -> None:
    folder = tmp_path / "run"
    done = torchrun(DISTURBED, "terminate", *settings, "--out", str(folder))
    assert "stopped and saved at step 5" in done.stdout, done.stderr
    assert weights(folder)["step"] == 5


def test_parts_of_a_batch_and_processes_train_as_one_does_and_find_the_same(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Briefly; `python -m benchmarks.parted_training` does 20 updates, with 2 processes too."""

    def forked(count: int, *words: str) -> None:
        done = torchrun(PARTED, *words, count=count)
        assert done.returncode == 0, done.stderr

    monkeypatch.setattr(parted_training, "in_processes", forked)
    status = parted_training.main(["--updates", "3", "--settling", "8", "--processes", "4"])
    printed = capsys.readouterr().out
    assert status == 0, printed
    assert "detections of 4 processes and of 1: equal to the last bit" in printed


def test_batches_come_back_in_order_however_many_processes_there_are() -> None:
    for count in (1, 2, 3, 8):
        parts = [list(range(rank, 7, count)) for rank in range(count)]
        assert merge_shards(parts) == list(range(7))
    assert merge_shards([]) == []


def test_one_process_needs_nobody() -> None:
    model = torch.nn.Linear(2, 2)
    assert SINGLE_PROCESS.first
    assert SINGLE_PROCESS.wrap(model) is model
    assert SINGLE_PROCESS.all_reduce_sum(torch.tensor([1.0, 2.0])).tolist() == [1.0, 2.0]
    assert SINGLE_PROCESS.all_reduce_max(3.0) == [3.0]
    assert SINGLE_PROCESS.broadcast(4.0) == (4.0,)
    assert SINGLE_PROCESS.gather("x") == ["x"]
    with process_group() as alone:
        assert alone == Processes(0, 1)


def test_a_batch_cannot_have_more_parts_than_images(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = r"train\.batch_size=4 is less than 2 processes times train\.gradient_accumulation=3; raise train\.batch_size"
    with pytest.raises(InputError, match=told):
        refuse_small_batches(small("train.gradient_accumulation=3"), 2)
    refuse_small_batches(small("train.gradient_accumulation=2"), 2)
    assert run_command(train.main, [*SMALL, "train.gradient_accumulation=5", "--out", str(tmp_path / "run")]) == 2
    assert "is less than 1 process times" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_restarts_need_a_folder_to_find(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("TORCHELASTIC_MAX_RESTARTS", "3")
    assert run_command(train.main, SMALL) == 2
    assert capsys.readouterr().err == (
        "error: torchrun --max-restarts needs --out, so that restarted processes find the run; give --out DIR\n"
    )


@pytest.mark.parametrize("name", ["TORCHELASTIC_MAX_RESTARTS", "TORCHELASTIC_RESTART_COUNT"])
def test_a_variable_of_torchrun_that_is_no_number_is_one_sentence(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv(name, "many")
    words = SMALL if name.endswith("RESTARTS") else [*SMALL, "--out", str(tmp_path / "run")]
    assert run_command(train.main, words) == 2
    error = f"error: {name}='many' is not a whole number; start the processes with torchrun, or unset it\n"
    assert capsys.readouterr().err == error


def test_a_process_without_a_gpu_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(InputError, match=r"process 3 of this machine has no GPU: there are 2; lower --nproc-per-node"):
        processes._take_gpu(2)


@pytest.mark.parametrize(("device", "takes"), [("auto", True), ("cuda", True), ("cpu", False)])
def test_a_gpu_is_taken_only_to_be_used(monkeypatch: pytest.MonkeyPatch, device: str, takes: bool) -> None:
    interleave: list[bool] = []

    def join(count: int, cuda: bool) -> None:
        interleave.append(cuda)
        raise InputError("far enough")

    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(processes, "_join", join)
    with pytest.raises(InputError, match="far enough"), process_group(device):
        raise AssertionError("it interleave")
    assert interleave == [takes]
