"""`anchorloc compare` end to end: files, resuming, failed runs, errors of the user, and equal results with Ray."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from anchorloc.cli import run_command
from anchorloc.compare import __main__ as compare
from anchorloc.compare import on_ray
from anchorloc.compare.jobs import Job
from anchorloc.compare.judging import RESAMPLES, resampled_ap
from anchorloc.compare.report import Measures, SettingRow, StudyResult, print_study, write_study
from anchorloc.compare.report.pareto import APART, circles_apart, pareto_front
from anchorloc.compare.run_record import MATCHES, OUTCOMES, RECORD, read_match_result, read_record
from anchorloc.compare.statistics.variance_components import VarianceComponents
from anchorloc.compare.statistics.verdicts import Estimate, Verdict
from anchorloc.compare.study_file import folder_name, read_study
from anchorloc.config import read_saved_config, to_plain
from anchorloc.config.yaml import write_yaml
from anchorloc.data import ShapesData
from anchorloc.data.coco_export import write_coco
from anchorloc.engine.training import Training
from anchorloc.errors import InputError
from anchorloc.metrics import match_targets, weighted_curves
from tests.engine.small_runs import assert_same_run
from tests.made_once import made_once
from tests.metrics.evaluation_cases import from_coco, without_ties
from tests.python_processes import with_torch
from tests.report.report_cases import HOSTILE, Page, controls

COMMON: dict[str, Any] = {
    "data": {"train_images": 16, "val_images": 12, "size": 96},
    "detector": {
        "backbone": {"channels": [8, 8, 16, 16], "blocks": [1, 1, 1, 1]},
        "pyramid": {"channels": 16},
        "head": {"channels": 16, "depth": 1},
    },
    "train": {"length": "3 iterations", "batch_size": 4, "workers": 0, "threads": 1, "precision": "float32"},
}
WITH_SIGNAL = """
import os, signal
from anchorloc.compare import __main__ as compare
from anchorloc.data import ShapesData
from anchorloc.data.coco_export import write_coco
from anchorloc.engine.training import Training
def signal_at(step, number):
    whole = Training.step
    def patched(training, *values):
        if training.clock.step == step:
            os.kill(os.getpid(), number)
        return whole(training, *values)
    Training.step = patched
"""
THREE = {"anchors": {"height_to_width": [0.5, 1, 2]}}


def study_file(folder: Path, **changes: Any) -> Path:
    plain = {"common": COMMON, "seeds": 2, "baseline": "one", "settings": {"one": {}, "three": THREE}, **changes}
    path = folder / "study.yaml"
    path.write_text(write_yaml({key: value for key, value in plain.items() if value is not None}), encoding="utf-8")
    return path


def run(*words: object) -> int:
    return run_command(compare.main, [str(word) for word in words])


def table(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"))))


def run_folders(out: Path) -> dict[str, Path]:
    return {f"{path.parent.name}/{path.name}": path for path in sorted(out.glob("runs/*/seed-*"))}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    def fill(folder: Path) -> None:
        assert run(study_file(folder), "--out", folder / "out") == 0

    return made_once(tmp_path_factory, "study", fill)


def test_a_study_leaves_tables_a_picture_and_a_page(finished: Path) -> None:
    out = finished / "out"
    rows, verdicts, runs = (table(out / f"{name}.csv") for name in ("settings", "verdicts", "runs"))
    assert [row["setting"] for row in rows] == ["one", "three"]
    assert [int(row["parameters"]) for row in rows] == sorted(int(row["parameters"]) for row in rows)
    assert float(rows[1]["anchors"]) == 3 * float(rows[0]["anchors"])
    assert all(float(row["latency_ms"]) > float(row["nms_ms"]) > 0 for row in rows)
    assert [(row["setting"], row["against"], row["verdict"]) for row in verdicts] == [("three", "one", "not shown")]
    assert [(row["setting"], row["seed"]) for row in runs] == [(s, n) for s in ("one", "three") for n in "01"]
    record = json.loads((out / "result.json").read_text(encoding="utf-8"))
    assert record["smallest_p"] == 0.5
    page = (out / "study.html").read_text(encoding="utf-8")
    assert "no winner can be named" in " ".join(page.split())
    assert "<svg" in page
    assert (out / "pareto.svg").read_text(encoding="utf-8").startswith("<svg")
    assert "no winner can be named" in (out / "study.md").read_text(encoding="utf-8")
    assert not re.search(r"""(?:src|href)=["']?https?:""", page)


def test_every_run_has_the_same_data_and_budget(finished: Path) -> None:
    logs = [read_record(path) for path in run_folders(finished / "out").values()]
    assert [record.steps for record in logs if record] == [3] * 4
    first, second = (folder / "last.pt" for name, folder in run_folders(finished / "out").items() if "one" in name)
    assert first.read_bytes() != second.read_bytes()  # other seeds, other runs


def test_the_weighted_ap_of_a_run_is_the_ap_that_was_scored(finished: Path) -> None:
    for folder in run_folders(finished / "out").values():
        record = read_record(folder)
        assert record is not None
        assert weighted_curves(read_match_result(folder)).ap.mean() == pytest.approx(record.ap, abs=1e-12)


def test_the_same_command_makes_nothing_anew(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {path: path.stat().st_mtime_ns for path in finished.rglob("*.pt")}
    assert run(finished / "study.yaml", "--out", finished / "out") == 0
    assert {path: path.stat().st_mtime_ns for path in finished.rglob("*.pt")} == before
    assert "4/4 three seed 1: AP" in capsys.readouterr().out


def test_more_seeds_and_settings_are_added_to_what_is_there(finished: Path, tmp_path: Path) -> None:
    shutil.copytree(finished / "out", tmp_path / "out")
    more = study_file(
        tmp_path,
        seeds=[0, 1, 5],
        settings={"one": {}, "three": THREE, "two": {"assign": {"kind": "TaskAlignedAssigner"}}},
    )
    assert run(more, "--out", tmp_path / "out") == 0
    assert len(run_folders(tmp_path / "out")) == 9
    for name, path in run_folders(finished / "out").items():
        assert (path / RECORD).read_bytes() == (tmp_path / "out" / "runs" / name / RECORD).read_bytes()
    rows = {row["setting"]: row for row in table(tmp_path / "out" / "settings.csv")}
    assert rows["two"]["assigned"] == rows["two"]["ceiling"] == ""  # predictions choose
    assert float(rows["two"]["match_ms"]) > 0


def test_a_stopped_study_goes_on_with_the_run_in_progress(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Killed in one run, then stopped by SIGTERM in the next: the results are equal to the last bit."""
    train = {**COMMON["train"], "length": "6 iterations", "save_every": 1e-6}
    path = study_file(tmp_path, common={**COMMON, "train": train})
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert run(path, "--out", whole) == 0
    killed = f"{WITH_SIGNAL}\nsignal_at(3, signal.SIGKILL)\ncompare.main({[str(path), '--out', str(parts)]})"
    done = with_torch().run(killed)
    assert done.returncode == -signal.SIGKILL
    (first,) = run_folders(parts).values()
    assert (first / "last.pt").exists()
    assert not (first / RECORD).exists()
    steps = []

    def step(training: Training, *values: Any) -> dict[str, float]:
        steps.append(training.clock.step)
        if len(steps) == 6:  # some steps of the first run, then some of the second
            os.kill(os.getpid(), signal.SIGTERM)
        return whole_step(training, *values)

    whole_step = Training.step
    monkeypatch.setattr(Training, "step", step)
    assert run(path, "--out", parts) == 128 + signal.SIGTERM
    assert steps[0] == 3  # the killed run went on
    assert "stopped and saved; to resume, run the same command:" in capsys.readouterr().out
    assert not (parts / "study.html").exists()
    assert run(path, "--out", parts) == 0
    for name, folder in run_folders(whole).items():
        assert_same_run(folder, parts / "runs" / name)
        assert (folder / OUTCOMES).read_bytes() == (parts / "runs" / name / OUTCOMES).read_bytes()


def test_a_failed_run_does_not_take_the_others_along(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wild = {"train": {"optimizer": {"learning_rate": 1e15}, "warmup": 0}}
    path = study_file(tmp_path, settings={"one": {}, "wild": wild, "three": THREE})
    assert run(path, "--out", tmp_path / "out") == 1
    out = capsys.readouterr().out
    assert "2/6 wild  seed 0: failed: the " in out
    assert "no verdict on wild against one: a run failed" in " ".join(out.split())
    rows = {row["setting"]: row for row in table(tmp_path / "out" / "settings.csv")}
    assert (rows["wild"]["AP"], rows["wild"]["failed"]) == ("", "2")
    assert rows["three"]["AP"]
    assert [row["setting"] for row in table(tmp_path / "out" / "verdicts.csv")] == ["three"]
    assert any("learning_rate" in row["failure"] for row in table(tmp_path / "out" / "runs.csv"))


def test_a_network_without_anchors_beside_one_with_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    common = {**COMMON, "task": "localization", "data": {**COMMON["data"], "kind": "OneShapeData"}}
    path = study_file(tmp_path, common=common, settings={"one": {}, "single": {"localizer": {}}})
    assert run(path, "--out", tmp_path / "out") == 0
    out = capsys.readouterr().out
    assert not re.search(r"top-1 LOC error \d", out)  # the line of a validation, which names no run
    for place in (match.start() for match in re.finditer("warning: the boxes of the weights", out)):
        assert re.search(r"(one|single) seed \d: $", out[:place])
    record = json.loads((tmp_path / "out" / "result.json").read_text(encoding="utf-8"))
    page, markdown = ((tmp_path / "out" / f"study.{kind}").read_text(encoding="utf-8") for kind in ("html", "md"))
    for row, setting in zip(table(tmp_path / "out" / "settings.csv"), record["settings"], strict=True):
        runs = [read_record(path) for name, path in run_folders(tmp_path / "out").items() if setting["name"] in name]
        for key, value in setting["localization"].items():
            assert value == pytest.approx(np.mean([one.localization[key] for one in runs if one]))
            assert float(row[key]) == pytest.approx(value, rel=1e-5)
            assert f"<td>{value:.3f}</td>" in page
            assert f" {value:.3f} |" in markdown
        said = [f"{setting['name']}, seed {one.seed}: {one.warning}" for one in runs if one and one.warning]
        assert [one for one in said if one not in record["warnings"]] == []
    assert "below the" in " ".join(record["warnings"])  # three steps learn nothing
    path = next(path for path in run_folders(tmp_path / "out").values() if (one := read_record(path)) and one.warning)
    done = read_record(path)
    assert done is not None
    job = Job(done.setting, done.seed, read_saved_config(path / "config.yaml"), path, "")
    assert on_ray._run(job)[0] == done  # a worker of Ray hands the warning on
    assert "share of images with a wrong class or IoU &lt; 0.5" in page
    anchors, single = table(tmp_path / "out" / "settings.csv")
    assert float(anchors["anchors"]) > 1
    assert float(anchors["match_ms"]) > 0
    assert (single["assigned"], single["ceiling"]) == ("", "")
    assert [float(single[name]) for name in ("anchors", "match_ms", "nms_ms")] == [0, 0, 0]
    assert float(single["latency_ms"]) > 0


def test_a_closed_pipe_leaves_the_report(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from anchorloc.compare import study

    def closed(*_: object) -> None:
        raise BrokenPipeError

    shutil.copytree(finished / "out", tmp_path / "out")
    (tmp_path / "out" / "study.html").unlink()
    monkeypatch.setattr(study, "print_study", closed)
    with pytest.raises(BrokenPipeError):
        compare.main([str(finished / "study.yaml"), "--out", str(tmp_path / "out")])
    assert (tmp_path / "out" / "study.html").exists()


def test_a_bug_in_one_run_is_written_down(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from anchorloc.compare import jobs as runs

    def broken(*_: object) -> None:
        raise ZeroDivisionError("by design")

    monkeypatch.setattr(runs, "evaluate_model", broken)
    assert run(study_file(tmp_path), "--out", tmp_path / "out") == 1
    (reason, *_) = {row["failure"] for row in table(tmp_path / "out" / "runs.csv")}
    assert "ZeroDivisionError: by design" in reason
    assert "Traceback" in next((tmp_path / "out").glob("runs/*/seed-0/failure.txt")).read_text(encoding="utf-8")
    monkeypatch.undo()
    assert run(tmp_path / "study.yaml", "--out", tmp_path / "out") == 0  # a failed run is tried again
    assert not list((tmp_path / "out").glob("runs/*/*/failure.txt"))


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # Ray 2.40 leaves its server to itself
def test_ray_gives_the_same(finished: Path, tmp_path: Path) -> None:
    """Two of the four runs, beside two that are there."""
    pytest.importorskip("ray", reason="Ray is an optional extra")
    out = tmp_path / "out"
    shutil.copytree(finished / "out", out)
    for folder in out.glob("runs/*/seed-1"):
        shutil.rmtree(folder)
    (out / "verdicts.csv").unlink()
    assert run(finished / "study.yaml", "--out", out, "--engine", "ray") == 0
    for name, folder in run_folders(finished / "out").items():
        assert_same_run(folder, out / "runs" / name)
        assert (folder / OUTCOMES).read_bytes() == (out / "runs" / name / OUTCOMES).read_bytes()
    assert (out / "verdicts.csv").read_bytes() == (finished / "out" / "verdicts.csv").read_bytes()


MISTAKES: list[tuple[dict[str, Any], str]] = [
    ({"seed": 3}, "seed: unknown key, did you mean 'seeds'?"),
    ({"baseline": None}, "baseline is missing: name the setting to compare the others with"),
    ({"baseline": "on"}, "baseline: there is no setting 'on'; did you mean 'one'?"),
    ({"baseline": ["one"]}, "baseline: there is no setting ['one']"),
    ({"pairs": [["one", "four"]]}, "pairs: there is no setting 'four'"),
    ({"pairs": [["one", "three"]]}, "pairs: ['three', 'one'] is compared twice"),
    ({"pairs": [["one"]]}, "pairs: expected [setting, against], got ['one']"),
    ({"pairs": "one"}, "pairs: expected a list of [setting, against], got 'one'"),
    ({"seeds": 1}, "seeds: need 2 to 1000, got 1; one run shows nothing about chance"),
    ({"seeds": [4]}, "seeds: need 2 to 1000, got 1; one run shows nothing about chance"),
    ({"seeds": [1, 1]}, "seeds: need distinct whole numbers, got [1, 1]"),
    ({"seeds": [1, True]}, "seeds: need distinct whole numbers"),
    ({"seeds": 10**12}, "seeds: need 2 to 1000, got 1001"),
    ({"seeds": "many"}, "seeds: expected a number of seeds, or a list of whole numbers from 0, got 'many'"),
    ({"seeds": [-1, 2]}, "seeds: expected a number of seeds, or a list of whole numbers from 0, got [-1, 2]"),
    ({"settings": {"one": {}}}, "settings: need 2 to 100 settings, got 1"),
    ({"settings": None}, "settings: need 2 to 100 settings, got 0"),
    ({"settings": ["one"]}, "settings: expected a group of settings, got ['one']"),
    ({"settings": {"one": {}, "three": 3}}, "settings.three: expected a group of settings, got 3"),
    ({"settings": {"one": {}, 3: {}}}, "settings: 3 is not a name for a setting"),
    ({"settings": {"one": {}, " ": {}}}, "settings: ' ' is not a name for a setting"),
    ({"settings": {"one": {}, "n" * 61: {}}}, "is not a name for a setting; use text of 1 to 60 characters"),
    ({"settings": {"one": {}, "two": {"asign": {}}}}, "settings.two: asign: unknown key, did you mean 'assign'?"),
    ({"settings": {"one": {}, "two": {"data": {"seed": 1}}}}, "settings.two: data is ShapesData("),
    ({"settings": {"one": {}, "two": {"train": {"batch_size": 2}}}}, "settings.two: train.batch_size is 2, but 4 for"),
    ({"settings": {"one": {}, "two": {"train": {"length": "4 iterations"}}}}, "settings.two: train.length is 4 iter"),
    ({"settings": {"one": {}, "two": {"train": {"seed": 4}}}}, "settings.two: train.seed=4: a study sets the seeds"),
    ({"settings": {"one": {}, "two": {"assign": {"kind": "ATSSAssigner"}}}}, "settings.two: equal to 'one'"),
    ({"settings": {"one": {}, "two": {"task": "localization"}}}, "settings.two: task is localization, but detection"),
    (
        {"common": {**COMMON, "data": {"val_images": 9}}},
        "data: val has 9 of the 10 images with boxes that intervals and verdicts need; give more",
    ),
    (
        {"common": {**COMMON, "task": "localization"}},
        "task=localization needs exactly one usable box per image, but train",
    ),
    ({"common": {"train": {"length": "1 minute"}}}, "train.length='1 minute': a study needs"),
    ({"common": {"train": {"length": "9 epochs", "patience": 2}}}, "train.patience=2: every run has the same budget"),
    ({"config": 3}, "config: expected the path of a config file, got 3"),
    ({"config": "nowhere.yaml"}, "nowhere.yaml does not exist"),
]


@pytest.mark.parametrize(("changes", "message"), MISTAKES)
def test_mistakes_in_a_study(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], changes: dict[str, Any], message: str
) -> None:
    assert run(study_file(tmp_path, **changes), "--out", tmp_path / "out") == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_overrides_apply_to_every_setting(tmp_path: Path) -> None:
    study = read_study(study_file(tmp_path), ["data.size=128"])
    plain = {name: to_plain(config) for name, config in study.settings.items()}
    assert [plain[name]["data"]["size"] for name in ("one", "three")] == [128, 128]
    assert plain["three"]["anchors"]["height_to_width"] == [0.5, 1.0, 2.0]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["dta.size=128"], "settings.one with dta.size=128: dta: unknown key, did you mean 'data'?"),
        (["data.size=big"], "error: the override 'data.size=big': data.size"),
        (["train.seed=3"], "train.seed=3: a study sets the seeds; list them under `seeds`"),
        (["train.length=1 minute"], "train.length='1 minute': a study needs 'N iterations' or 'N epochs'"),
        (["anchors.height_to_width=[2]"], "equal to 'one'"),
        (["new=val.json"], "new: unknown key"),
        (["seeds=3"], "error: the override 'seeds=3': seeds is a key of the study, not of its settings; change "),
        (["settings.one.task=localization"], "settings is a key of the study, not of its settings"),
        (["study.py", "data.size=64"], "study.yaml is a study; give no other file with it, or give result files with"),
        (["data.size"], "study.yaml is a study; give no other file with it"),
    ],
)
def test_wrong_overrides_of_a_study(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    assert run(study_file(tmp_path), *words, "--out", tmp_path / "out") == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_an_override_is_as_good_as_the_line_in_the_file(finished: Path, tmp_path: Path) -> None:
    """The study of 12 images is resumed from a file that names another number, with an override."""
    shutil.copytree(finished / "out", tmp_path / "out")
    other = study_file(tmp_path, common={**COMMON, "data": {**COMMON["data"], "train_images": 99}})
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.pt")}
    assert run(other, "--out", tmp_path / "out") == 2
    assert run("data.train_images=16", other, "--out", tmp_path / "out") == 0
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.pt")} == before


def test_mistakes_on_the_command_line(finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = study_file(tmp_path)
    (tmp_path / "list.yaml").write_text("- one\n", encoding="utf-8")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").write_text("", encoding="utf-8")
    for words, message in (
        ([path, "--address", "auto"], "--address needs --engine ray; give both"),
        ([tmp_path / "list.yaml"], "list.yaml is not a study file"),
        ([tmp_path / "none.yaml"], "none.yaml does not exist"),
        ([path, "--out", tmp_path / "full"], "exists already and is not the folder of a study; give another --out"),
        ([path, "--out", path], "exists already and is not the folder of a study; give another --out"),
    ):
        assert run(*words) == 2
        assert message in capsys.readouterr().err


def test_the_folder_of_another_study(finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for changes, message in (
        ({"settings": {"three": {}, "one": THREE}}, "its runs of 'three' have anchors.height_to_width="),
        ({"settings": {"two": {}, "four": THREE}, "baseline": "two"}, "of another study, with the settings one, three"),
    ):
        assert run(study_file(tmp_path, **changes), "--out", finished / "out") == 2
        assert message in capsys.readouterr().err
    shutil.copytree(finished / "out", tmp_path / "out")
    for text in ("{}", "[]", '{"threads": 1, "data": {}, "settings": {"one": 1}}'):
        (tmp_path / "out" / "study.json").write_text(text, encoding="utf-8")
        assert run(finished / "study.yaml", "--out", tmp_path / "out") == 2
        assert "study.json is damaged" in capsys.readouterr().err


@pytest.mark.parametrize("name", [RECORD, OUTCOMES, "measures.json"])
def test_a_damaged_file_is_told(finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    shutil.copytree(finished / "out", tmp_path / "out")
    path = next((tmp_path / "out").rglob(name))
    good = path.read_bytes()
    for data in (good[: len(good) // 2], b"{}" if name != "measures.json" else b'{"one": {}}', b""):
        path.write_bytes(data)
        assert run(finished / "study.yaml", "--out", tmp_path / "out") == 2
        error = capsys.readouterr().err
        assert path.name in error
        assert error.count("\n") == 1


def test_settings_are_laid_over_what_they_share(tmp_path: Path) -> None:
    base = "assign: {kind: ATSSAssigner, topk: 5}\ntrain: {seed: 9, warmup: 2}\n"  # the config of a run has its seed
    (tmp_path / "base.yaml").write_text(base, encoding="utf-8")
    path = study_file(
        tmp_path,
        config="base.yaml",
        settings={"one": {}, "max": {"assign": {"kind": "MaxIoUAssigner"}}, "more": {"assign": {"topk": 7}}},
        pairs=[["max", "more"]],
    )
    study = read_study(path)
    assert [str(config.assign) for config in study.settings.values()] == [
        "ATSSAssigner(topk=5)",
        "MaxIoUAssigner(positive_iou=0.5, negative_iou=0.4, rescue_iou=None)",
        "ATSSAssigner(topk=7)",
    ]
    assert study.pairs == (("max", "one"), ("more", "one"), ("max", "more"))
    assert study.config("max", 4).train.seed == 4
    assert study.config("max", 4).train.warmup == 2
    assert study.config("max", 4).train.length == "3 iterations"


@given(names=st.lists(st.text(min_size=1, max_size=60), min_size=2, max_size=6, unique=True))
@settings(max_examples=50)
def test_every_setting_has_a_harmless_folder_of_its_own(names: list[str]) -> None:
    folders = [folder_name(name) for name in names]
    assert len({folder.lower() for folder in folders}) == len(names)
    assert all(re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9-]{0,49}", folder) for folder in folders)


def test_the_file_of_an_earlier_version_gives_the_same_ap(tmp_path: Path) -> None:
    """The layout of matches.npz, which earlier versions wrote in place of outcomes.npz."""
    targets, detections, categories = from_coco(*without_ties(3))
    match_result = match_targets(targets, detections, categories, 100, by_size=False)
    boxes = np.zeros((len(categories), len(targets)), np.int32)
    for image, target in enumerate(targets):
        boxes[:, image] = np.bincount(target.labels[~target.crowd], minlength=len(categories))
    outcome = np.array([0, 1, -1], np.int8)[match_result.states[0]]  # false positive, true positive, ignored
    images, ends = match_result.images.astype(np.int32), match_result.starts[1:]
    np.savez_compressed(tmp_path / MATCHES, images=images, outcome=outcome, ends=ends, boxes=boxes)
    old = read_match_result(tmp_path)
    assert resampled_ap(old) == resampled_ap(match_result)
    assert len(resampled_ap(old)) == RESAMPLES


def test_nothing_found_has_ap_0() -> None:
    targets, detections, categories = from_coco(*without_ties(3))
    nothing = [found.take(np.zeros(0, np.int64)) for found in detections]
    assert set(resampled_ap(match_targets(targets, nothing, categories, 100, by_size=False))) == {0.0}


def test_no_other_setting_dominates_the_pareto_front() -> None:
    assert pareto_front([1, 2, 3, 4], [0.1, 0.3, 0.2, 0.4]) == [0, 1, 3]
    assert pareto_front([1, 1, 2], [0.2, 0.2, 0.2]) == [0, 1]
    assert pareto_front([2, 1], [0.1, 0.9]) == [1]


@given(st.lists(st.tuples(st.sampled_from([0.0, 3.0, 40.0, 41.0]), st.floats(0, 60)), max_size=12))
def test_no_circle_hides_another(places: list[tuple[float, float]]) -> None:
    circles = [(x, y) for x, (_, y) in zip(circles_apart(places), places, strict=True)]
    assert all(
        abs(x - across) >= APART or abs(y - down) >= APART
        for number, (x, y) in enumerate(circles)
        for across, down in circles[:number]
    )
    if places:
        assert circles[0] == places[0]


def result(names: list[str]) -> StudyResult:
    """Return a study of settings with given names, and one setting whose run failed."""
    measures = Measures(0.99, None, 21_250.0, 0.1, 1234.5, 12_345_678, 1234.5, 12.34)
    rows = [
        SettingRow(name, Estimate(0.3 + place / 100, 0.2, 0.5), {0: 0.3, 1: 0.4}, {}, measures)
        for place, name in enumerate(names)
    ]
    failed = SettingRow(names[0] + "2", None, {}, {0: f"the loss became nan in {names[0]}"}, None)
    variance = VarianceComponents(1e-4, 1e-4, 1e-4, 8, 99.0)
    pairs = [Verdict(name, names[0], Estimate(0.1, -0.02, 0.3), 0.01, variance, 0.02) for name in names[1:]]
    pairs.append(Verdict(names[1], names[0], Estimate(0.1, 0.02, 0.3), 0.01, variance, 0.02))
    pairs.append(Verdict(names[1], names[0], Estimate(-0.1, -0.3, -0.02), 0.01, variance, 0.02))
    return StudyResult(names[0], (*rows, failed), tuple(pairs), ((failed.name, names[0]),), 8, 100, "3 iterations each")


def test_verdicts_in_words() -> None:
    words = [(verdict.decision, bool(verdict.reason)) for verdict in result(["a", "b"]).verdicts]
    assert words == [("not shown", True), ("better", False), ("worse", False)]


def test_the_terminal_has_80_columns() -> None:
    file = io.StringIO()
    print_study(result(["a" * 60, "b" * 60, "ATSS"]), Console(file=file, width=80))
    assert max(map(cell_len, file.getvalue().splitlines())) <= 80
    assert "With 8 seeds and 5 pairs no p can be below 0.0078" in file.getvalue()


def test_odd_names_stay_harmless(tmp_path: Path) -> None:
    names = [name[:58] for name in HOSTILE]
    page = write_study(tmp_path, result(names), {"command": HOSTILE[0]})
    for path in (page, tmp_path / "study.md", tmp_path / "settings.csv", tmp_path / "pareto.svg"):
        text = path.read_text(encoding="utf-8", errors="surrogatepass")
        assert not controls(text), path
    parsed = Page(page.read_text(encoding="utf-8", errors="surrogatepass"))
    assert "script" not in parsed.tags
    assert not any(row["setting"].startswith(("=", "+", "-", "@")) for row in table(tmp_path / "settings.csv"))


@pytest.mark.parametrize(("name", "seeds"), [("shapes", 8), ("bccd", 6), ("cards", 6)])
def test_the_ready_studies_are_sound(name: str, seeds: int) -> None:
    study = read_study(Path(__file__).parents[2] / "configs" / "studies" / f"{name}.yaml")
    assert (len(study.settings), len(study.seeds), len(study.pairs)) == (7, seeds, 6)


def test_a_wrong_job_of_ray_is_an_input_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(InputError, match="needs Ray: pip install"):
        on_ray._start_ray(None)


def test_without_an_address_ray_is_started_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray would join another study's cluster on the same machine."""
    addresses: list[str | None] = []

    def init(address: str | None, **_: object) -> None:
        addresses.append(address)
        if len(addresses) > 1:
            raise ConnectionError("no answer\nat all")

    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(init=init))
    on_ray._start_ray(None)
    with pytest.raises(InputError, match="--address here:1: no Ray cluster answers: no answer; check the address"):
        on_ray._start_ray("here:1")
    with pytest.raises(InputError, match="Ray does not start on this machine: no answer; leave out --engine ray"):
        on_ray._start_ray(None)
    assert addresses == ["local", "here:1", "local"]


def test_a_restarted_run_waits_for_the_process_of_the_dead_node(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_ray._wait_for_lock(tmp_path / "never begun")
    code = "import sys; from pathlib import Path; from anchorloc.engine.state.run_folder import RunLock; "
    code += "lock = RunLock(Path(sys.argv[1])); print('held', flush=True); sys.stdin.read()"
    words = [sys.executable, "-c", code, str(tmp_path)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        waits: list[float] = []

        def sleep(seconds: float) -> None:
            waits.append(seconds)
            if len(waits) == 3:
                other.kill()
                other.wait()

        monkeypatch.setattr(time, "sleep", sleep)
        with monkeypatch.context() as at_once:
            at_once.setattr(on_ray, "LOCK_SECONDS", 0.0)
            on_ray._wait_for_lock(tmp_path)  # the run then fails with its own sentence
        assert not waits
        on_ray._wait_for_lock(tmp_path)
    assert len(waits) == 3


def test_a_test_split_is_the_one_that_verdicts_are_on(tmp_path: Path) -> None:
    shapes = ShapesData(train_images=4, val_images=12, size=96)
    write_coco({split: shapes.open(split) for split in ("train", "val")}, tmp_path / "data")
    folder = tmp_path / "data" / "annotations"
    labels = json.loads((folder / "instances_val.json").read_text())
    kept = {image["id"] for image in labels["images"][:11]}
    part = {
        "images": [image for image in labels["images"] if image["id"] in kept],
        "annotations": [one for one in labels["annotations"] if one["image_id"] in kept],
    }
    (folder / "instances_test.json").write_text(json.dumps({**labels, **part}))
    train = {**COMMON["train"], "length": "1 iteration"}
    common = {**COMMON, "data": {"kind": "LabelData", "path": str(tmp_path / "data")}, "train": train}
    assert run(study_file(tmp_path, common=common), "--out", tmp_path / "out") == 0
    record = json.loads((tmp_path / "out" / "result.json").read_text(encoding="utf-8"))
    assert (record["split"], record["images"]) == ("test", 11)
    assert "which no split chose, scored on 11 test images" in (tmp_path / "out" / "study.md").read_text()
    for path in run_folders(tmp_path / "out").values():
        assert read_match_result(path).image_count == 11
    (folder / "instances_test.json").unlink()
    assert run(tmp_path / "study.yaml", "--out", tmp_path / "out") == 2
