"""Report what the lab measured: on the terminal, as one HTML file, as JSON and as CSV."""

from anchorloc.lab.report.comparison import print_comparison, write_comparison
from anchorloc.lab.report.page import write_lab_report
from anchorloc.lab.report.terminal import print_inspections

__all__ = ["print_comparison", "print_inspections", "write_comparison", "write_lab_report"]
