"""Everything that the report of an evaluation shows, as one value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from anchorloc.metrics import Bootstrap, Evaluation, Localization
from anchorloc.metrics.analysis import Analysis
from anchorloc.report.chart import Chart
from anchorloc.report.picture import Picture


@dataclass(frozen=True, eq=False)
class Judgment:
    """Hold the scores of a set of detections, and all that explains them."""

    title: str
    evaluation: Evaluation
    analysis: Analysis | None = None  # None if there are too many detections to analyze
    localization: Localization | None = None  # None unless task=localization
    pictures: Sequence[Picture] = ()
    charts: Sequence[Chart] = ()  # losses and AP over the training
    facts: Mapping[str, object] = field(default_factory=dict)  # settings and timings, in the order of the report
    warnings: Sequence[str] = ()  # about files and images; `evaluation.warnings` has the warnings about scores
    names: Sequence[str] = ()  # names of the image files, by image
    unreadable: Sequence[str] = ()  # an error for each image that was left out of all numbers
    scoring: Mapping[str, tuple[object, str]] = field(default_factory=dict)  # value and meaning of each choice, by name
    heading: str = ""  # one line below the title: data, images, steps, seed

    @property
    def all_warnings(self) -> list[str]:
        return [*self.warnings, *self.evaluation.warnings]

    @property
    def intervals(self) -> Bootstrap | None:
        return None if self.analysis is None else self.analysis.bootstrap
