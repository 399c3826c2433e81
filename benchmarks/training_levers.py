"""Time the training steps of a config with one choice changed at a time.

    python -m benchmarks.training_levers configs/fruits.yaml data.root=DATA     # overrides as for `anchorloc train`

All variants are in one process and take turns. A round is one window of batches (8 steps), read before; it measures
forward, losses, backward and the update, not the loader. "order" draws the images at random instead of sorting a
window by shape; "malloc" gives malloc glibc's own thresholds back; "Muon in bfloat16" is torch's own. The table has the
images a second, and the median of the rounds' ratios to the config as it is.
"""

from __future__ import annotations

import ctypes
import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

from anchorloc.config import Config, read_config
from anchorloc.detector import Batch
from anchorloc.detector.muon import Float32Muon
from anchorloc.engine.batch_samplers import WINDOW
from anchorloc.engine.build import batches, train_loader
from anchorloc.engine.learner import Learner
from anchorloc.engine.system.processes import SINGLE_PROCESS
from anchorloc.startup import keep_memory
from benchmarks.timing import recording_parser, significant, write_table

WARM_UP = 3  # steps
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, GLIBC_THRESHOLD = -1, -3, 131_072  # glibc's values before it adapts them
VARIANTS = {  # name: overrides
    "as it is": (),
    "order": (),
    "malloc": (),
    "Muon in bfloat16": (),
    "AdamW": ("train.optimizer={kind: AdamW}",),
    "frozen norm": ("detector.backbone.frozen_norm=true",),
    "2 frozen stages": ("detector.backbone.frozen_stages=2",),
    "4 frozen stages": ("detector.backbone.frozen_stages=4",),
    "bfloat16": ("train.precision=bfloat16",),
    "compiled": ("train.compile=true",),
}


@dataclass
class Variant:
    """A learner and the batches of its steps."""

    name: str
    learner: Learner
    window: list[Batch]

    def seconds(self) -> float:
        """Return the seconds of the steps of a window."""
        with malloc_of_glibc(self.name == "malloc"):
            start = time.perf_counter()
            for batch in self.window:
                self.learner.update([batch], 0.1)
            return time.perf_counter() - start


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, and write the table."""
    parser = recording_parser(__doc__)
    parser.add_argument("config", type=Path)
    parser.add_argument("overrides", nargs="*", metavar="key=value")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=WINDOW, help=f"steps of a round (default: {WINDOW}, a window)")
    parser.add_argument("--variants", nargs="+", choices=list(VARIANTS), default=list(VARIANTS))
    arguments = parser.parse_args(argv)
    keep_memory()
    variants = []
    for name in dict.fromkeys(["as it is", *arguments.variants]):
        config = read_config(arguments.config, [*arguments.overrides, "train.workers=0", *VARIANTS[name]])
        start = time.perf_counter()
        variants.append(started(name, config, arguments.steps))
        print(f"{name}: ready after {time.perf_counter() - start:.0f} s", flush=True)
    times: dict[str, list[float]] = {variant.name: [] for variant in variants}
    for number in range(arguments.rounds):
        for variant in variants:
            times[variant.name].append(variant.seconds())
            print(f"round {number}: {variant.name}: {times[variant.name][-1]:.2f} s", flush=True)
    images = arguments.steps * config.train.batch_size
    table = f"training_levers_{arguments.config.stem}"
    write_table([row(name, times, images) for name in times], table, ("torch", "torchvision"), record=arguments.record)


def started(name: str, config: Config, steps: int) -> Variant:
    """Build a variant, read its batches and take its first steps."""
    source = config.data.open("train")
    learner = Learner(config, source.categories, SINGLE_PROCESS)
    if name == "Muon in bfloat16":
        with_torchs_muon(learner)
    loader = train_loader(config, source, 0)
    if name == "order":
        object.__setattr__(loader.batch_sampler, "shapes", None)
    stream = batches(loader)
    variant = Variant(name, learner, [next(stream) for _ in range(steps)])
    for batch in variant.window[:WARM_UP]:
        learner.update([batch], 0.1)
    return variant


def with_torchs_muon(learner: Learner) -> None:
    """Replace our Muon by the class it is made from."""
    parts = learner.optimizer.parts
    for place, part in enumerate(parts):
        if isinstance(part, Float32Muon):
            parts[place] = torch.optim.Muon(part.param_groups, adjust_lr_fn="match_rms_adamw")


@contextmanager
def malloc_of_glibc(wanted: bool) -> Iterator[None]:
    """Give malloc the thresholds that glibc begins with, if that is wanted."""
    if wanted:
        library = ctypes.CDLL(None)
        for name in (M_TRIM_THRESHOLD, M_MMAP_THRESHOLD):
            library.mallopt(name, GLIBC_THRESHOLD)
        library.malloc_trim(0)
    yield
    if wanted:
        keep_memory()


def row(name: str, times: dict[str, list[float]], images: int) -> dict[str, str]:
    """Return one line; a ratio is the median of the rounds' ratios, so that slow minutes count for both."""
    pairs = zip(times["as it is"], times[name], strict=True)
    return {
        "variant": name,
        "images/s": significant(statistics.median(images / seconds for seconds in times[name])),
        "times as fast as it is": significant(statistics.median(base / seconds for base, seconds in pairs)),
    }


if __name__ == "__main__":
    main()
