"""Findings: the right groups, and changes that do what is said of them."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from anchorloc.anchors import AnchorGenerator
from anchorloc.assign import ATSSAssigner, MaxIoUAssigner
from anchorloc.config import config_from_plain, to_plain
from anchorloc.detector import DetectorSettings, FeaturePyramid, ResidualBackbone, TorchvisionBackbone
from anchorloc.errors import InputError
from anchorloc.lab import weak_groups as troubles_module
from anchorloc.lab.anchor_coverage import survey
from anchorloc.lab.findings import Finding, coverage_findings, coverage_sentence
from anchorloc.lab.network_views import Views
from anchorloc.lab.suggestions import Remedy, anchor_remedies, assigner_remedies, misfit
from anchorloc.text import percent
from tests.lab.lab_cases import config_of, source_of, views_of

SQUARES = AnchorGenerator(strides=(8, 16), scales=(4.0,), height_to_width=(1.0,))  # 32 and 64 px
DETECTOR = DetectorSettings(ResidualBackbone((8, 8, 8), (1, 1, 1), first_stride=8), FeaturePyramid(8))


def scene(small: int, flat: int, good: int) -> Views:
    """Boxes of class 1 and 12 px, of class 0 and 64 x 16 px, and of class 0 and 32 px; one an image."""
    boxes = [[[20.0, 20, 32, 32]]] * small + [[[20.0, 20, 84, 36]]] * flat + [[[12.0, 12, 44, 44]]] * good
    labels = [[1]] * small + [[0]] * (flat + good)
    return views_of(source_of(boxes, labels), anchors=SQUARES, detector=DETECTOR)


def said(views: Views) -> list[Finding]:
    return coverage_findings(views, survey(views))


def test_the_group_in_trouble_is_named_with_a_change_that_helps() -> None:
    first, second, *_ = said(scene(small=20, flat=0, good=80))
    assert first.sentence.startswith("20 of 20 boxes of 8-16 px (100%) have no anchor that learns them; ")
    assert "would give one to 100% of those without, and to 100% of all boxes in place of 80.0%" in first.sentence
    assert first.settings == ("anchors.scales=[[4.0, 1.5], [4.0]]",) or first.settings[0].startswith("anchors.strides")
    assert second.sentence.startswith("20 of 100 boxes (20.0%) have no anchor that learns them; rescue from IoU 0.1 on")


def test_the_figures_are_those_of_the_changed_config() -> None:
    views = scene(small=15, flat=25, good=60)
    findings = [finding for finding in said(views) if finding.settings]
    assert len(findings) >= 3
    for finding in findings:
        changed = config_from_plain(to_plain(views.config), "test", finding.settings)
        after = survey(replace(views, config=changed), rescue_curve=False)
        (then,) = re.findall(r"and to (\S+) of all boxes", finding.sentence)
        assert then == percent(after.assigned)
        if "anchors an image in place" in finding.sentence:
            assert f"at {after.anchors / after.images:,.0f} anchors" in finding.sentence


def test_missing_proportions_are_named() -> None:
    first = said(scene(small=0, flat=30, good=70))[0]
    assert first.sentence.startswith("30 of 30 boxes of height/width 0.25-0.5 (100%) have no anchor that learns them; ")
    assert first.settings == ("anchors.height_to_width=[1.0, 0.25]",)


def test_proportions_and_size_may_both_be_missing() -> None:
    """A wide box of twice the size: a change of either alone helps none."""
    views = views_of(
        source_of([[[10.0, 40, 110, 65]]] * 20), anchors=replace(SQUARES, scales=(1.0,)), detector=DETECTOR
    )
    first = said(views)[0]
    assert first.settings == ("anchors.scales=[[1.0], [1.0, 3.12]]", "anchors.height_to_width=[1.0, 0.25]")
    assert (
        "on level 1 (scale 3.12) and shapes of height/width 0.25 on every level would give one to 100%"
        in first.sentence
    )


def test_where_all_boxes_have_an_anchor_poor_ones_are_told() -> None:
    views = scene(small=20, flat=0, good=80)
    views = replace(views, config=config_of(anchors=SQUARES, assign=ATSSAssigner(), detector=DETECTOR))
    first = said(views)[0]
    assert first.sentence.startswith("20 of 20 boxes of 8-16 px (100%) have no anchor of IoU >= 0.5; ")


def test_the_share_is_told_before_a_training() -> None:
    views = scene(small=20, flat=0, good=80)
    sentence = "of 100 boxes have one that learns them (20 have none)"
    assert coverage_sentence(views) == f"anchors: 80.0% {sentence}"
    assert coverage_sentence(views, most=10) == (
        "anchors: 80.0% of 10 boxes in 10 of the images have one that learns them (2 have none)"
    )


def test_no_trouble_is_said_too() -> None:
    (only,) = said(views_of(source_of([[[12, 12, 44, 44]]] * 20), anchors=replace(SQUARES, strides=(8,))))
    assert only == Finding(
        "100% of 20 boxes have an anchor that learns them, and 100% one of IoU >= 0.5: no group of boxes stands out."
    )
    (nothing,) = said(views_of(source_of([[]])))
    assert "no box to learn" in nothing.sentence


def test_many_images_are_sampled_for_trials_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(troubles_module, "TRIED_ON", 10)
    first = said(scene(small=20, flat=0, good=80))[0]
    assert first.sentence.startswith("20 of 20 boxes of 8-16 px")
    assert "would give one to 100% of those without" in first.sentence


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
    boxes = survey(views_of(source_of([[[20, 20, 32, 32]]]), **parts)).boxes
    changes = list(anchor_remedies(config, boxes))
    settings = [setting for change in changes for setting in change.settings]
    assert [text for text in expected if text not in settings] == []
    for change in changes:
        changed = change.applied(config)
        assert changed.anchors != config.anchors
        assert len(changed.anchors.strides) in (len(config.anchors.strides), len(config.anchors.strides) + 1)


def test_a_finer_level_must_fit_the_network() -> None:
    config = config_of(anchors=SQUARES, detector=DETECTOR)
    finer = list(anchor_remedies(config, survey(scene(1, 0, 0)).boxes))[-1].applied(config)
    assert list(finer.anchors.strides) == [4, 8, 16]
    assert misfit(finer) is None
    assert "do not fit the feature maps" in str(misfit(replace(finer, detector=DETECTOR)))


def test_changes_of_the_assigner() -> None:
    boxes = survey(scene(1, 0, 0)).boxes
    assert [c.settings for c in assigner_remedies(config_of(), boxes)] == [
        ("assign.rescue_iou=0.1",),
        ("assign={kind: ATSSAssigner}",),
    ]
    assert len(list(assigner_remedies(config_of(assign=MaxIoUAssigner(rescue_iou=0.1)), boxes))) == 1
    assert list(assigner_remedies(config_of(assign=ATSSAssigner()), boxes)) == []


def test_a_change_that_a_config_does_not_take_is_refused() -> None:
    with pytest.raises(InputError, match="nonsense"):
        Remedy("nonsense", ("anchors.nonsense=1",)).applied(config_of())


@pytest.mark.parametrize(
    ("value", "text"),
    [(1.0, "100%"), (0.99999, ">99.9%"), (0.999, "99.9%"), (0.5, "50.0%"), (1e-9, "<0.1%"), (0.0, "0%")],
)
def test_only_all_is_100_percent(value: float, text: str) -> None:
    assert percent(value) == text
    assert percent(float(np.float32(value))) == text
