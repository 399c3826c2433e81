"""Numbers that are none and memory that is not there, as sentences with what to do."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from anchorloc.config import Config
from anchorloc.data import Source
from anchorloc.data.flaws import first_of
from anchorloc.engine.learner import NotFiniteError
from anchorloc.errors import InputError
from anchorloc.files import write_json

IMAGES = "not_finite.json"  # the images of the batch that a run broke off at


def names_of(source: Source, ids: Iterable[int | str]) -> list[str]:
    """Return the file names of the images with these ids."""
    places = {source.image_id(index): index for index in range(len(source))}
    return [source.name(places[image]) for image in ids]


def not_finite(error: NotFiniteError, names: list[str], folder: Path, step: int, rate: float) -> InputError:
    """Write the `names` of the images into the folder of the run, and return what to tell the user.

    Args:
        rate: the full learning rate.
    """
    path = folder / IMAGES
    write_json(path, {"what": error.what, "value": str(error.value), "step": step, "images": names})
    return InputError(
        f"{error.what} became {error.value} at step {step}, by one of {len(names)} images (first: "
        f"{first_of(names)}; all in {path}); the last checkpoint is intact: lower train.optimizer.learning_rate, "
        f"now {rate}, or look at these images"
    )


@contextmanager
def memory_told(config: Config, processes: int) -> Iterator[None]:
    """Turn an error of memory into a sentence that says which setting to lower.

    Raises:
        InputError: memory ran out, here or in a worker of a loader.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        reason = str(error).splitlines()[0] if str(error) else "no memory"
        if isinstance(error, MemoryError | torch.OutOfMemoryError) or "can't allocate memory" in str(error):
            raise InputError(f"memory ran out in {_for_networks(config, processes)} ({reason})") from None
        if "DataLoader worker" in str(error):
            raise InputError(
                f"a loader worker was killed, most often for want of memory: lower train.workers, now "
                f"{config.train.workers}, or train.image_cache_mb, now {config.train.image_cache_mb} ({reason})"
            ) from None
        raise


def _for_networks(config: Config, processes: int) -> str:
    settings = config.train
    images = -(-settings.batch_size // (processes * settings.accumulate))
    more = f"raise train.accumulate, now {settings.accumulate}, which changes no batch; or " if images > 1 else ""
    lower = f"train.batch_size, now {settings.batch_size}, or " if images > 1 else ""
    return f"a network of {images} images at a time: {more}lower {lower}transform.resize"
