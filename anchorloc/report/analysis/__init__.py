"""The analysis in a report: sections of the page, Markdown, JSON and CSV tables."""
