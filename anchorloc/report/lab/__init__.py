"""What the anchor lab found, for a terminal, as one HTML file, and as JSON and CSV."""

from anchorloc.report.lab.terminal import print_inspections
from anchorloc.report.lab.writer import write_lab_report

__all__ = ["print_inspections", "write_lab_report"]
