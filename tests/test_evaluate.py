"""The command, from its files to its exit status."""

from __future__ import annotations

import errno
import importlib.util
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from anchorloc import __main__ as console
from anchorloc import evaluate
from anchorloc.cli import run_command
from anchorloc.data import ShapesData
from anchorloc.data.coco_export import write_coco
from anchorloc.errors import InputError
from anchorloc.text import printable
from tests.detector.random_models import save_random
from tests.python_processes import without_torch

BOX = [10, 10, 20, 20]
TRUTH: dict[str, Any] = {
    "images": [{"id": "a", "file_name": "a.png", "height": 40, "width": 60}],
    "categories": [{"id": 0, "name": "cell"}, {"id": 5, "name": "dot \x1b[2J"}],
    "annotations": [{"id": 0, "image_id": "a", "category_id": 0, "bbox": BOX}],  # id 0, no area, no iscrowd
}
FOUND = [{"image_id": "a", "category_id": 0, "bbox": BOX, "score": 0.75}]


def files(folder: Path, truth: Any = TRUTH, found: Any = FOUND) -> list[str]:
    """Write both files and return the arguments that name them."""
    (folder / "truth.json").write_text(json.dumps(truth))
    (folder / "found.json").write_text(json.dumps(found))
    paths = {"detections": "found.json", "annotations": "truth.json", "out": "report"}
    return [f"--{option}={folder / name}" for option, name in paths.items()]


def summary(folder: Path) -> dict[str, float | None]:
    numbers: dict[str, float | None] = json.loads((folder / "report" / "metrics.json").read_text())["summary"]
    return numbers


def python(*arguments: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    variables = {**os.environ, **environment}
    return subprocess.run([sys.executable, *arguments], capture_output=True, check=False, env=variables)


def test_files_in_report_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Image.new("RGB", (60, 40), "teal").save(tmp_path / "a.png")
    assert run_command(evaluate.main, [*files(tmp_path), f"--images={tmp_path}"]) == 0
    tables = ["classes.csv", "confusion.csv", "curves.csv", "errors.csv", "images.csv", "slices.csv"]
    written = sorted(path.name for path in (tmp_path / "report").iterdir())
    assert written == sorted([*tables, "metrics.json", "report.html", "report.md"])
    assert summary(tmp_path)["AP"] == pytest.approx(1)
    assert summary(tmp_path)["APm"] is None
    assert "data:image/jpeg" in (tmp_path / "report" / "report.html").read_text()
    out, err = capsys.readouterr()
    assert str(tmp_path / "report" / "report.html") in out
    assert "\x1b" not in out
    assert "1 annotation has no iscrowd" in err
    assert "1 annotation has no area" in err


def test_the_published_numbers(real_data: Path, tmp_path: Path) -> None:
    folder = real_data / "coco128"
    arguments = [
        f"--detections={folder / 'detections' / 'yolox_nano_416.json'}",
        f"--annotations={folder / 'annotations' / 'instances_val.json'}",
        f"--out={tmp_path / 'report'}",
    ]
    assert evaluate.main(arguments) == 0
    numbers = [f"{value:.4f}" for value in summary(tmp_path).values() if value is not None]
    published = "0.3407 0.5020 0.3741 0.1186 0.2849 0.4943 0.2880 0.4583 0.4684 0.1691 0.3960 0.6240"
    assert " ".join(numbers) == published


def test_pycocotools_itself_gives_the_same_report(tmp_path: Path) -> None:
    reports = []
    for scorer in ("anchorloc", "pycocotools"):
        words = [word for word in files(tmp_path) if not word.startswith("--out")]
        assert run_command(evaluate.main, [*words, f"--scorer={scorer}", f"--out={tmp_path / scorer}"]) == 0
        reports.append(json.loads((tmp_path / scorer / "metrics.json").read_text()))
    assert [report.pop("facts")["scorer"].split()[0] for report in reports] == ["anchorloc", "pycocotools"]
    assert reports[0] == reports[1]
    with pytest.raises(InputError, match="scorer must be one of anchorloc, pycocotools, got 'coco'"):
        evaluate.run(scorer="coco")  # type: ignore[arg-type]


def test_empty_results_are_ap_0(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate.main(files(tmp_path, found=[])) == 0
    assert summary(tmp_path)["AP"] == 0
    assert "there are no detections" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("limit", "names"), [("300", ["AR1", "AR10", "AR300"]), ("10", ["AR1", "AR10"]), ("1", ["AR1"])]
)
def test_another_limit_gives_ap(tmp_path: Path, limit: str, names: list[str]) -> None:
    assert evaluate.main([*files(tmp_path), f"--max-detections={limit}"]) == 0
    assert summary(tmp_path)["AP"] == pytest.approx(1)
    assert [name for name in summary(tmp_path) if name[2:].isdigit() and name.startswith("AR")] == names


def test_nothing_is_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = files(tmp_path)
    assert evaluate.main(arguments) == 0
    page = (tmp_path / "report" / "report.html").read_bytes()
    assert run_command(evaluate.main, arguments) == 2
    assert "exists already; give another --out" in capsys.readouterr().err
    assert (tmp_path / "report" / "report.html").read_bytes() == page


def test_the_default_folder_is_new(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert evaluate.main(files(tmp_path)[:2]) == 0
    [folder] = (tmp_path / "runs").iterdir()
    assert folder.name.startswith("evaluate-")
    assert (folder / "report.html").is_file()


@pytest.mark.parametrize(
    ("truth", "found", "words"),
    [
        (TRUTH, [{**FOUND[0], "image_id": "b"}], "'b'"),
        (TRUTH, [{**FOUND[0], "category_id": 7}], "7"),
        (TRUTH, [{**FOUND[0], "score": 1.5}], "1.5"),
        (TRUTH, [{**FOUND[0], "bbox": [0, 0, -1, 1]}], "-1"),
        (TRUTH, {}, "found.json"),
        ([], FOUND, "truth.json"),
        ({**TRUTH, "images": []}, FOUND, "images"),
    ],
)
def test_bad_input_is_one_sentence_and_leaves_no_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], truth: Any, found: Any, words: str
) -> None:
    assert run_command(evaluate.main, files(tmp_path, truth, found)) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert words in err
    assert not (tmp_path / "report").exists()


def test_the_ground_truth_may_be_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = [{"image_id": 1, "category_id": 1, "bbox": BOX, "score": 0.75}]
    words = files(tmp_path, found=found)
    folder = tmp_path / "labels"
    folder.mkdir()
    Image.new("RGB", (60, 40)).save(folder / "a.png")
    (folder / "labels.csv").write_text("a.png,10,10,30,30,cell\n")
    words[1] = f"--annotations={folder}"
    assert run_command(evaluate.main, [*words, "--resamples=0"]) == 0, capsys.readouterr().err
    assert summary(tmp_path)["AP"] == pytest.approx(1)


def test_overrides_need_a_checkpoint(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(evaluate.main, [*files(tmp_path), "decode.nms_iou=0.5"]) == 2
    assert "overrides do not apply to --detections; remove decode.nms_iou=0.5" in capsys.readouterr().err
    assert run_command(evaluate.main, [*files(tmp_path), f"--images={tmp_path}", "decode.nms_iou=0.5"]) == 2
    assert "no such setting, only data.max_pixels, data.orientation" in capsys.readouterr().err


def test_settings_of_images_apply_to_the_pictures_of_a_report(tmp_path: Path) -> None:
    image = TRUTH["images"][0]
    Image.new("RGB", (image["width"], image["height"])).save(tmp_path / image["file_name"])
    number = image["width"] * image["height"]
    words = [*files(tmp_path)[:2], f"--images={tmp_path}"]
    for name, limit, shown in (("a", number - 1, False), ("b", number, True)):
        assert evaluate.main([*words, f"--out={tmp_path / name}", f"data.max_pixels={limit}"]) == 0
        assert ("could not be read" in (tmp_path / name / "report.md").read_text()) is not shown


def test_settings_that_only_training_reads_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save_random(tmp_path / "best.pt")
    for word in ("train.seed=1", "loss.box_weight=2", "transform.augment.horizontal_flip=0"):
        assert run_command(evaluate.main, [str(tmp_path / "best.pt"), word]) == 2
        assert f"'{word}': only training reads {word.partition('=')[0]}" in capsys.readouterr().err


def test_missing_paths_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = files(tmp_path)
    assert run_command(evaluate.main, [*arguments, f"--images={tmp_path / 'nowhere'}"]) == 2
    assert "nowhere does not exist" in capsys.readouterr().err
    (tmp_path / "file").touch()
    assert run_command(evaluate.main, [*arguments[:2], f"--out={tmp_path / 'file' / 'report'}"]) == 2
    assert "give another --out" in capsys.readouterr().err


def test_images_that_cannot_be_read_are_told_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    images = [{**TRUTH["images"][0], "id": name, "file_name": f"{name}.png"} for name in "abc"]
    arguments = [*files(tmp_path, {**TRUTH, "images": images}), f"--images={tmp_path}"]
    assert evaluate.main(arguments) == 0
    [line] = [line for line in capsys.readouterr().err.splitlines() if "a.png" in line]
    assert "3 images could not be read and are not shown, e.g." in line
    assert "a.png" in (tmp_path / "report" / "report.md").read_text()


@pytest.mark.parametrize("value", ["0", "-1", "1.5", "x"])
def test_a_limit_is_a_whole_number(tmp_path: Path, value: str) -> None:
    with pytest.raises(SystemExit, match="2"):
        evaluate.main([*files(tmp_path), f"--max-detections={value}"])


def test_the_console_command_is_the_module(tmp_path: Path) -> None:
    assert console.main(["evaluate", *files(tmp_path)]) == 0
    assert (tmp_path / "report" / "report.html").is_file()


@pytest.mark.parametrize("extra", ["", "anchorloc.lab"])
def test_result_files_are_scored_without_torch(tmp_path: Path, extra: str) -> None:
    """The check is checked: a module that the command does not load, imported first, fails it."""
    code = (
        f"import sys{', ' if extra else ''}{extra}\n"
        "from anchorloc.__main__ import main\n"
        "status = main(sys.argv[1:])\n"
        "loaded = [name for name in ('torch', 'anchorloc.lab', 'anchorloc.detector.model') if name in sys.modules]\n"
        "sys.exit(status or (f'loaded: {loaded}' if loaded else 0))"
    )
    done = without_torch().run(code, "evaluate", *files(tmp_path))
    assert (tmp_path / "report" / "metrics.json").is_file(), done.stderr
    if extra:
        assert (done.returncode, extra in done.stderr) == (1, True)
    else:
        assert done.returncode == 0, done.stderr


def test_an_ascii_terminal_gets_escapes() -> None:
    code = "from anchorloc.cli import run_command; run_command(lambda argv: print('IoU \u2265 0.5') or 0)"
    done = python("-c", code, PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stdout.strip()) == (0, b"IoU \\u2265 0.5")


def test_help_imports_next_to_nothing() -> None:
    code = "import sys; from anchorloc.__main__ import main; main(['--help']); sys.exit('numpy' in sys.modules)"
    done = python("-c", code)
    assert done.returncode == 0
    assert all(name.encode() in done.stdout for name in console.COMMANDS)


@pytest.mark.parametrize("name", console.COMMANDS)
def test_every_command_has_its_module(name: str) -> None:
    assert importlib.util.find_spec(f"anchorloc.{name}") is not None


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["evalute"], 2, "did you mean 'evaluate'?"),
        (["zzz"], 2, "train, evaluate, predict"),
        (["--version"], 0, "anchorloc 0."),
        ([], 0, "usage: anchorloc COMMAND"),
    ],
)
def test_the_console_command(capsys: pytest.CaptureFixture[str], arguments: list[str], status: int, words: str) -> None:
    assert console.main(arguments) == status
    captured = capsys.readouterr()
    assert words in (captured.err if status else captured.out)


@pytest.mark.parametrize(
    ("error", "status", "words"),
    [
        (InputError("a\nb\x1b"), 2, "error: a\\nb\\x1b\n"),
        (KeyboardInterrupt(), 130, "interrupted\n"),
        (MemoryError(), 2, "error: memory ran out; end other programs, or give fewer or smaller files\n"),
        (
            MemoryError("Unable to allocate 7.45 GiB\nfor an array"),
            2,
            "error: memory ran out (Unable to allocate 7.45 GiB); end other programs, or give fewer or smaller files\n",
        ),
        (
            RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 4 bytes"),
            2,
            "error: memory ran out ([enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 4 "
            "bytes); end other programs, or give fewer or smaller files\n",
        ),
    ],
)
def test_what_a_command_makes_of_an_error(
    capsys: pytest.CaptureFixture[str], error: BaseException, status: int, words: str
) -> None:
    def command(_argv: Sequence[str] | None) -> int:
        raise error

    assert run_command(command, []) == status
    assert capsys.readouterr().err == words


def test_a_bug_keeps_its_traceback() -> None:
    def command(_argv: Sequence[str] | None) -> int:
        raise ValueError("a bug")

    with pytest.raises(ValueError, match="a bug"):
        run_command(command, [])


def test_a_closed_pipe_is_quiet() -> None:
    code = (
        "import sys\nfrom anchorloc.cli import run_command\n"
        "sys.exit(run_command(lambda argv: print('x' * 100_000) or 0))"
    )
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([sys.executable, "-c", code], stdout=writer, stderr=subprocess.PIPE, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_output_that_cannot_be_written_is_one_sentence() -> None:
    code = "import sys\nfrom anchorloc.cli import run_command\nsys.exit(run_command(lambda argv: print('x') or 0))"
    for stdout, status, words in (
        (">/dev/full", 2, "error: the output cannot be written: No space left on device\n"),
        (">&-", 0, ""),
    ):
        line = shlex.join([sys.executable, "-c", code]) + f" {stdout}"
        done = subprocess.run(line, shell=True, stderr=subprocess.PIPE, text=True, check=False)
        assert (done.returncode, done.stderr) == (status, words)


def test_what_else_the_system_refuses_is_not_taken_for_the_output() -> None:
    def fail(argv: object) -> int:
        raise OSError(errno.ENOMEM, "Cannot allocate memory")

    with pytest.raises(OSError, match="Cannot allocate memory"):
        run_command(fail, [])


def test_a_path_that_the_system_refuses_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    name = 300 * "x"
    assert run_command(evaluate.main, [name, f"--out={name}"]) == 2
    assert capsys.readouterr().err == f"error: '{name}' cannot be used: File name too long\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain text", "plain text"),
        ("Zelle für Größe, 細胞, خلية", "Zelle für Größe, 細胞, خلية"),
        ("👩‍👧", "👩‍👧"),
        ("a\tb\x00\x7f\x9b", "a\\tb\\x00\\x7f\\x9b"),
        ("\u202e\u2066\ufeff\u00ad", "\\u202e\\u2066\\ufeff\\xad"),
        ("\udc80\u2028", "\\udc80\\u2028"),
    ],
)
def test_printable(text: str, expected: str) -> None:
    assert printable(text) == expected


def test_truth_as_detections_is_reported_as_clean(real_data: Path, tmp_path: Path) -> None:
    """Of real data, whose boxes of one class in one image are fewer than 100."""
    truth = json.loads((real_data / "coco128" / "annotations" / "instances_val.json").read_text())
    truth["annotations"] = [one for one in truth["annotations"] if min(one["bbox"][2:]) > 0]
    found = [
        {key: one[key] for key in ("image_id", "category_id", "bbox")} | {"score": 1.0} for one in truth["annotations"]
    ]
    assert evaluate.main([*files(tmp_path, truth, found), "--resamples=10"]) == 0
    record = json.loads((tmp_path / "report" / "metrics.json").read_text())
    assert record["summary"]["AP"] == pytest.approx(1)
    assert {one["count"] for one in record["analysis"]["errors"].values()} == {0}
    assert record["analysis"]["intervals"]["AP"] is None  # all resamples agree
    with (tmp_path / "report" / "images.csv").open() as file:
        assert {line.rsplit(",", 1)[1].strip() for line in file} == {"F1", "1"}


@pytest.mark.parametrize("option", ["--resamples=-1", "--resamples=x", "--seed=1.5", "--precision=0", "--precision=2"])
def test_an_option_out_of_range_is_refused(tmp_path: Path, option: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        evaluate.main([*files(tmp_path), option])
    assert "need a" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("precision", "sentence"),
    [
        ("1", "At score ≥ 0.9000, the threshold of greatest recall at precision 1, 50% of the boxes are found"),
        ("0.6", "At score ≥ 0.5000, the threshold of greatest recall at precision 0.6, 100% of the boxes are found"),
    ],
)
def test_the_threshold_of_a_wished_precision_is_printed(
    tmp_path: Path, precision: str, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    box = TRUTH["annotations"][0]
    truth = {**TRUTH, "annotations": [{**box, "id": place, "bbox": [20 * place, 0, 15, 15]} for place in (0, 1)]}
    scores = {0: 0.9, 1: 0.5, 2: 0.7}  # by place; nothing lies at the third
    found = [{**FOUND[0], "bbox": [20 * place, 0, 15, 15], "score": score} for place, score in scores.items()]
    assert evaluate.main([*files(tmp_path, truth, found), f"--precision={precision}"]) == 0
    pages = [(tmp_path / "report" / name).read_text() for name in ("report.html", "report.md")]
    for text in (capsys.readouterr().out, *pages):
        assert sentence in " ".join(text.split())


def test_a_precision_that_no_threshold_reaches_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wrong = {**FOUND[0], "bbox": [30, 0, 15, 15], "score": 0.9}
    assert evaluate.main([*files(tmp_path, TRUTH, [wrong, *FOUND]), "--precision=0.9"]) == 0
    assert "No score threshold reaches precision 0.9 over all classes." in capsys.readouterr().out


def test_resamples_are_seeded_and_can_be_left_out(tmp_path: Path) -> None:
    truth = {**TRUTH, "images": [{**TRUTH["images"][0], "id": name, "file_name": name} for name in "abcdefghijkl"]}
    annotation = TRUTH["annotations"][0]
    truth["annotations"] = [{**annotation, "id": i, "image_id": name} for i, name in enumerate("abcdefghijkl")]
    arguments = files(tmp_path, truth, [{**FOUND[0], "image_id": name} for name in "abdgjk"])

    def intervals(name: str, *options: str) -> Any:
        assert evaluate.main([*arguments[:2], f"--out={tmp_path / name}", *options]) == 0
        return json.loads((tmp_path / name / "metrics.json").read_text())["analysis"]["intervals"]

    first = intervals("a", "--resamples=20", "--seed=7")
    assert first == intervals("b", "--resamples=20", "--seed=7")
    assert first != intervals("c", "--resamples=20", "--seed=8")
    assert first["AP"][0] < 0.5 < first["AP"][1]
    assert intervals("d", "--resamples=0") is None


def test_ignore_is_refused_and_never_dropped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """pycocotools overwrites the flag by iscrowd."""
    truth = {**TRUTH, "annotations": [{**TRUTH["annotations"][0], "ignore": 1}]}
    assert run_command(evaluate.main, files(tmp_path, truth)) == 2
    assert "ignore 1 has no effect in COCO scoring; set iscrowd to 1" in capsys.readouterr().err
    truth["annotations"][0]["iscrowd"] = 1
    assert evaluate.main(files(tmp_path, truth)) == 0
    assert summary(tmp_path)["AP"] is None


def test_a_broken_image_is_told_and_the_others_judged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = tmp_path / "data"
    shapes = ShapesData(train_images=1, val_images=4, size=96)
    write_coco({"val": shapes.open("val")}, root)
    first, second = sorted((root / "images").iterdir())[:2]
    data = f"data={{kind: CocoData, root: '{root}', train: annotations/instances_val.json}}"
    words = [str(save_random(tmp_path / "best.pt", data)), "--resamples=5"]
    assert run_command(evaluate.main, [*words, f"--out={tmp_path / 'whole'}"]) == 0
    capsys.readouterr()
    first.write_bytes(first.read_bytes()[:-400])  # its header is as good as before
    assert run_command(evaluate.main, [*words, f"--out={tmp_path / 'one'}"]) == 1
    out, err = capsys.readouterr()
    assert "3 images" in out
    assert "warning: left out of all numbers: 1 unreadable image" in err
    assert err.count("error:") == 1
    assert first.name in err.splitlines()[-1]
    second.write_text("no image")
    assert run_command(evaluate.main, [*words, f"--out={tmp_path / 'two'}"]) == 1
    assert capsys.readouterr().err.count("error:") == 2
    record = json.loads((tmp_path / "two" / "metrics.json").read_text())
    assert record["counts"]["images"] == 2
    names = [f"{name}," for name in (first.name, second.name)]
    assert not any(name in (tmp_path / "two" / "images.csv").read_text() for name in names)
    for path in (root / "images").iterdir():
        path.write_text("no image")
    assert run_command(evaluate.main, [*words, f"--out={tmp_path / 'none'}"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
