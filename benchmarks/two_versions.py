"""Train the same configs by two versions of this package, in turns: images a second and AP.

    git worktree add PEER COMMIT
    python -m benchmarks.two_versions DATA PEER          # 2 sets, 3 seeds, 5 minutes each: 65 minutes on two idle cores
    python -m benchmarks.two_versions DATA PEER --summary

DATA is the folder of the sets and of weights/. Each run is `anchorloc train configs/SET.yaml` of its own tree, with the
length, the seed and the weights given, and everything else as that version chooses it: validations too. Images a
second are those of all steps over the time from the first step to the last. AP is that of the report at the end, by the
scoring of its version. A run adds its line to the table when it ends and is not repeated.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from anchorloc.config import read_config
from benchmarks.accuracy import KEY, WEIGHTS, Row, read_table, write_rows
from benchmarks.timing import circumstances, markdown, recording_parser, table_of_runs

ROOT = Path(__file__).resolve().parents[1]


def main(argv: Sequence[str] | None = None) -> int:
    """Train the runs that the table lacks, and print a summary."""
    parser = recording_parser(__doc__)
    parser.add_argument("data", type=Path, metavar="DATA")
    parser.add_argument("peer", type=Path, metavar="PEER", help="a working tree of the other version")
    parser.add_argument("--sets", nargs="+", default=["bccd", "fruits"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument(
        "--table", type=Path, help="table of finished runs (default: in --out; with --record, in results)"
    )
    parser.add_argument("--out", type=Path, default=Path("runs/two_versions"))
    parser.add_argument("--summary", action="store_true", help="print the summary of the table and train nothing")
    arguments = parser.parse_args(argv)
    table, data, out = table_of_runs(arguments, "two_versions"), arguments.data.resolve(), arguments.out.resolve()
    trees = {"this": ROOT, "peer": arguments.peer.resolve()}
    for seed in () if arguments.summary else arguments.seeds:
        for name in arguments.sets:
            for version, tree in trees.items():
                key = dict(zip(KEY, (name, f"{arguments.minutes:g}", str(seed), version), strict=True))
                rows = read_table(table)
                if not any(key.items() <= row.items() for row in rows):
                    write_rows(table, [*rows, {**key, **train(tree, data, key, out)}])
                    print(read_table(table)[-1], flush=True)
    print(markdown(summary(read_table(table))))
    return 0


def train(tree: Path, data: Path, key: Row, out: Path) -> Row:
    """Run the command of a tree; return the numbers of the run."""
    folder = out / "-".join(key.values())
    shutil.rmtree(folder, ignore_errors=True)
    words = [
        f"configs/{key['set']}.yaml",
        f"data.root={data / key['set']}",
        f"detector.backbone.weights={data / 'weights' / WEIGHTS['mobilenet_v2']}",
        "detector.backbone.tensorflow_padding=true",
        f"train.length={key['minutes']} minutes",
        f"train.seed={key['seed']}",
    ]
    command = [sys.executable, "-m", "anchorloc.train", *words, "--out", str(folder)]
    environment = {**os.environ, "PYTHONPATH": str(tree)}
    start, cpu = time.perf_counter(), sum(os.times()[:4])
    subprocess.run(command, cwd=tree, env=environment, stdout=subprocess.DEVNULL, check=True)
    seconds = time.perf_counter() - start
    cores = (sum(os.times()[:4]) - cpu) / seconds
    batch = read_config(ROOT / words[0], words[1:]).train.batch_size
    log = [json.loads(line) for line in (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    summary = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))["summary"]
    told = circumstances(("torch", "torchvision"))
    return {
        "steps": str(log[-1]["step"]),
        "validations": str(sum("val/AP" in line for line in log)),
        "images/s": f"{batch * log[-1]['step'] / log[-1]['seconds']:.3f}",
        "AP": f"{summary['AP']:.4f}",
        "AP50": f"{summary['AP50']:.4f}",
        "seconds from start to report": f"{seconds:.0f}",
        "cores": f"{cores:.2f}",
        "commit": _commit(tree),
        **{name: told[name] for name in ("date", "versions", "machine")},
    }


def summary(rows: Sequence[Row]) -> list[Row]:
    """Return the means over the seeds that both versions have, and the ratios of this version to the peer."""
    lines = []
    for name, minutes in dict.fromkeys((row["set"], row["minutes"]) for row in rows):
        runs = {(row["method"], row["seed"]): row for row in rows if (row["set"], row["minutes"]) == (name, minutes)}
        seeds = [seed for version, seed in runs if version == "this" and ("peer", seed) in runs]
        if not seeds:
            continue

        found = {
            (column, version): [float(runs[version, seed][column]) for seed in seeds]
            for column in ("images/s", "AP")
            for version in ("this", "peer")
        }
        pairs = zip(found["images/s", "this"], found["images/s", "peer"], strict=True)
        ratios = [mine / theirs for mine, theirs in pairs]
        more = statistics.mean(found["AP", "this"]) - statistics.mean(found["AP", "peer"])
        lines.append(
            {
                "set": name,
                "minutes": minutes,
                **{
                    f"{column}, {version}": ", ".join(f"{value:.3f}" for value in values)
                    for (column, version), values in found.items()
                },
                "times as many images": f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})",
                "mean AP more than the peer": f"{more:+.3f}",
            }
        )
    return lines


def _commit(tree: Path) -> str:
    git = ["git", "-C", str(tree), "rev-parse", "--short=12", "HEAD"]
    return subprocess.run(git, capture_output=True, text=True, check=False).stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
