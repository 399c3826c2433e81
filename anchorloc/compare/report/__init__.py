"""Report a study on the terminal and as HTML, SVG, Markdown, CSV and JSON."""

from anchorloc.compare.report.result import Measures, SettingRow, StudyResult
from anchorloc.compare.report.terminal import print_study
from anchorloc.compare.report.writer import write_study

__all__ = ["Measures", "SettingRow", "StudyResult", "print_study", "write_study"]
