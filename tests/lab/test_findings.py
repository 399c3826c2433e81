"""Findings name the right groups, and the figures of their changes are true."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from anchorloc.anchors import AnchorGenerator, TorchvisionAnchors
from anchorloc.assign import ATSSAssigner, MaxIoUAssigner
from anchorloc.config import config_from_plain, to_plain
from anchorloc.detector import DetectorSettings, FeaturePyramid, ResidualBackbone, TorchvisionBackbone
from anchorloc.errors import InputError
from anchorloc.lab import weak_groups
from anchorloc.lab.anchor_coverage import measure_coverage
from anchorloc.lab.findings import Finding, coverage_findings, coverage_sentence
from anchorloc.lab.network_views import NetworkViews
from anchorloc.lab.suggestions import ConfigChange, anchor_changes, assigner_changes, build_error
from anchorloc.text import percent
from tests.lab.lab_cases import config_of, source_of, views_of

SQUARES = AnchorGenerator(strides=(8, 16), scales=(4.0,), height_to_width=(1.0,))  # 32 and 64 px
DETECTOR = DetectorSettings(ResidualBackbone((8, 8, 8), (1, 1, 1), first_stride=8), FeaturePyramid(8))


def scene(small: int, flat: int, good: int) -> NetworkViews:
    """Boxes of class 1 and 12 px, of class 0 and 64 x 16 px, and of class 0 and 32 px; one an image."""
    boxes = [[[20.0, 20, 32, 32]]] * small + [[[20.0, 20, 84, 36]]] * flat + [[[12.0, 12, 44, 44]]] * good
    labels = [[1]] * small + [[0]] * (flat + good)
    return views_of(source_of(boxes, labels), anchors=SQUARES, detector=DETECTOR)


def said(views: NetworkViews) -> list[Finding]:
    return coverage_findings(measure_coverage(views))


def sentence_on(views: NetworkViews, most: int = 1000) -> str:
    return coverage_sentence(measure_coverage(views.subset(most), rescue_curve=False), len(views))


def test_a_weak_group_is_named_with_a_change_that_helps() -> None:
    first, second, *_ = said(scene(small=20, flat=0, good=80))
    assert first.sentence.startswith(
        "100% of boxes of 8-16 px (20 of 20) have no positive anchor: a box of their median size, 12 x 12 px, reaches "
        "IoU 0.14 at most, with the anchor of 32 x 32 px. "
    )
    assert "to 100% of them" in first.sentence
    assert "from 80.0% to 100%" in first.sentence
    assert "anchors per image would change from 280 to 504." in first.sentence
    assert first.settings == ("anchors.scales=[[4.0, 1.5], [4.0]]",)
    assert second.sentence.startswith("20.0% of boxes (20 of 100) have no positive anchor: ")
    assert second.settings == ("assign.rescue_iou=0.1",)


def test_the_figures_are_those_of_the_changed_config() -> None:
    views = scene(small=15, flat=25, good=60)
    findings = [finding for finding in said(views) if finding.settings]
    assert len(findings) >= 3
    for finding in findings:
        changed = config_from_plain(to_plain(views.config), "test", finding.settings)
        after = measure_coverage(replace(views, config=changed), rescue_curve=False)
        assert f" to {percent(after.assigned)}" in finding.sentence
        if "anchors per image" in finding.sentence:
            assert finding.sentence.endswith(f" to {after.anchors_per_image:,.0f}.")


def test_missing_proportions_are_named() -> None:
    first = said(scene(small=0, flat=30, good=70))[0]
    assert first.sentence.startswith("100% of boxes of height/width 0.25-0.5 (30 of 30) have no positive anchor: ")
    assert first.settings == ("anchors.height_to_width=[1.0, 0.25]",)


def test_proportions_and_size_may_both_be_missing() -> None:
    """A wide box of twice the size: a change of either alone helps none."""
    views = views_of(
        source_of([[[10.0, 40, 110, 65]]] * 20), anchors=replace(SQUARES, scales=(1.0,)), detector=DETECTOR
    )
    first = said(views)[0]
    assert first.settings == ("anchors.scales=[[1.0], [1.0, 3.12]]", "anchors.height_to_width=[1.0, 0.25]")
    assert "(scale 3.12)" in first.sentence
    assert "height/width 0.25 on every level would give one to 100%" in first.sentence


def test_where_all_boxes_have_an_anchor_a_poor_one_is_a_finding() -> None:
    views = scene(small=20, flat=0, good=80)
    views = replace(views, config=config_of(anchors=SQUARES, assign=ATSSAssigner(), detector=DETECTOR))
    first = said(views)[0]
    assert first.sentence.startswith("100% of boxes of 8-16 px (20 of 20) have no anchor of IoU >= 0.5: ")


def test_the_share_is_printed_before_a_training() -> None:
    views = scene(small=20, flat=0, good=80)
    assert sentence_on(views) == "80 of 100 boxes have a positive anchor (80.0%)"
    assert sentence_on(views, 10).startswith("8 of 10 boxes in 10 of the images ")
    assert sentence_on(scene(0, 0, 7)) == "7 of 7 boxes have a positive anchor"


def test_no_weak_group_is_a_finding_too() -> None:
    (only,) = said(views_of(source_of([[[12, 12, 44, 44]]] * 20), anchors=replace(SQUARES, strides=(8,))))
    assert only.settings == ()
    assert only.sentence.startswith("100% of 20 boxes have a positive anchor, and 100% ")
    (nothing,) = said(views_of(source_of([[]])))
    assert "no box" in nothing.sentence


@pytest.mark.parametrize("assigner", [MaxIoUAssigner(), ATSSAssigner()])
@pytest.mark.parametrize(("small", "good"), [(1, 0), (3, 0), (4, 30), (9, 300)])
def test_a_shortage_is_named_at_any_count_of_boxes(assigner: Any, small: int, good: int) -> None:
    views = scene(small, 0, good)
    views = replace(views, config=replace(views.config, assign=assigner))
    found = said(views)
    start = f"{percent(small / (small + good))} of boxes ({small} of {small + good}) have no "
    assert found[0].sentence.startswith(start)
    assert "median size, 12 x 12 px, reaches IoU 0.14 at most, with the anchor of 32 x 32 px" in found[0].sentence
    assert found[0].settings == ("anchors.scales=[[4.0, 1.5], [4.0]]",)


def test_few_unassigned_boxes_do_not_hide_a_low_recall() -> None:
    """One of 150 boxes has no positive anchor, which is no group; the others have a poor one."""
    sides = [3.0, *[22.0] * 149]
    assign = MaxIoUAssigner(0.4, 0.3)
    boxes = [[[28 - side / 2, 28 - side / 2, 28 + side / 2, 28 + side / 2]] for side in sides]
    first = said(views_of(source_of(boxes), anchors=SQUARES, detector=DETECTOR, assign=assign))[0]
    assert first.sentence.startswith("100% of boxes (150 of 150) have no anchor of IoU >= 0.5: ")


def test_a_low_recall_is_named_beside_boxes_without_an_anchor() -> None:
    """Strips that ATSS gives to poor anchors where the center of one is near: a finer level helps only that."""
    tops = [18.0, 20.0] * 10
    strips = [[[4.0 * n, top, 4.0 * n + 17, top + 4]] for n, top in enumerate(tops)]  # an image each
    found = said(views_of(source_of(strips), anchors=SQUARES, detector=DETECTOR, assign=ATSSAssigner()))
    assert " have no positive anchor: " in found[0].sentence
    recall = [one for one in found if "100% of boxes (20 of 20) have no anchor of IoU >= 0.5: " in one.sentence]
    assert len(recall) == 1
    assert "a box of their median size, 17 x 4 px, reaches IoU 0.07 at most" in recall[0].sentence
    keys = [setting.partition("=")[0] for setting in recall[0].settings]
    assert keys == ["anchors.scales", "anchors.height_to_width"]


def test_the_typical_box_of_wide_and_high_ones_is_one_of_them() -> None:
    """The medians of their widths and heights are 4 x 4 px."""
    boxes = [[[4.0, 20, 54, 24]], [[20.0, 4, 24, 54]]] * 10 + [[[20.0, 20, 24, 24]]]
    views = views_of(source_of(boxes), anchors=SQUARES, detector=DETECTOR, assign=MaxIoUAssigner(rescue_iou=1))
    first = said(views)[0]
    assert re.search(r"a box of their median area, (50 x 4|4 x 50) px, reaches IoU", first.sentence), first.sentence


def test_the_cause_is_the_cells_or_other_boxes_where_a_shape_fits() -> None:
    coarse = AnchorGenerator(strides=(32,), scales=(0.375,), height_to_width=(1.0,))
    first = said(views_of(source_of([[[26.0, 26, 38, 38]]] * 12), anchors=coarse))[0]
    assert ": the anchor of 12 x 12 px fits their median size, 12 x 12 px, but the centers of" in first.sentence
    assert "are 32 px apart" in first.sentence
    pile = [[[n / 8, 0.0, 32.0 + n / 8, 32.0] for n in range(12)]]
    crowd = said(views_of(source_of(pile), anchors=replace(SQUARES, strides=(32,), scales=(1.0,))))
    assert any(": other boxes have their anchors. " in one.sentence for one in crowd)


def test_where_no_change_helps_another_is_named() -> None:
    """Cells too coarse for a network of these levels; and anchors that cannot change."""
    views = views_of(source_of([[[26.0, 26, 29, 29]]] * 12), anchors=AnchorGenerator((64,), (2.0,), (1.0,)))
    sentences = [one.sentence for one in said(views)]
    assert any("`anchorloc lab fit`" in one for one in sentences)
    fixed = views_of(source_of([[[26.0, 26, 29, 29]]] * 12), anchors=TorchvisionAnchors(((32,),), ((1.0,),)))
    assert "anchors.kind=TorchvisionAnchors are fixed: resize images" in said(fixed)[0].sentence


def test_many_images_are_sampled_for_trials_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weak_groups, "MAX_TRIAL_IMAGES", 10)
    first = said(scene(small=20, flat=0, good=80))[0]
    assert first.sentence.startswith("100% of boxes of 8-16 px (20 of 20)")
    assert "would give one to 100% of them" in first.sentence


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        (
            {"anchors": SQUARES, "detector": DETECTOR},
            ["anchors.scales=[[4.0, 1.5], [4.0]]", "anchors.strides=[4, 8, 16]"],
        ),
        (
            {"anchors": AnchorGenerator(strides=(8,), shapes=(((32, 32),),)), "detector": DETECTOR},
            ["anchors.shapes=[[[32, 32], [12.0, 12.0]]]", "anchors.strides=[4, 8]"],
        ),
        (
            {"anchors": AnchorGenerator(strides=(4,), scales=((4,),), height_to_width=(3,))},
            ["anchors.scales=[[4, 3.0]]"],
        ),
        (
            {"anchors": SQUARES, "detector": DetectorSettings(TorchvisionBackbone(strides=(8, 16)))},
            ["anchors.scales=[[4.0, 1.5], [4.0]]", "anchors.strides=[4, 8, 16]"],
        ),
    ],
)
def test_changes_fit_the_form_of_the_anchors(parts: dict[str, Any], expected: list[str]) -> None:
    config = config_of(**parts)
    boxes = measure_coverage(views_of(source_of([[[20, 20, 32, 32]]]), **parts)).boxes
    changes = list(anchor_changes(config, boxes))
    settings = [setting for change in changes for setting in change.settings]
    assert [text for text in expected if text not in settings] == []
    for change in changes:
        changed = change.apply(config)
        assert changed.anchors != config.anchors
        assert len(changed.anchors.strides) in (len(config.anchors.strides), len(config.anchors.strides) + 1)


def test_a_finer_level_must_fit_the_network() -> None:
    config = config_of(anchors=SQUARES, detector=DETECTOR)
    finer = list(anchor_changes(config, measure_coverage(scene(1, 0, 0)).boxes))[-1].apply(config)
    assert list(finer.anchors.strides) == [4, 8, 16]
    assert build_error(finer) is None
    assert "do not fit the feature maps" in str(build_error(replace(finer, detector=DETECTOR)))


def test_changes_of_the_assigner() -> None:
    boxes = measure_coverage(scene(1, 0, 0)).boxes
    assert [c.settings for c in assigner_changes(config_of(), boxes)] == [
        ("assign.rescue_iou=0.1",),
        ("assign={kind: ATSSAssigner}",),
    ]
    assert len(list(assigner_changes(config_of(assign=MaxIoUAssigner(rescue_iou=0.1)), boxes))) == 1
    assert list(assigner_changes(config_of(assign=ATSSAssigner()), boxes)) == []


def test_a_change_that_a_config_does_not_take_is_refused() -> None:
    with pytest.raises(InputError, match="nonsense"):
        ConfigChange("nonsense", ("anchors.nonsense=1",)).apply(config_of())


@pytest.mark.parametrize(
    ("value", "text"),
    [(1.0, "100%"), (0.99999, ">99.9%"), (0.999, "99.9%"), (0.5, "50.0%"), (1e-9, "<0.1%"), (0.0, "0%")],
)
def test_only_all_is_100_percent(value: float, text: str) -> None:
    assert percent(value) == text
    assert percent(float(np.float32(value))) == text
