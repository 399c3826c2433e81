"""Write the files of a study's report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from markupsafe import Markup

from anchorloc.compare.report.pareto import pareto_svg
from anchorloc.compare.report.result import MEASURE_COLUMNS, SettingRow, StudyResult, verdict_numbers, verdict_sentence
from anchorloc.compare.report.terminal import ap_interval_text
from anchorloc.compare.statistics.permutation import smallest_p
from anchorloc.compare.statistics.verdicts import Verdict
from anchorloc.files import write_json, write_text
from anchorloc.report.captions import AP_MEANING
from anchorloc.report.csv import write_csv
from anchorloc.report.html import render
from anchorloc.report.markdown import escape
from anchorloc.text import markdown_table, three_decimals

HEADINGS = (
    ("difference", "difference in AP, mean over seeds, on the same images"),
    (
        "interval",
        "95% interval of the difference, over seeds and images, valid for all pairs together",
    ),
    ("p", "probability that chance of the seeds alone separates any pair this much, if all pairs are equal"),
    ("verdict", "a winner needs p of at most 0.05 and an interval that excludes 0"),
)


def write_study(folder: Path, result: StudyResult, facts: Mapping[str, object]) -> Path:
    """Write study.html, study.md, three CSV tables, result.json and pareto.svg; return the path of study.html.

    Raises:
        InputError: the file system refuses.
    """
    write_json(folder / "result.json", study_json(result, facts))
    write_csv(
        folder / "settings.csv",
        (
            *("setting", "AP", "low", "high", "seeds", "failed"),
            *(column.key for column in MEASURE_COLUMNS),
            *result.localization_columns,
        ),
        (
            (*_setting_cells(row), *(row.localization.get(key) for key in result.localization_columns))
            for row in result.rows
        ),
    )
    write_csv(
        folder / "verdicts.csv",
        ("setting", "against", "difference", "low", "high", "p", "verdict", "reason"),
        map(_verdict_cells, result.verdicts),
    )
    write_csv(
        folder / "runs.csv",
        ("setting", "seed", "AP", "failure"),
        ((row.name, seed, row.seeds.get(seed), row.failures.get(seed)) for row in result.rows for seed in _seeds(row)),
    )
    write_text(folder / "study.md", study_markdown(result))
    if (picture := pareto_svg(result)) is not None:
        write_text(folder / "pareto.svg", picture)
    page = folder / "study.html"
    write_text(page, render_study(result, facts))
    return page


def render_study(result: StudyResult, facts: Mapping[str, object]) -> str:
    """Return the HTML page of a study."""
    picture = pareto_svg(result)
    return render(
        "compare/report/page.html",
        result.title,
        facts,
        result.warnings,
        sizes=result.description,
        result=result,
        headings=HEADINGS,
        columns=MEASURE_COLUMNS,
        ap_meaning=AP_MEANING,
        localization=result.localization_columns,
        ap_interval_text=ap_interval_text,
        picture=None if picture is None else Markup(picture),  # the renderer of the SVG has escaped all names
        seeds=sorted({seed for row in result.rows for seed in (*row.seeds, *row.failures)}),
    )


def study_markdown(result: StudyResult) -> str:
    """Return the settings and the verdicts as GitHub-flavored Markdown."""
    header = ["setting", "AP", "95% interval", *(column.label for column in MEASURE_COLUMNS)]
    rows = [
        [
            escape(row.name),
            three_decimals(None if row.ap is None else row.ap.value),
            ap_interval_text(row),
            *(column.text(row.measures) for column in MEASURE_COLUMNS),
        ]
        for row in result.rows
    ]
    table = [header, [":--", *["--:"] * (len(header) - 1)], *rows]
    said = [f"- {escape(verdict_sentence(verdict))}: {verdict_numbers(verdict)}." for verdict in result.verdicts]
    warned = [f"- **Warning:** {escape(warning)}" for warning in result.warnings]
    parts = [
        f"# {escape(result.title)}",
        result.description,
        "\n".join(f"| {' | '.join(cells)} |" for cells in table),
        f"{AP_MEANING}.",
        _localization_markdown(result),
        "\n".join(said),
        result.smallest_p_note,
        "\n".join(warned),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _localization_markdown(result: StudyResult) -> str:
    """Return a table of the numbers of a localization task; "" for detection."""
    columns = result.localization_columns
    if not columns:
        return ""
    rows = [[escape(row.name), *(three_decimals(row.localization.get(key)) for key in columns)] for row in result.rows]
    meanings = "\n".join(f"- {escape(name)}: {escape(meaning)}" for name, meaning in columns.values())
    return f"{markdown_table(['setting', *(name for name, _ in columns.values())], rows)}\n\n{meanings}"


def study_json(result: StudyResult, facts: Mapping[str, object]) -> dict[str, Any]:
    """Return the study as values of JSON."""
    return {
        "title": result.title,
        "seeds": result.seeds,
        "images": result.images,
        "split": result.split,
        "budget": result.budget,
        "smallest_p": smallest_p(result.seeds),
        "settings": [
            {
                "name": row.name,
                "ap": None if row.ap is None else asdict(row.ap),
                "seeds": {str(seed): ap for seed, ap in row.seeds.items()},
                "failures": {str(seed): reason for seed, reason in row.failures.items()},
                "measures": None if row.measures is None else asdict(row.measures),
                **({"localization": dict(row.localization)} if row.localization else {}),
            }
            for row in result.rows
        ],
        "verdicts": [
            {**asdict(verdict), "variance": _variance(verdict), "verdict": verdict.decision, "reason": verdict.reason}
            for verdict in result.verdicts
        ],
        "unjudged": [list(pair) for pair in result.unjudged],
        "meanings": {
            "AP": AP_MEANING,
            "measures": {column.key: column.description for column in MEASURE_COLUMNS},
            "verdicts": dict(HEADINGS),
            **{key: meaning for key, (_, meaning) in result.localization_columns.items()},
        },
        "warnings": result.warnings,
        "facts": {key: str(value) for key, value in facts.items()},
    }


def _variance(verdict: Verdict) -> dict[str, float]:
    values: dict[str, float] = asdict(verdict.variance)
    values["image_freedom"] = values.pop("image_degrees_of_freedom")
    return values


def _setting_cells(row: SettingRow) -> tuple[object, ...]:
    ap = (None, None, None) if row.ap is None else (row.ap.value, row.ap.low, row.ap.high)
    measures = [None if row.measures is None else getattr(row.measures, column.key) for column in MEASURE_COLUMNS]
    return (row.name, *ap, len(row.seeds), len(row.failures), *measures)


def _verdict_cells(verdict: Verdict) -> tuple[object, ...]:
    d = verdict.difference
    return verdict.setting, verdict.against, d.value, d.low, d.high, verdict.p, verdict.decision, verdict.reason


def _seeds(row: SettingRow) -> list[int]:
    return sorted({*row.seeds, *row.failures})
