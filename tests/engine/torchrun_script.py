"""A training of which one process fails once at its 5th step, or never starts; started by torchrun."""

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


if __name__ == "__main__":
    if sys.argv[1] == "absent" and os.environ["RANK"] == "1":
        sys.exit(3)
    Training.step = stepped  # type: ignore[method-assign]
    sys.exit(run_command(train.main, sys.argv[2:]))
