"""Turn NaN losses, out-of-memory errors and dead loader workers into error messages that say what to change."""

from __future__ import annotations

import multiprocessing
import re
import sys
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from anchorloc.config import Config, TrainSettings
from anchorloc.data import Source
from anchorloc.engine.learner import NotFiniteError
from anchorloc.errors import InputError
from anchorloc.files import write_json
from anchorloc.text import counted, first_few

VALIDATION = "the validation loss"
IMAGES = "not_finite.json"  # names the images of the last batch with a NaN or infinite loss
_WORKER_DIED = re.compile(r"DataLoader worker.*(is killed by signal|exited unexpectedly)|shared memory|\bshm\b")


def image_names(source: Source, ids: Iterable[int | str]) -> list[str]:
    """Return the file names of the images with these ids."""
    places = {source.image_id(index): index for index in range(len(source))}
    return [source.name(places[image]) for image in ids]


def write_images(error: NotFiniteError, names: list[str], folder: Path, step: int) -> Path:
    """Write the names of the images of a batch with a NaN or infinite loss into the run folder."""
    path = folder / IMAGES
    write_json(path, {"what": error.what, "value": str(error.value), "step": step, "images": names})
    return path


def not_finite_error(
    error: NotFiniteError, names: list[str], folder: Path, step: int, settings: TrainSettings, skipped: int
) -> InputError:
    """Write the names of the images into the run folder, and return an error that names the settings to change.

    Args:
        skipped: updates that were skipped just before for the same reason.
    """
    path = write_images(error, names, folder, step)
    before = f" after {skipped} skipped updates in a row" if skipped else ""
    skip = "" if error.what == VALIDATION else ", or set train.skip_nonfinite=N to skip up to N such updates in a row"
    return InputError(
        f"{error.what} became {error.value} at step {step}{before}, on a batch of {len(names)} images (first: "
        f"{first_few(names)}; all in {path}); the last checkpoint is intact: lower train.optimizer.learning_rate, now "
        f"{settings.optimizer.learning_rate}, or check these images{skip}"
    )


@contextmanager
def explained_failures(config: Config, processes: int, then: str = "") -> Iterator[None]:
    """Turn failures of memory and torch.compile into an InputError that names the setting.

    Args:
        then: last words of the message about a killed loader worker, such as how to resume.

    Raises:
        InputError: memory ran out, here or in a loader worker, or the network cannot be compiled.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        reason = str(error).splitlines()[0] if str(error) else "no memory"
        if _WORKER_DIED.search(str(error)) or "MemoryError in DataLoader worker" in reason:
            _release_frames(error)
            unguarded = _unguarded() if "killed by signal" not in str(error) else ""
            raise InputError(
                f"a loader worker was killed, {unguarded}most often because memory or shared memory ran out (/dev/shm; "
                f"in a container: --shm-size): lower train.workers, now {config.train.workers}, or "
                f"train.image_cache_mb, now {config.train.image_cache_mb} ({reason}){then}"
            ) from None
        if isinstance(error, MemoryError | torch.OutOfMemoryError) or "can't allocate memory" in str(error):
            _release_frames(error)
            raise _memory_error(config, processes, reason) from None
        if config.train.compile and _is_compile_error(error):
            raise InputError(
                f"torch.compile cannot compile the network ({_cause(error)}): on a CPU it needs a C++ compiler (g++, "
                "or the one that CXX names) and Python's headers; or set train.compile=false"
            ) from None
        raise


def _unguarded() -> str:
    """Return the advice for a script whose workers import it again, where they are not forked."""
    by_default = "fork" if sys.platform == "linux" else "spawn"
    if (multiprocessing.get_start_method(allow_none=True) or by_default) == "fork":
        return ""
    return (
        "because a script calls anchorloc.train without `if __name__ == '__main__':` around the call (workers import "
        "the script again), or "
    )


def _is_compile_error(error: Exception) -> bool:
    from torch._dynamo.exc import TorchDynamoException  # takes seconds to import, unless something was compiled

    return isinstance(error, TorchDynamoException)


def _cause(error: Exception) -> str:
    """Return the most informative line of a compile error."""
    lines = [line for line in str(getattr(error, "inner_exception", error)).splitlines() if line.strip()]
    return next((line for line in lines if "error:" in line), lines[0] if lines else type(error).__name__)


def _release_frames(error: BaseException | None) -> None:
    """Free what the frames of an error hold: memory, and loaders, whose dead workers would raise again later."""
    while error is not None:
        traceback.clear_frames(error.__traceback__)
        error = error.__context__


def _memory_error(config: Config, processes: int, reason: str) -> InputError:
    settings = config.train
    images = settings.micro_batch(processes)
    problem = f"memory ran out with {counted(images, 'image')} at a time ({reason})"
    if images == 1:
        return InputError(f"{problem}: lower transform.resize")
    return InputError(
        f"{problem}: raise train.gradient_accumulation, now {settings.gradient_accumulation}, which keeps the batch "
        f"size; or lower train.batch_size, now {settings.batch_size}, or transform.resize"
    )
