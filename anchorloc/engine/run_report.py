"""Judge the best checkpoint of a finished run, and write its report."""

from __future__ import annotations

import copy
import shlex
import time
from dataclasses import replace

from anchorloc.engine.evaluation import detect
from anchorloc.engine.judge import RESAMPLES, THREADS
from anchorloc.engine.judge_model import judge
from anchorloc.engine.other_images import ap_on_other_images
from anchorloc.engine.outcome import (
    POOR_AP50,
    changed_settings,
    data_path,
    outcome_sentence,
    run_heading,
    unrelated_sentence,
)
from anchorloc.engine.preparation import print_command
from anchorloc.engine.state.resume import BEST, evaluate_command
from anchorloc.engine.system.display import RunConsole
from anchorloc.engine.system.log import read_log
from anchorloc.engine.trained_model import TrainedModel, for_inference, load_model
from anchorloc.engine.training import Training
from anchorloc.metrics.analysis import AnalysisOptions
from anchorloc.report import training_charts, write_and_print_report
from anchorloc.report_folder import ReportFolder
from anchorloc.text import duration, printable

MAX_ANALYZED = 300_000  # detections: with more, the analysis takes long and is left to `anchorloc evaluate`


def report_run(training: Training, console: RunConsole, started: float) -> ReportFolder | None:
    """Judge best.pt on the test split, or else on val, write the report into the run folder and print its numbers.

    All processes share the inference; the first one does the rest, and the others return None.
    """
    folder, processes = training.saver.folder, training.processes
    scored = training.val if training.test is None else training.test
    if processes.first:
        model = load_model(folder / BEST)
    else:
        learner = training.learner
        network = for_inference(copy.deepcopy(learner.average.module), training.config, learner.device)
        model = TrainedModel(training.config, scored.categories, 0, network, learner.device)
    processes.broadcast_model(model.network)
    found = detect(model, scored, processes)
    if not processes.first:
        return None
    options = AnalysisOptions(resamples=RESAMPLES, threads=THREADS)
    judgment = judge(model, scored, found, options, f"{BEST}, from step {training.progress.best.step:,},", MAX_ANALYZED)
    for warning in judgment.warnings:
        console.warn(warning)
    history = read_log(folder)
    trained = max((row["seconds"] for row in history), default=0.0)
    total = duration(time.perf_counter() - started)
    summary = judgment.evaluation.summary
    poor = (summary.ap50 or 0.0) < POOR_AP50
    labels = data_path(training.config)
    data = "" if labels is None else shlex.quote(str(labels))
    elsewhere = ap_on_other_images(found[0], scored, training.config.scored_detections)
    unrelated = "" if poor else unrelated_sentence(summary.ap, elsewhere, training.clock.step, data)
    concerns = training.concerns if poor else [unrelated] if unrelated else []
    judgment = replace(
        judgment,
        title=f"{folder.name}: {'validation' if training.test is None else 'test'}",
        heading=run_heading(
            training.config, (len(training.train), len(training.val)), training.clock.step, training.learner.device.type
        ),
        charts=training_charts(history),
        facts={
            **judgment.facts,
            **_choice_facts(training),
            "training": duration(trained),
            "from start to report": total,
            "settings": changed_settings(training.config),
        },
        warnings=[*scored.warnings, *judgment.warnings, *concerns],
    )
    report = write_and_print_report(folder, judgment, console)
    if judgment.analysis is None:
        sentence = f"over {MAX_ANALYZED:,} detections: for confidence intervals, errors and thresholds run"
        console.print(sentence, highlight=False)
        print_command(console, evaluate_command(folder, training.config))
    if sentence := unrelated or outcome_sentence(history, data):
        console.print(printable(sentence), highlight=False, markup=False)
    console.print(f"report: {report.report} ({total} from start to report)", highlight=False, markup=False)
    return report


def _choice_facts(training: Training) -> dict[str, object]:
    """Return what a report says of the split that chose the checkpoint, whose numbers are too good for it."""
    best = training.progress.best
    if training.test is None:
        chosen = f"which chose step {best.step:,} as the best: the numbers are somewhat too good"
        return {"scored on": f"val, {'once' if training.progress.validations.count == 1 else chosen}"}
    return {"scored on": "test, once", "AP on val, which chose the checkpoint": f"{best.ap:.3f} at step {best.step:,}"}
