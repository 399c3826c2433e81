"""The runs of a study to what they show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pydantic
from numpy.typing import NDArray

from anchorloc.compare.jobs import Failure
from anchorloc.compare.measures import measure
from anchorloc.compare.record import Record, read_matches
from anchorloc.compare.report import Measures, SettingRow, StudyResult
from anchorloc.compare.statistics.verdicts import Interval, mean_interval, verdicts
from anchorloc.compare.statistics.weighted_ap import weighted_ap
from anchorloc.compare.study_folder import StudyFolder
from anchorloc.data import Source
from anchorloc.engine.evaluation import load_model
from anchorloc.engine.state.resume import LAST
from anchorloc.errors import InputError
from anchorloc.files import read_json, write_json

MEASURES = "measures.json"
RESAMPLES = 500  # of the images: their variance is known to some 6%
Float64Array = NDArray[np.float64]


def outcome(folder: StudyFolder, results: Sequence[Record | Failure], val: Source) -> StudyResult:
    """Judge what the runs show; a setting of which a run failed gets no verdict.

    Raises:
        InputError: a file of a run is damaged.
    """
    study = folder.study
    records = {(result.setting, result.seed): result for result in results if isinstance(result, Record)}
    whole = [name for name in study.settings if all((name, seed) in records for seed in study.seeds)]
    weights = _image_weights(len(val))
    ap = {name: np.array([records[name, seed].ap for seed in study.seeds]) for name in whole}
    drawn = {name: _resampled(folder, name, weights) for name in whole}
    judged = [pair for pair in study.pairs if set(pair) <= set(whole)]
    measured = _measured(folder, records, val)
    rows = []
    for name in study.settings:
        seeds = {seed: records[name, seed].ap for seed in study.seeds if (name, seed) in records}
        mean = float(np.mean(list(seeds.values()))) if seeds else None
        interval = None if mean is None else Interval(mean, mean, mean)
        rows.append(
            SettingRow(
                name=name,
                ap=mean_interval(ap[name], drawn[name], len(val)) if name in whole else interval,
                seeds=seeds,
                failures={r.seed: r.reason for r in results if isinstance(r, Failure) and r.setting == name},
                measures=measured.get(name),
            )
        )
    found = (
        verdicts(
            np.stack([ap[name] for name in whole]),
            np.stack([drawn[name] for name in whole], axis=1),
            len(val),
            whole,
            judged,
        )
        if judged
        else []
    )
    return StudyResult(
        title=study.path.stem,
        rows=tuple(rows),
        verdicts=tuple(found),
        unjudged=tuple(pair for pair in study.pairs if pair not in judged),
        seeds=len(study.seeds),
        images=len(val),
        budget=f"{study.data.train.length} each",
    )


def _image_weights(images: int) -> Float64Array:
    """How often each image is drawn (B, N), the same for every run, so that differences are paired."""
    random = np.random.default_rng(0)
    return random.multinomial(images, np.full(images, 1 / images), RESAMPLES).astype(np.float64)


def _resampled(folder: StudyFolder, name: str, weights: Float64Array) -> Float64Array:
    """AP (B, S) of a setting on the drawn images; where they hold no box at all, 0 for every setting alike."""
    columns = [weighted_ap(read_matches(folder.run(name, seed)), weights) for seed in folder.study.seeds]
    return np.nan_to_num(np.stack(columns, axis=1))


def _measured(folder: StudyFolder, records: dict[tuple[str, int], Record], val: Source) -> dict[str, Measures]:
    """Return the measures of every setting with a finished run; they are taken once and kept in the folder."""
    path = folder.path / MEASURES
    known = _read_measures(path)
    missing = {}
    for name, seed in records:
        if name not in known and name not in missing:
            missing[name] = load_model(folder.run(name, seed) / LAST)
    if missing:
        known |= measure(missing, val)
        write_json(path, {name: asdict(measures) for name, measures in known.items()})
    return {name: measures for name, measures in known.items() if any(name == setting for setting, _ in records)}


def _read_measures(path: Path) -> dict[str, Measures]:
    if not path.exists():
        return {}
    plain: Any = read_json(path)
    try:
        return pydantic.TypeAdapter(dict[str, Measures]).validate_python(plain)
    except pydantic.ValidationError:
        raise InputError(f"{path} is damaged; remove it, and the settings are measured again") from None
