"""Numbers that are none and memory that is not there, as sentences with what to do."""

from __future__ import annotations

import re
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from anchorloc.config import Config
from anchorloc.data import Source
from anchorloc.engine.learner import NotFiniteError
from anchorloc.errors import InputError
from anchorloc.files import write_json
from anchorloc.text import first_few

VALIDATION = "the validation loss"
IMAGES = "not_finite_error.json"  # the images of the last batch whose numbers were none
_WORKER_DIED = re.compile(r"DataLoader worker.*(is killed by signal|exited unexpectedly)|shared memory|\bshm\b")


def image_names(source: Source, ids: Iterable[int | str]) -> list[str]:
    """Return the file names of the images with these ids."""
    places = {source.image_id(index): index for index in range(len(source))}
    return [source.name(places[image]) for image in ids]


def write_images(error: NotFiniteError, names: list[str], folder: Path, step: int) -> Path:
    """Write the `names` of the images, of which one made a number none, into the folder of the run."""
    path = folder / IMAGES
    write_json(path, {"what": error.what, "value": str(error.value), "step": step, "images": names})
    return path


def not_finite_error(
    error: NotFiniteError, names: list[str], folder: Path, step: int, rate: float, skipped: int
) -> InputError:
    """Write the `names` of the images into the folder of the run, and return what to tell the user.

    Args:
        rate: the full learning rate.
        skipped: updates just before that were skipped for the like.
    """
    path = write_images(error, names, folder, step)
    before = f" after {skipped} skipped updates in a row" if skipped else ""
    skip = "" if error.what == VALIDATION else ", or skip up to N such updates in a row by train.skip_nonfinite=N"
    return InputError(
        f"{error.what} became {error.value} at step {step}{before}, by one of {len(names)} images (first: "
        f"{first_few(names)}; all in {path}); the last checkpoint is intact: lower train.optimizer.learning_rate, now "
        f"{rate}, or look at these images{skip}"
    )


@contextmanager
def explained_failures(config: Config, processes: int, then: str = "") -> Iterator[None]:
    """Turn an error of memory, of torch.compile, or of batches too small to be normalized, into a sentence that says
    what to set.

    Args:
        then: what to do after a worker of a loader was killed, in the sentence's last words.

    Raises:
        InputError: memory ran out, here or in a worker of a loader, the network cannot be compiled, or normalization
            has one value to go by.
    """
    try:
        yield
    except ValueError as error:
        if "more than 1 value per channel" not in str(error):
            raise
        raise InputError(
            "batch normalization has a single value at a level of one cell: it needs two images at a time at least "
            f"(train.batch_size, now {config.train.batch_size}, over processes and train.gradient_accumulation, now "
            f"{config.train.gradient_accumulation}), larger images, fewer levels, or detector.head.norm=group"
        ) from None
    except (MemoryError, RuntimeError) as error:
        reason = str(error).splitlines()[0] if str(error) else "no memory"
        if _WORKER_DIED.search(str(error)) or "MemoryError in DataLoader worker" in reason:
            _release_frames(error)
            raise InputError(
                "a loader worker was killed, most often by the system for want of memory, or of shared memory "
                f"(/dev/shm; of a container: --shm-size): lower train.workers, now {config.train.workers}, or "
                f"train.image_cache_mb, now {config.train.image_cache_mb} ({reason}){then}"
            ) from None
        if isinstance(error, MemoryError | torch.OutOfMemoryError) or "can't allocate memory" in str(error):
            _release_frames(error)
            raise InputError(f"memory ran out in {_for_networks(config, processes)} ({reason})") from None
        if config.train.compile and _is_compile_error(error):
            raise InputError(
                f"torch.compile cannot compile the network ({_cause(error)}): on a CPU it needs a C++ compiler, g++ or "
                "what CXX names, and Python's headers; or do without it, by train.compile=false"
            ) from None
        raise


def _is_compile_error(error: Exception) -> bool:
    from torch._dynamo.exc import TorchDynamoException  # which takes seconds, unless something has been compiled

    return isinstance(error, TorchDynamoException)


def _cause(error: Exception) -> str:
    """Return the line that says most of why something could not be compiled."""
    lines = [line for line in str(getattr(error, "inner_exception", error)).splitlines() if line.strip()]
    return next((line for line in lines if "error:" in line), lines[0] if lines else type(error).__name__)


def _release_frames(error: BaseException | None) -> None:
    """Free what the frames of an error hold: memory, and loaders, whose other workers, if they died too, would raise
    in the midst of whatever comes next.
    """
    while error is not None:
        traceback.clear_frames(error.__traceback__)
        error = error.__context__


def _for_networks(config: Config, processes: int) -> str:
    settings = config.train
    images = -(-settings.batch_size // (processes * settings.gradient_accumulation))
    more = (
        f"raise train.gradient_accumulation, now {settings.gradient_accumulation}, which changes no batch; or "
        if images > 1
        else ""
    )
    lower = f"train.batch_size, now {settings.batch_size}, or " if images > 1 else ""
    return f"a network of {images} images at a time: {more}lower {lower}transform.resize"
