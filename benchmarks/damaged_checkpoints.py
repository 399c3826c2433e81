"""Damage a checkpoint in two ways, and count how often a resumed run notices and uses the one before it.

    python -m benchmarks.damaged_checkpoints                   # 200 flipped bytes, 50 truncations
    python -m benchmarks.damaged_checkpoints --flips 20 --cuts 5

A short training leaves last.pt and the checkpoint before it. Each trial changes one byte of last.pt, or cuts off its
end, at a random place. A resumed run must report that last.pt is damaged and use the checkpoint before it. For
comparison, torch.load(weights_only=True) alone reads the same files.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import random
import sys
import tempfile
from pathlib import Path

import torch

from anchorloc import train
from anchorloc.cli import run_command
from anchorloc.engine.state.resume import LAST, load_last, older_checkpoints
from benchmarks.kill_and_resume import SETTINGS


def damaged(data: bytes, chance: random.Random, cut: bool) -> bytes:
    """Return `data` with one byte changed, or cut off at one place."""
    place = chance.randrange(len(data))
    if cut:
        return data[:place]
    return data[:place] + bytes([data[place] ^ chance.randrange(1, 256)]) + data[place + 1 :]


def noticed(folder: Path) -> bool:
    """Return whether a run in `folder` reports last.pt as damaged and resumes from the one before it."""
    said: list[str] = []
    (before,) = older_checkpoints(folder)
    state = load_last(folder, said.append, repair=False)
    step = int(before.stem.removeprefix("last-"))
    return (
        state is not None
        and state["step"] == step
        and len(said) == 2
        and str(folder / LAST) in said[0]
        and said[1] == f"going on from {before}, of step {step}"
    )


def loads(path: Path) -> bool:
    """Return whether torch.load alone reads the file."""
    try:
        torch.load(path, weights_only=True)
    except Exception:
        return False
    return True


def main() -> int:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--flips", type=int, default=200)
    parser.add_argument("--cuts", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    chance = random.Random(arguments.seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "run"
        words = [*SETTINGS, "train.length=6 iterations", "train.validate_every=0.5", "train.workers=0"]
        with contextlib.redirect_stdout(io.StringIO()):
            if run_command(train.main, [*words, "--out", str(folder)]) != 0:
                return 1
        whole = (folder / LAST).read_bytes()
        counts, unseen = [], 0
        for cut, number in ((False, arguments.flips), (True, arguments.cuts)):
            found = 0
            for _ in range(number):
                (folder / LAST).write_bytes(damaged(whole, chance, cut))
                found += noticed(folder)
                unseen += loads(folder / LAST)
            counts.append(found)
    print(f"{counts[0]} of {arguments.flips} flipped bytes and {counts[1]} of {arguments.cuts} truncations noticed")
    print(f"({len(whole):,} bytes; torch.load alone takes {unseen} of these files)")
    return 0 if counts == [arguments.flips, arguments.cuts] else 1


if __name__ == "__main__":
    sys.exit(main())
