"""Measure everything the lab reports about the anchors of a config on its data."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from anchorloc.config import Config
from anchorloc.data import CocoData, LabelData, match_categories
from anchorloc.data.label_data import open_all
from anchorloc.errors import InputError
from anchorloc.lab.anchor_coverage import AnchorCoverage, measure_coverage
from anchorloc.lab.ceiling import Ceiling, ceiling
from anchorloc.lab.findings import Finding, ceiling_findings, coverage_findings
from anchorloc.lab.network_views import NetworkViews


@dataclass(frozen=True, eq=False)
class Inspection:
    """The measurements of one split."""

    name: str
    coverage: AnchorCoverage
    ceiling: Ceiling | None  # on the split for evaluation
    findings: tuple[Finding, ...]

    @property
    def views(self) -> NetworkViews:
        return self.coverage.views


def open_views(config: Config, passes: int = 1) -> dict[str, NetworkViews]:
    """Return the views of both splits by name; the training split is augmented as in `passes` epochs.

    If both splits are one annotation file, it is returned once, as in evaluation.

    Raises:
        InputError: the data cannot be read, its splits have different classes, or there are no anchors.
    """
    refuse_localizer(config)
    if isinstance(config.data, CocoData | LabelData) and config.data.train == config.data.val:
        return {Path(config.data.val).name: NetworkViews(config, config.seen(config.data.open("val")))}
    train, val, _ = open_all(config.data)
    val = match_categories(val, train.categories)
    epochs = passes if config.transform.augment.moves_boxes else 1
    return {"train": NetworkViews(config, train, epochs), "val": NetworkViews(config, config.seen(val))}


def refuse_localizer(config: Config) -> None:
    """Raise InputError if the network of `config` has no anchors."""
    if not config.method.has_anchors:
        raise InputError(
            "localizer regresses its box without anchors, so the lab has none to inspect; set localizer=null"
        )


def inspect_anchors(views: dict[str, NetworkViews], findings: bool = True) -> Iterator[Inspection]:
    """Measure the coverage of every split, and the ceiling of the last one, which is evaluated on.

    Args:
        findings: look for weak groups in the first split and for decoder misses in the last; tries config changes.
    """
    names = list(views)
    for name in names:
        split = views[name]
        coverage = measure_coverage(split)
        limit = ceiling(split) if name == names[-1] else None
        found = coverage_findings(coverage) if findings and name == names[0] else []
        found += ceiling_findings(split, limit) if findings and limit is not None else []
        yield Inspection(name, coverage, limit, tuple(found))
