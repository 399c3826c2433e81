"""A training of which one process ends itself at its 5th step, once; started by torchrun."""

import os
import signal
import sys
from collections.abc import Sequence

from anchorloc import train
from anchorloc.cli import run_command
from anchorloc.detector import Batch
from anchorloc.engine.system.processes import restarted
from anchorloc.engine.training import Training

SIGNALS = {"kill": signal.SIGKILL, "terminate": signal.SIGTERM}
step = Training.step


def stepped(self: Training, micro_batches: Sequence[Batch], lr_factor: float) -> dict[str, float]:
    losses = step(self, micro_batches, lr_factor)
    if self.clock.step == 5 and not self.processes.first and not restarted():
        os.kill(os.getpid(), SIGNALS[sys.argv[1]])
    return losses


def main() -> int:
    Training.step = stepped  # type: ignore[method-assign]
    return run_command(train.main, sys.argv[2:])


if __name__ == "__main__":
    sys.exit(main())
