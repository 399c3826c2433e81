"""Checkpoints that are damaged, hostile or of another making."""

from __future__ import annotations

import os
import pickle
import random
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from anchorloc import evaluate, train
from anchorloc.checkpoint import load_checkpoint, load_weights, save_checkpoint
from anchorloc.cli import run_command
from anchorloc.engine.state.resume import load_last, older_checkpoints
from anchorloc.errors import InputError
from tests.engine.small_runs import assert_same_run, run, small
from tests.signed_archives import with_checksum


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of 6 steps that has validated at 2, 4 and 6, and kept its last three checkpoints."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    run(small("train.length=6 iterations", "train.validate_every=0.3", "train.keep_checkpoints=3"), folder)
    return folder


@pytest.fixture
def folder(trained: Path, tmp_path: Path) -> Path:
    """A copy to be spoiled."""
    return Path(shutil.copytree(trained, tmp_path / "run"))


def test_the_last_checkpoints_are_kept(trained: Path) -> None:
    assert [path.name for path in older_checkpoints(trained)] == ["last-00000004.pt", "last-00000002.pt"]
    assert [load_checkpoint(path)["step"] for path in (trained / "last.pt", *older_checkpoints(trained))] == [6, 4, 2]


def test_only_as_many_as_asked_for(tmp_path: Path) -> None:
    run(small("train.length=6 iterations", "train.validate_every=0.3", "train.keep_checkpoints=1"), tmp_path / "run")
    assert older_checkpoints(tmp_path / "run") == []


def test_any_damage_is_noticed(trained: Path, tmp_path: Path) -> None:
    """`python -m benchmarks.damaged_checkpoints` tries 250; here 40 and the places where files differ."""
    whole, chance = (trained / "last.pt").read_bytes(), random.Random(0)
    places = [0, 1, len(whole) - 1, len(whole) - 64, len(whole) - 65, len(whole) - 81, len(whole) - 82, len(whole) - 83]
    path = tmp_path / "last.pt"
    for place in [*places, *(chance.randrange(len(whole)) for _ in range(32))]:
        for data in (whole[:place], whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :]):
            path.write_bytes(data)
            with pytest.raises(InputError, match=r"last\.pt is (damaged|not an anchorloc checkpoint or is cut short)"):
                load_checkpoint(path)
    path.write_bytes(whole + b"\0")
    with pytest.raises(InputError):
        load_checkpoint(path)


def test_a_run_goes_on_from_the_checkpoint_before_the_damaged_ones(
    trained: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "last.pt").write_bytes((folder / "last.pt").read_bytes()[:-1])
    (folder / "last-00000004.pt").write_bytes(b"")
    (folder / "best.pt").write_bytes(b"")
    config = small("train.length=6 iterations", "train.validate_every=0.3", "train.keep_checkpoints=3")
    run(config, folder, resume=True)
    said = capsys.readouterr().out
    assert "last.pt is not an anchorloc checkpoint or is cut short" in said
    assert f"resuming from {folder / 'last-00000002.pt'}, step 2" in said
    assert_same_run(trained, folder)
    assert {path.name for path in folder.glob("*.damaged")} == {"last.pt.damaged", "last-00000004.pt.damaged"}


def test_without_a_good_checkpoint_there_is_one_sentence(folder: Path) -> None:
    for path in (folder / "last.pt", *older_checkpoints(folder)):
        path.write_bytes(b"x")
    with pytest.raises(InputError, match=r"last\.pt is not .*; the 2 older checkpoints cannot be used either"):
        load_last(folder, print)
    assert (folder / "last.pt").exists()


class Canary:
    """A pickle that leaves a file behind where it is executed."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("signed", [False, True])
def test_a_pickle_with_code_is_refused_unexecuted(
    folder: Path, tmp_path: Path, signed: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    sung, path = tmp_path / "sung", folder / "last.pt"
    state = {**load_checkpoint(path), "extra": Canary(sung)}
    torch.save(state, path)
    if signed:
        path.write_bytes(with_checksum(path.read_bytes()))
    with pytest.raises(InputError, match="asks for code" if signed else "not an anchorloc checkpoint"):
        load_checkpoint(path)
    with pytest.raises(InputError, match="asks for code to be run"):
        load_weights(path)
    assert run_command(evaluate.main, [str(path), "--out", str(tmp_path / "report")]) == 2
    state = load_last(folder, print) or {}
    assert state["step"] == 4
    assert "weights_only" not in capsys.readouterr().err  # no advice to switch the guard off
    path.write_bytes(pickle.dumps(Canary(sung)))
    with pytest.raises(InputError):
        load_weights(path)
    assert not sung.exists()
    pickle.loads(path.read_bytes())
    assert sung.exists()  # the canary can sing


def edit(path: Path, *keys: str | int, value: object) -> None:
    """Change one entry of a checkpoint and sign it anew."""
    state: Any = load_checkpoint(path)
    *parents, last = keys
    inner = state
    for key in parents:
        inner = inner[key]
    inner[last] = value
    save_checkpoint(path, state)


WEIGHT = "head.logits.0.bias"


@pytest.mark.parametrize(
    ("keys", "value", "words"),
    [
        (("model", WEIGHT), torch.zeros(3), f"{WEIGHT} is float32 (3,), not float32"),
        (("model", WEIGHT), torch.zeros(4).to_sparse(), f"{WEIGHT} is sparse float32 (4,), not float32 (4,)"),
        (("model", WEIGHT), torch.zeros(4, device="meta"), f"{WEIGHT} is empty float32 (4,), not float32 (4,)"),
        (("categories",), [], "entry 'categories'"),
        (("training", "model", WEIGHT), torch.zeros(4, dtype=torch.float64), f"{WEIGHT} is float64 (4,), not"),
        (("training", "model", "more"), torch.zeros(3), "more is not expected"),
        (("training", "model"), {}, "is missing"),
        (("training", "optimizer"), [], "does not fit the optimizer"),
        (("training", "optimizer", 1, "param_groups"), [], "does not fit the optimizer"),
        (("training", "optimizer", 1, "state", 0, "exp_avg"), torch.zeros(2, 2), "is float32 (2, 2), not float32"),
        (("training", "random"), torch.zeros(3, dtype=torch.uint8), "torch's generator"),
        (("training", "threads"), -1, "'training.threads'"),
        (("training", "threads"), 4096, "'training.threads'"),
        (("model", WEIGHT), torch.full((4,), float("nan")), f"{WEIGHT} is NaN or infinite in places"),
        (("training", "seconds"), float("nan"), "'training.seconds'"),
        (("training", "annealing", "peak"), float("nan"), "'training.annealing.peak'"),
        (("training", "annealing", "start"), 1e30, "'training.annealing.start'"),
        (("training", "annealing"), {}, "'training.annealing.step'"),
        (("training", "images"), 0, "'training.images'"),
        (("training", "validations", "seconds"), -1.0, "'training.validations.seconds'"),
        (("step",), "7", "'step'"),
        (("categories",), [[1]], "'categories.0'"),
        (("training", "best"), None, "'training.best'"),
    ],
)
def test_entries_sizes_and_types_are_checked(
    folder: Path, keys: tuple[str | int, ...], value: object, words: str
) -> None:
    edit(folder / "last.pt", *keys, value=value)
    longer = small("train.length=6 iterations", "train.validate_every=0.3", "train.keep_checkpoints=3")
    with pytest.raises(InputError) as refused:
        run(longer, folder, resume=True)
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("keys", "value"),
    [
        (("model", WEIGHT), torch.zeros(4, dtype=torch.float16)),
        (("model", WEIGHT), torch.tensor([0, 0, float("inf"), 0])),
        (("config",), 3),
        (("step",), -1),
    ],
)
def test_evaluate_checks_them_too(
    folder: Path, tmp_path: Path, keys: tuple[str, ...], value: object, capsys: pytest.CaptureFixture[str]
) -> None:
    edit(folder / "best.pt", *keys, value=value)
    assert run_command(evaluate.main, [str(folder / "best.pt"), "--out", str(tmp_path / "report")]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"error: {folder / 'best.pt'} ")
    assert error.count("\n") == 1


@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x05\x06" + bytes(18), b"\x80\x02]q\x00."])
def test_foreign_files_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "foreign.pt"
    path.write_bytes(content)
    with pytest.raises(InputError):
        load_checkpoint(path)
    with pytest.raises(InputError):
        load_weights(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("data.pkl", content)
    with pytest.raises(InputError):
        load_weights(path)


def test_a_resumed_run_says_that_its_checkpoint_is_damaged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["train.length=4 iterations", "train.batch_size=4", "train.workers=0", "train.validate_every=0.5"]
    settings = ["data={train_images: 8, val_images: 2, size: 64}", *words, "--out", str(tmp_path / "run")]
    assert run_command(train.main, settings) == 0
    last = tmp_path / "run" / "last.pt"
    last.write_bytes(last.read_bytes()[:1000])
    assert run_command(train.main, ["--resume", "--out", str(tmp_path / "run")]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "warning: " in said
    assert "cut short" in said
    assert "step 3" in said


@pytest.mark.parametrize("state", [{"a": 1}, {"step": 4}, {"step": "x"}])
def test_a_best_checkpoint_of_another_making_is_told_and_made_anew(
    folder: Path, state: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    best = load_checkpoint(folder / "last.pt")["training"]["best"]["step"]
    save_checkpoint(folder / "best.pt", state)
    run(small("train.length=8 iterations", "train.validate_every=0.3", "train.keep_checkpoints=3"), folder, resume=True)
    told = f"{folder / 'best.pt'} cannot be used: entry 'config'" in capsys.readouterr().out
    assert told == (best != 6)  # one of the same step is made again at once
    assert set(load_checkpoint(folder / "best.pt")) == {"format", "config", "categories", "step", "threshold", "model"}


def test_a_finished_run_whose_best_checkpoint_is_damaged_keeps_its_last_weights(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    edit(folder / "last.pt", "training", "best", value={"ap": 0.5, "step": 2, "validations_since": 2})
    (folder / "best.pt").write_bytes((folder / "best.pt").read_bytes()[:-1000])
    run(small("train.length=6 iterations", "train.validate_every=0.3", "train.keep_checkpoints=3"), folder, resume=True)
    assert "the weights of the last step replace it" in capsys.readouterr().out
    best, last = (load_checkpoint(folder / name) for name in ("best.pt", "last.pt"))
    assert best["step"] == last["step"] == 6
    for name, weight in last["model"].items():
        assert torch.equal(best["model"][name], weight)


def test_a_file_larger_than_memory_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "best.pt"
    with path.open("wb") as file:
        file.truncate(1 << 43)
    with pytest.raises(InputError, match="8,796,093,022,208 bytes and does not fit into memory"):
        load_checkpoint(path)
