"""What the anchor lab found, for a terminal, as one HTML file, and as JSON and CSV."""

from anchorloc.lab.report.comparison import print_comparison, write_comparison
from anchorloc.lab.report.terminal import print_inspections
from anchorloc.lab.report.writer import write_lab_report

__all__ = ["print_comparison", "print_inspections", "write_comparison", "write_lab_report"]
