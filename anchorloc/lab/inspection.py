"""All that there is to say of the anchors of a config on its data."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from anchorloc.config import Config
from anchorloc.data import CocoData, check_same_categories
from anchorloc.errors import InputError
from anchorloc.lab.anchor_coverage import Survey, survey
from anchorloc.lab.ceiling import Ceiling, ceiling
from anchorloc.lab.findings import Finding, ceiling_findings, coverage_findings
from anchorloc.lab.network_views import Views


@dataclass(frozen=True, eq=False)
class Inspection:
    """One split, inspected."""

    name: str
    views: Views
    survey: Survey
    ceiling: Ceiling | None  # of the split that is evaluated on
    findings: tuple[Finding, ...]


def views_of(config: Config, passes: int = 1) -> dict[str, Views]:
    """Return the views of both splits by name, the training split as it is augmented in so many epochs.

    Where both splits are one file, as for a lone annotation file, it is met once and as in evaluation.

    Raises:
        InputError: the data cannot be read, its splits have different classes, or there are no anchors.
    """
    refuse_localizer(config)
    if isinstance(config.data, CocoData) and config.data.train == config.data.val:
        return {Path(config.data.val).name: Views(config, config.data.open("val"))}
    train, val = config.data.open("train"), config.data.open("val")
    check_same_categories(train, val)
    epochs = passes if config.transform.augment.moves_boxes else 1
    return {"train": Views(config, train, epochs), "val": Views(config, val)}


def refuse_localizer(config: Config) -> None:
    """Raise InputError if the network of `config` has no anchors to inspect."""
    if config.localizer is not None:
        raise InputError("localizer finds its box without anchors, so there are none to inspect; set localizer=null")


def inspect(views: dict[str, Views], findings: bool = True) -> Iterator[Inspection]:
    """Survey every split; the last one, which is evaluated on, gets a ceiling, and the first one most findings.

    Args:
        findings: whether to look for any, which tries several changes of the config.
    """
    names = list(views)
    for name in names:
        one = views[name]
        found = survey(one)
        limit = ceiling(one) if name == names[-1] else None
        said = coverage_findings(one, found) if findings and name == names[0] else []
        said += ceiling_findings(one, limit) if findings and limit is not None else []
        yield Inspection(name, one, found, limit, tuple(said))
