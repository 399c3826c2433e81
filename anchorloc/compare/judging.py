"""Judge the finished runs of a study: AP of each setting, verdicts on pairs, and measures of cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pydantic

from anchorloc.compare.jobs import FailedRun
from anchorloc.compare.measures import measure
from anchorloc.compare.report import Measures, SettingRow, StudyResult
from anchorloc.compare.run_record import RunRecord, read_match_result
from anchorloc.compare.statistics.verdicts import Estimate, Verdict, judge_pairs, mean_estimate
from anchorloc.compare.study_folder import StudyFolder
from anchorloc.data import Source, Split
from anchorloc.engine.state.resume import LAST
from anchorloc.engine.trained_model import load_model
from anchorloc.errors import InputError
from anchorloc.files import read_json, write_json
from anchorloc.metrics import MatchResult, image_weights, mean_of_known
from anchorloc.metrics.weighted_ap import scores_of_sets
from anchorloc.structures import Float64Array

MEASURES = "measures.json"
RESAMPLES = 500  # image resamples: gives the variance to about 6%
Records = dict[tuple[str, int], RunRecord]  # by setting and seed


def judge_study(
    folder: StudyFolder, results: Sequence[RunRecord | FailedRun], scored: Source, split: Split = "val"
) -> StudyResult:
    """Judge what the runs show; a setting with a failed run gets no verdict.

    Raises:
        InputError: a file of a run is damaged.
    """
    study = folder.study
    records = {(result.setting, result.seed): result for result in results if isinstance(result, RunRecord)}
    complete = [name for name in study.settings if all((name, seed) in records for seed in study.seeds)]
    ap = {name: np.array([records[name, seed].ap for seed in study.seeds]) for name in complete}
    resampled = {name: _resampled_ap(folder, name) for name in complete}
    measures = _measures(folder, records, scored)
    pairs = [pair for pair in study.pairs if set(pair) <= set(complete)]
    rows = []
    for name in study.settings:
        failures = {r.seed: r.reason for r in results if isinstance(r, FailedRun) and r.setting == name}
        seeds = {seed: records[name, seed].ap for seed in study.seeds if (name, seed) in records}
        whole = name in complete
        estimate = mean_estimate(ap[name], resampled[name], len(scored)) if whole else _mean_only(seeds)
        finished = {seed: records[name, seed] for seed in study.seeds if (name, seed) in records}
        rows.append(
            SettingRow(
                name=name,
                ap=estimate,
                seeds=seeds,
                failures=failures,
                measures=measures.get(name),
                localization=_mean_localization(list(finished.values())),
                warnings={seed: record.warning for seed, record in finished.items() if record.warning},
            )
        )
    return StudyResult(
        title=study.path.stem,
        rows=tuple(rows),
        verdicts=tuple(_verdicts(ap, resampled, len(scored), pairs)),
        unjudged=tuple(pair for pair in study.pairs if pair not in pairs),
        seeds=len(study.seeds),
        images=len(scored),
        split=split,
        budget=f"{study.data.train.length} each",
    )


def resampled_ap(match_result: MatchResult) -> list[float]:
    """Return AP on RESAMPLES draws of the images (B,), 0 where a draw holds no box.

    The draws are the same for every run of as many images, so differences between runs are paired.
    """
    draws = image_weights(match_result.image_count, RESAMPLES, seed=0)
    return [mean_of_known(scores.ap) or 0.0 for scores in scores_of_sets(match_result, draws)]


def _resampled_ap(folder: StudyFolder, name: str) -> Float64Array:
    """Return AP of a setting on the drawn images (B, S)."""
    columns = [resampled_ap(read_match_result(folder.run(name, seed))) for seed in folder.study.seeds]
    return np.stack(columns, axis=1)


def _mean_localization(records: Sequence[RunRecord]) -> dict[str, float]:
    """Return the mean of each number over the seeds that finished; empty for detection."""
    numbers = [record.localization for record in records if record.localization]
    return {key: float(np.mean([one[key] for one in numbers])) for key in (numbers[0] if numbers else ())}


def _mean_only(seeds: Mapping[int, float]) -> Estimate | None:
    """Return the mean AP of the seeds that finished, without an interval."""
    if not seeds:
        return None
    mean = float(np.mean(list(seeds.values())))
    return Estimate(mean, mean, mean)


def _verdicts(
    ap: Mapping[str, Float64Array], resampled: Mapping[str, Float64Array], images: int, pairs: list[tuple[str, str]]
) -> list[Verdict]:
    if not pairs:
        return []
    settings = list(ap)
    stacked = np.stack([ap[name] for name in settings])  # (M, S)
    drawn = np.stack([resampled[name] for name in settings], axis=1)  # (B, M, S)
    return judge_pairs(stacked, drawn, images, settings, pairs)


def _measures(folder: StudyFolder, records: Records, scored: Source) -> dict[str, Measures]:
    """Return the measures of every setting with a finished run; they are taken once and kept in the folder."""
    path = folder.path / MEASURES
    known = _read_measures(path)
    missing = {}
    for name, seed in records:
        if name not in known and name not in missing:
            missing[name] = load_model(folder.run(name, seed) / LAST)
    if missing:
        known |= measure(missing, scored)
        write_json(path, {name: asdict(measures) for name, measures in known.items()})
    return {name: measures for name, measures in known.items() if any(name == setting for setting, _ in records)}


def _read_measures(path: Path) -> dict[str, Measures]:
    if not path.exists():
        return {}
    plain: Any = read_json(path)
    try:
        return pydantic.TypeAdapter(dict[str, Measures]).validate_python(plain)
    except pydantic.ValidationError:
        raise InputError(f"{path} is damaged; remove it to measure the settings again") from None
