"""The whole pipeline on a system that has nothing of Linux; spawned workers import this file before anything else."""

import errno
import multiprocessing
import os
import signal
import sys
from pathlib import Path

import numba  # noqa: F401 - what other packages do at import is theirs
import torch  # noqa: F401

SETTINGS = (
    "data={train_images: 4, val_images: 2, size: 64}",
    "detector.backbone={channels: [8, 8, 8, 8], blocks: [1, 1, 1, 1]}",
    "detector.pyramid.channels=8",
    "detector.head={channels: 8, depth: 1}",
    "train={length: 2 iterations, batch_size: 2, precision: float32}",
)
STUDY = """
common:
  data: {train_images: 2, val_images: 10, size: 64}
  detector:
    backbone: {channels: [8, 8, 8, 8], blocks: [1, 1, 1, 1]}
    pyramid: {channels: 8}
    head: {channels: 8, depth: 1}
  train: {length: 1 iteration, batch_size: 2, workers: 0, precision: float32}
settings:
  Narrow:
  narrow: {detector: {head: {depth: 2}}}
seeds: 2
baseline: Narrow
"""


def refuse(*_: object, **__: object) -> None:
    raise OSError(errno.EPERM, "no links on this file system")


def imitate() -> None:
    """Remove from this process what other systems lack."""
    for name in ("fork", "register_at_fork", "sched_getaffinity", "sysconf"):
        vars(os).pop(name, None)
    for name in ("SIGKILL", "SIGUSR1", "SIGUSR2"):
        vars(signal).pop(name, None)
    vars(os).update(link=refuse, symlink=refuse)
    vars(sys).update(platform="darwin")


if __name__ in ("__main__", "__mp_main__"):  # not where pytest imports this file
    imitate()
if __name__ == "__mp_main__":
    with Path(os.environ["SPAWNED"]).open("a", encoding="utf-8") as file:
        file.write(f"{sys.platform}\n")


def main(out: Path) -> None:
    import anchorloc
    from anchorloc import shapes
    from anchorloc.compare import __main__ as compare
    from anchorloc.predict import __main__ as predict

    multiprocessing.set_start_method("spawn")
    run = anchorloc.train.run(None, *SETTINGS, "train.workers=1", out=out / "run", force=True)
    anchorloc.evaluate.run(run.folder, "train.workers=0", resamples=0, out=out / "judged")
    assert shapes.main([str(out / "photos"), "--train-images", "1", "--val-images", "1", "--size", "64"]) == 0
    assert predict.main([str(run.best), str(out / "photos"), "--out", str(out / "found")]) == 0
    (out / "study.yaml").write_text(STUDY, encoding="utf-8")
    assert compare.main([str(out / "study.yaml"), "--out", str(out / "study")]) == 0


if __name__ == "__main__":
    main(Path(sys.argv[1]))
