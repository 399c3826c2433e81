"""What a training run leaves to the program that started it; nothing here loads torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from anchorloc.report_folder import ReportFolder
from anchorloc.text import counted, three_decimals


@dataclass(frozen=True, kw_only=True, repr=False)
class Run(ReportFolder):
    """A run that has finished and has a report, or was stopped and can be resumed."""

    steps: int
    best: Path | None  # checkpoint of the best validation; None before the first one
    best_step: int  # 0 before the first validation
    best_ap: float | None  # on val
    stop_signal: int | None = None  # number of the signal that ended the run early; CANCELED if a listener did

    @property
    def stopped(self) -> bool:
        """Return whether the run ended early; it then has no report."""
        return self.stop_signal is not None

    @property
    def exit_status(self) -> int:
        return 0 if self.stop_signal is None else 128 + self.stop_signal

    def _facts(self) -> list[str]:
        end = f"{'stopped after ' if self.stopped else ''}{counted(self.steps, 'step')}"
        ap = three_decimals(self.best_ap)
        best = [f"best AP on val {ap} at step {self.best_step:,}"] if self.best_step else []
        return [end, *best, *super()._facts()]


@dataclass(frozen=True)
class FoldRuns:
    """The models of K folds, and what each detects in the images of its fold, which it has not seen."""

    folder: Path
    labels: Path  # all labels as a COCO file, with the fold of each image
    images: Path  # folder of the images
    detections: Path | None  # COCO results for all images; None where a run was stopped
    runs: tuple[Run, ...]  # trained by this call

    @property
    def exit_status(self) -> int:
        return self.runs[-1].exit_status if self.detections is None else 0
