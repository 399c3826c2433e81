"""Write the report of an evaluation: HTML, Markdown, JSON, CSV and terminal; charts and pictures for every report."""

from anchorloc.report.chart import Chart, training_charts
from anchorloc.report.json_report import evaluation_json
from anchorloc.report.judgment import Judgment
from anchorloc.report.picture import Picture, best_and_worst, pick_pictures, unshown_images
from anchorloc.report.terminal import print_evaluation
from anchorloc.report.writer import write_and_print_report, write_report

__all__ = [
    "Chart",
    "Judgment",
    "Picture",
    "best_and_worst",
    "evaluation_json",
    "pick_pictures",
    "print_evaluation",
    "training_charts",
    "unshown_images",
    "write_and_print_report",
    "write_report",
]
