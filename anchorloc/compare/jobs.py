"""Train one run of a study, or resume it, and judge its final weights."""

from __future__ import annotations

import contextlib
import traceback
from dataclasses import dataclass
from pathlib import Path

from anchorloc.compare.run_record import FAILURE, RunRecord, read_record, write_record
from anchorloc.config import Config
from anchorloc.data import Source
from anchorloc.engine.evaluation import evaluate_model
from anchorloc.engine.events import Listener, RunWarned, ignore
from anchorloc.engine.judge_model import localization_of
from anchorloc.engine.state.resume import LAST, load_last
from anchorloc.engine.state.resume_check import find_changes, identity_of
from anchorloc.engine.state.run_folder import CONFIG, RunLock, create_run_folder, remove_temporaries
from anchorloc.engine.system.signals import Stopped
from anchorloc.engine.trained_model import TrainedModel, for_inference
from anchorloc.engine.training import Training
from anchorloc.errors import InputError
from anchorloc.files import write_text
from anchorloc.metrics import match_targets
from anchorloc.report.localization import localization_numbers, localization_warning


@dataclass(frozen=True)
class Job:
    """One run to train; it can be sent to another process."""

    setting: str
    seed: int
    config: Config
    folder: Path
    command: str  # command line of the study


@dataclass(frozen=True)
class FailedRun:
    """A run that did not finish."""

    setting: str
    seed: int
    reason: str  # one sentence


def run_job(job: Job, train: Source, val: Source, scored: Source, events: Listener = ignore) -> RunRecord | FailedRun:
    """Train `job` to its end, or resume it, judge it and write its record; return a FailedRun if it fails.

    Args:
        scored: the split whose AP is compared: test where there is one, else val.
        events: called with what happens in the run.

    Raises:
        Stopped: on a signal, after a checkpoint is written.
    """
    try:
        return read_record(job.folder) or _train(job, train, val, scored, events)
    except Stopped:
        raise
    except InputError as error:
        return _fail(job, str(error), str(error))
    except Exception as error:  # a bug in one run must not end the others
        reason = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
        return _fail(job, f"{reason} (see {job.folder / FAILURE})", traceback.format_exc())


def _train(job: Job, train: Source, val: Source, scored: Source, events: Listener) -> RunRecord:
    with contextlib.ExitStack() as stack:
        training = _open(job, train, val, events, stack)
        training.events = events
        training.run()
        network = for_inference(training.learner.average.module, job.config, training.learner.device)
        model = TrainedModel(job.config, train.categories, training.clock.step, network, training.learner.device)
        evaluation, detections = evaluate_model(model, scored)
        if evaluation.summary.ap is None:
            raise InputError("the scored split has no ground-truth box, so there is no AP to compare; add boxes")
        localization = localization_of(job.config, detections, scored)
        record = RunRecord(
            setting=job.setting,
            seed=job.seed,
            ap=evaluation.summary.ap,
            numbers=evaluation.summary.named(),
            steps=training.clock.step,
            seconds=round(training.clock.seconds, 3),
            localization={} if localization is None else localization_numbers(localization),
            warning=(localization and localization_warning(localization, LAST)) or "",
        )
        targets = [scored.target(index) for index in range(len(scored))]
        limit = evaluation.summary.max_detections[-1]
        match_result = match_targets(targets, detections, scored.categories, limit, by_size=False)
        write_record(job.folder, record, match_result)
        return record


def _open(job: Job, train: Source, val: Source, events: Listener, stack: contextlib.ExitStack) -> Training:
    """Start or resume the run; its folder stays locked until `stack` exits."""
    if not (job.folder / CONFIG).is_file():
        training = Training(job.config, job.folder, train, val)
        _, lock = create_run_folder(job.folder, job.config, job.command)
        stack.callback(lock.release)
        return training
    stack.callback(RunLock(job.folder).release)
    remove_temporaries(job.folder)

    def warn(text: str) -> None:
        events(RunWarned(0, text))

    state = load_last(job.folder, warn)
    training = Training(job.config, job.folder, train, val, pretrained=state is None)
    if state is not None:
        if changes := find_changes(identity_of(state), training.identity):
            raise InputError(f"the run in {job.folder} was trained with {changes[0]}; remove the folder to start again")
        training.resume(state, warn)
    return training


def _fail(job: Job, reason: str, text: str) -> FailedRun:
    with contextlib.suppress(InputError):  # a full disk may be the reason
        if job.folder.is_dir():
            write_text(job.folder / FAILURE, text + "\n")
    return FailedRun(job.setting, job.seed, reason)
