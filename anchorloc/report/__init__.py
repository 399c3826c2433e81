"""Numbers to what people read: terminal, Markdown, one HTML file, JSON, pictures."""

from anchorloc.report.analysis.gallery import best_and_worst
from anchorloc.report.chart import Chart, training_charts
from anchorloc.report.judgment import Judgment
from anchorloc.report.picture import Picture, pick_pictures
from anchorloc.report.record import evaluation_record
from anchorloc.report.terminal import print_evaluation
from anchorloc.report.writer import present, write_report

__all__ = [
    "Chart",
    "Judgment",
    "Picture",
    "best_and_worst",
    "evaluation_record",
    "pick_pictures",
    "present",
    "print_evaluation",
    "training_charts",
    "write_report",
]
