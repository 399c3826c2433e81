"""One run of a study: trained, or gone on with, and judged by the weights that it ends with."""

from __future__ import annotations

import contextlib
import traceback
from dataclasses import dataclass
from pathlib import Path

from anchorloc.compare.record import FAILURE, Record, matches_of, read_record, write_record
from anchorloc.config import Config
from anchorloc.data import Source
from anchorloc.engine.evaluation import TrainedModel, judge
from anchorloc.engine.state.lock import RunLock
from anchorloc.engine.state.resume import load_last
from anchorloc.engine.state.resume_check import find_changes, identity_of
from anchorloc.engine.state.run_folder import CONFIG, remove_temporaries, create_run_folder
from anchorloc.engine.system.display import Display
from anchorloc.engine.system.signals import Stopped
from anchorloc.engine.training import Training
from anchorloc.errors import InputError
from anchorloc.files import write_text


@dataclass(frozen=True)
class Job:
    """One run to be made; it can be sent to another process."""

    setting: str
    seed: int
    config: Config
    folder: Path
    command: str  # that asked for it


@dataclass(frozen=True)
class Failure:
    """A run that could not be finished."""

    setting: str
    seed: int
    reason: str  # one sentence


def run_job(job: Job, train: Source, val: Source, display: Display) -> Record | Failure:
    """Train `job` to its end from wherever it was left, judge it and write its record; others go on if it fails.

    Raises:
        Stopped: after a signal, with the state saved.
    """
    try:
        return read_record(job.folder) or _trained(job, train, val, display)
    except Stopped:
        raise
    except InputError as error:
        return _failed(job, str(error), str(error))
    except Exception as error:  # whatever it is, it must not take the other runs along
        reason = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
        return _failed(job, f"{reason} (see {job.folder / FAILURE})", traceback.format_exc())


def _trained(job: Job, train: Source, val: Source, display: Display) -> Record:
    with contextlib.ExitStack() as stack:
        training = _opened(job, train, val, display, stack)
        training.run(display)
        network = training.learner.average.module.eval()
        model = TrainedModel(job.config, train.categories, training.clock.step, network, training.learner.device)
        evaluation, detections = judge(model, val)
        if evaluation.summary.ap is None:
            raise InputError("the val split holds no box to find, so there is nothing to compare; give another")
        record = Record(
            setting=job.setting,
            seed=job.seed,
            ap=evaluation.summary.ap,
            numbers=evaluation.summary.named(),
            steps=training.clock.step,
            seconds=round(training.clock.seconds, 3),
        )
        targets = [val.target(index) for index in range(len(val))]
        write_record(job.folder, record, matches_of(evaluation, targets, detections))
        return record


def _opened(job: Job, train: Source, val: Source, display: Display, stack: contextlib.ExitStack) -> Training:
    """Begin the run, or go on with it; its folder stays locked until `stack` is left."""
    if not (job.folder / CONFIG).is_file():
        training = Training(job.config, job.folder, train, val)
        _, lock = create_run_folder(job.folder, job.config, job.command)
        stack.callback(lock.release)
        return training
    stack.callback(RunLock(job.folder).release)
    remove_temporaries(job.folder)
    state = load_last(job.folder, display.say)
    training = Training(job.config, job.folder, train, val, pretrained=state is None)
    if state is not None:
        if changes := find_changes(identity_of(state), training.identity):
            raise InputError(f"the run in {job.folder} was trained with {changes[0]}; remove the folder to begin anew")
        training.resume(state, display.say)
    return training


def _failed(job: Job, reason: str, text: str) -> Failure:
    with contextlib.suppress(InputError):  # a full disk is a reason of its own
        if job.folder.is_dir():
            write_text(job.folder / FAILURE, text + "\n")
    return Failure(job.setting, job.seed, reason)
