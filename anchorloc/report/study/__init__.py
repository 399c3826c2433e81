"""What a study found, for a terminal, as one HTML file, a picture, Markdown, CSV and JSON."""

from anchorloc.report.study.result import Measures, SettingRow, StudyResult
from anchorloc.report.study.terminal import print_study
from anchorloc.report.study.writer import write_study

__all__ = ["Measures", "SettingRow", "StudyResult", "print_study", "write_study"]
