"""One object an image: the numbers, the single-box network, what is refused, and whole runs."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

import anchorloc
from anchorloc import evaluate, train
from anchorloc.anchors import WholeImageAnchor
from anchorloc.assign import SingleObjectAssigner
from anchorloc.cli import run_command
from anchorloc.config import read_config
from anchorloc.data import OneShapeData, refuse_other_counts
from anchorloc.detector import Batch, Collate, DetectorSettings, SingleBoxLocalizer
from anchorloc.detector.coder import NormalizedCoder
from anchorloc.engine.system.log import read_log
from anchorloc.errors import InputError
from anchorloc.export import __main__ as export
from anchorloc.lab import __main__ as lab
from anchorloc.metrics import Localization
from anchorloc.report.localization import localization_warning
from anchorloc.structures import Detections, Sample, Target
from tests.data.data_sets import write_data_set
from tests.engine.small_runs import SMALL, small
from tests.lab.lab_cases import source_of

ONE = ["task=localization", "data={kind: OneShapeData, train_images: 24, val_images: 6, size: 96}"]
COLLAPSED = "have collapsed: their standard deviation is 3% of the ground truth's, and their mean IoU of"
CONSTANT = "are no better than the same box in every image: their mean IoU of"
SHORT = ["train.length=6 iterations", "train.validate_every=0.5"]


def found(box: list[float] | None, label: int = 0, image_id: int = 1) -> Detections:
    boxes = np.array([] if box is None else [box], np.float64).reshape(-1, 4)
    count = len(boxes)
    return Detections(boxes, np.full(count, 0.5), np.full(count, label), np.full(count, -1), image_id)


def truths(boxes: list[list[float]], labels: list[int]) -> list[Target]:
    return list(source_of([[box] for box in boxes], [[label] for label in labels]).targets)


@pytest.mark.parametrize(
    ("mean", "constant", "std", "expected"),
    [
        (0.6, 0.365, 0.3, None),
        (0.0, 0.365, 0.01, f"{COLLAPSED} 0.000 is below the 0.365 of one constant box"),
        (0.4, 0.365, 0.01, f"{COLLAPSED} 0.400 is only 0.035 above the 0.365 of one constant box"),
        (0.3, 0.365, 0.3, f"{CONSTANT} 0.300 is below the 0.365 of one constant box"),
        (0.365, 0.365, 0.3, f"{CONSTANT} 0.365 is equal to the 0.365 of one constant box"),
    ],
)
def test_the_warning_is_true_and_names_the_model(
    mean: float, constant: float, std: float, expected: str | None
) -> None:
    found = Localization(9, 0.5, 0.1, 0.5, mean, (0.6, 0.5, 0.4), constant, box_std=std, true_box_std=0.3)
    assert localization_warning(found, "a.pt") == (expected and f"the boxes of a.pt {expected}")


@given(st.integers(0, 2**32))
def test_the_coder_goes_there_and_back(seed: int) -> None:
    random = np.random.default_rng(seed)
    corners = random.random((5, 2)) * 50
    boxes = torch.from_numpy(np.concatenate([corners, corners + 1 + random.random((5, 2)) * 40], axis=1)).float()
    anchors = torch.tensor([[0.0, 0, 120, 90]]).expand(5, 4)
    numbers = NormalizedCoder().encode(boxes, anchors)
    torch.testing.assert_close(NormalizedCoder().decode(numbers, anchors), boxes, rtol=1e-5, atol=1e-4)
    torch.testing.assert_close(numbers[:, 0], boxes[:, [0, 2]].mean(dim=1) / 120)
    torch.testing.assert_close(numbers[:, 3], (boxes[:, 3] - boxes[:, 1]) / 90)


def batch_of(*targets: Target) -> Batch:
    image = np.zeros((64, 96, 3), np.uint8)
    samples = [
        Sample(image, target, place, (0.5, 0.5), (128, 192), (0, 0, 64, 96)) for place, target in enumerate(targets)
    ]
    return Collate(WholeImageAnchor(), SingleObjectAssigner(), 32)(samples)


def test_the_network_and_its_losses() -> None:
    torch.manual_seed(0)
    localizer = SingleBoxLocalizer(pool=2, hidden=16, box_weight=3.0)
    network = localizer(DetectorSettings(), classes=4).eval()
    (first,) = truths([[10, 10, 40, 30]], [2])
    (empty,) = source_of([[]]).targets
    batch = batch_of(first, empty)
    predictions = network(torch.randint(0, 256, (2, 3, 64, 96), dtype=torch.uint8))
    assert predictions.logits.shape == (2, 1, 4)
    assert predictions.deltas.shape == (2, 1, 4)
    assert 0 < predictions.deltas.min() <= predictions.deltas.max() < 1
    losses = localizer.losses(predictions, batch)
    truth = torch.tensor([25 / 96, 20 / 64, 30 / 96, 20 / 64])
    torch.testing.assert_close(losses["classification"], -predictions.logits[0, 0].log_softmax(0)[2])
    expected = F.smooth_l1_loss(predictions.deltas[0, 0], truth, beta=1 / 9, reduction="sum")
    torch.testing.assert_close(losses["box"], 3 * expected)
    one, other = localizer.decode(predictions, WholeImageAnchor()((64, 96)), batch.samples)
    assert (len(one), len(other), other.image_id) == (1, 1, 1)
    x, y, w, h = (predictions.deltas[0, 0] * torch.tensor([192.0, 128, 192, 128])).tolist()
    box = np.array([x - w / 2, y - h / 2, x + w / 2, y + h / 2]).clip(0, [192, 128, 192, 128])
    np.testing.assert_allclose(one.boxes[0], box, rtol=1e-4)
    assert one.scores[0] == pytest.approx(predictions.logits[0, 0].softmax(0).max().item())


def test_a_batch_without_an_object_trains_finitely() -> None:
    config = small(*ONE, "localizer={}")
    network = SingleBoxLocalizer()(config.detector, classes=4)
    (empty,) = source_of([[]]).targets
    predictions = network(torch.zeros(2, 3, 64, 96, dtype=torch.uint8))
    losses = config.method.losses(predictions, batch_of(empty, empty))
    total = losses["classification"] + losses["box"]
    total.backward()  # type: ignore[no-untyped-call]
    assert total.item() == 0
    assert all(p.grad is None or p.grad.isfinite().all() for p in network.parameters())


def test_a_crowd_is_no_object() -> None:
    crowd = source_of([[[0, 0, 9, 9], [10, 10, 40, 30]]], crowd=[[True, False]]).targets[0]
    assignment = SingleObjectAssigner()(WholeImageAnchor()((64, 96)), crowd.boxes, crowd.crowd)
    assert assignment.matched.tolist() == [1]
    np.testing.assert_array_equal(WholeImageAnchor()((64, 96)).boxes, [[0, 0, 96, 64]])


def test_scenes_of_one_shape_spread_as_asked() -> None:
    spreads = {}
    for spread in (0.0, 0.5, 1.0):
        source = OneShapeData(train_images=150, size=120, spread=spread).open("train")
        targets = [source.training_target(index) for index in range(150)]
        assert all(len(target) == 1 for target in targets)
        boxes = np.concatenate([target.boxes for target in targets])
        assert (boxes >= 0).all()
        assert (boxes <= 120).all()
        spreads[spread] = np.sqrt(boxes.var(axis=0).sum())
        painted = source.image(0)
        assert painted.shape == (120, 120, 3)
    assert spreads[0.0] == 0
    assert 20 < spreads[0.5] < 0.7 * spreads[1.0]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["localizer={}"], "localizer needs task=localization, but task is detection"),
        (["task=localization", "transform.augment.mosaic={}"], "mosaic shows several"),
        ([*ONE, "localizer={}", "transform.augment.multi_scale=[0.5, 1]"], "images of one size"),
        ([*ONE, "localizer={}", "detector.weights=some.pt"], "leave it out"),
        ([*ONE, "localizer={pool: 0}"], "need pool >= 1"),
        (["data={kind: OneShapeData, spread: 2}"], "spread must be from 0 to 1, got 2"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(words: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_config(None, words)


def test_data_with_more_or_fewer_objects_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = write_data_set(tmp_path / "set")
    words = ["task=localization", f"data={{kind: CocoData, root: '{root}'}}", "--out", str(tmp_path / "out")]
    assert run_command(train.main, words) == 2
    error = capsys.readouterr().err
    assert error == (
        "error: task=localization needs exactly one usable box per image, but train image 1, a.png, has 2; remove "
        "such images, or set task=detection\n"
    )
    assert not (tmp_path / "out").exists()
    refuse_other_counts(True, source_of([[[0, 0, 9, 9]]]), "val")
    with pytest.raises(InputError, match=r"has 0 \(and 1 more such image\)"):
        refuse_other_counts(True, source_of([[[0, 0, 9, 9]], [], []]), "val")
    refuse_other_counts(False, source_of([[], []]), "val")


def test_the_lab_has_nothing_to_inspect(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    for command in ("report", "fit"):
        assert run_command(lab.main, [command, *ONE, "localizer={}", "--out", str(tmp_path / command)]) == 2
        assert "without anchors" in capsys.readouterr().err
    sheet = tmp_path / "sheet.png"
    assert run_command(lab.main, ["sheet", *ONE, "localizer={}", "--images", "2", "--out", str(sheet)]) == 0
    assert "2 boxes, 0 without" in capsys.readouterr().out


@pytest.mark.parametrize("localizer", [[], ["localizer={hidden: 16, box: {kind: MSELoss}}"]])
def test_a_run_from_start_to_report(localizer: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "run"
    assert run_command(train.main, [*SMALL, *ONE, *SHORT, *localizer, "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert "top-1 LOC error" in said
    table = said[said.index("localization, 6 images") : said.index("report:")].splitlines()
    assert len(table) >= 13  # a number a line, none wrapped
    assert max(map(len, table)) <= 80
    record = json.loads((out / "localization.json").read_text(encoding="utf-8"))
    assert record["images"] == 6
    assert set(record["max_box_acc"]) == {"0.3", "0.5", "0.7"}
    validations = [row for row in read_log(out) if "val/AP" in row]
    assert all(0 <= row["val/mean_iou"] <= 1 and row["val/constant_iou"] > 0 for row in validations)
    again = tmp_path / "again"
    assert run_command(evaluate.main, [str(out / "best.pt"), "--out", str(again)]) == 0
    assert json.loads((again / "localization.json").read_text(encoding="utf-8")) == record
    metrics = json.loads((again / "metrics.json").read_text(encoding="utf-8"))
    assert metrics["counts"]["detections"] == 6  # one an image
    assert metrics["localization"] == record
    assert set(metrics["meanings"]["localization"]) == set(record) - {"images"}
    page, markdown = ((again / name).read_text(encoding="utf-8") for name in ("report.html", "report.md"))
    for name in ("top-1 LOC error", "CorLoc", "MaxBoxAcc 0.7", "constant box", "spread"):
        assert f"<dt>{name}</dt>" in page
        assert f"| {name} |" in markdown
    values = [record[key] for key in ("top1_loc_error", "mean_iou", "constant_iou")]
    for value in (*values, *record["max_box_acc"].values()):
        assert f'<dd class="value">{value:.3f}</dd>' in page
        assert f" {value:.3f} |" in markdown
    model = anchorloc.load(out / "best.pt")
    assert [len(one) for one in model([np.zeros((96, 96, 3), np.uint8), np.full((50, 90, 3), 200, np.uint8)])] == [1, 1]
    if localizer:
        exported = tmp_path / "model.onnx"
        assert run_command(export.main, [str(out / "best.pt"), str(exported)]) == 0
        assert "6 detections" in capsys.readouterr().out
        of_onnx = anchorloc.load(exported)
        ours, theirs = (one(OneShapeData(1, 1, 96).open("val").image(0)) for one in (model, of_onnx))
        np.testing.assert_allclose(theirs.boxes, ours.boxes, atol=1e-2)
        np.testing.assert_allclose(theirs.scores, ours.scores, atol=1e-4)
        assert (theirs.labels.tolist(), theirs.anchors.tolist()) == (ours.labels.tolist(), [-1])
        with pytest.raises(InputError, match="takes images of 96 x 96 px alone, but one has 64 x 96 px"):
            of_onnx(np.full((50, 90, 3), 200, np.uint8))
        assert run_command(evaluate.main, [str(exported), "--out", str(tmp_path / "of-file")]) == 0
        of_file = json.loads((tmp_path / "of-file" / "localization.json").read_text(encoding="utf-8"))
        assert of_file.pop("max_box_acc") == record.pop("max_box_acc")
        assert of_file == pytest.approx(record, abs=1e-4)


def test_collapse_is_told_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    frozen = ["localizer={}", "train.optimizer.learning_rate=1e-9", "train.length=18 iterations"]
    assert run_command(train.main, [*SMALL, *ONE, *SHORT, *frozen, "--out", str(tmp_path / "run")]) == 0
    said = capsys.readouterr().out
    assert said.count("have collapsed") == 2  # once in training, once above the final numbers
    assert re.search(r"warning: the boxes of the weights of step \d+ have collapsed: ", said)
    [final] = re.findall(r"warning: (the boxes of best.pt, from step \d+, have collapsed: .*)", said)
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text(encoding="utf-8"))
    assert final in metrics["warnings"]
    assert final[:40] in (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert final[:16] in (tmp_path / "run" / "report.md").read_text(encoding="utf-8")
    judged = anchorloc.evaluate.run(tmp_path / "run", out=tmp_path / "again")
    assert [one for one in judged.warnings if f"the boxes of {tmp_path / 'run' / 'best.pt'} have collapsed" in one]
    rows = [row for row in read_log(tmp_path / "run") if "val/collapsed" in row]
    assert len(rows) > 3
    assert rows[-1]["val/collapsed"] == 1
