"""Mutate files at random and read them: no exception but the project's own may be raised.

    OMP_NUM_THREADS=1 python -m benchmarks.fuzz_files               # 10,000 annotation files, 2,000 configs, ...
    OMP_NUM_THREADS=1 python -m benchmarks.fuzz_files --every 50    # one in 50

Annotation files and configs are mutated as bytes (flipped, cut, repeated) and as values (a key dropped, a value of
another type); images and checkpoints as bytes. A checkpoint is read as one of ours, and as a foreign one without a
checksum. The benchmark counts exceptions other than InputError, files that took over 2 s, and files that reading
changed.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

import yaml

from anchorloc.checkpoint import load_checkpoint, load_weights
from anchorloc.config import read_config
from anchorloc.data import ShapesData, read_annotations
from anchorloc.data.coco_export import coco_document
from anchorloc.data.images import read_header, read_image
from anchorloc.errors import InputError, ItemError
from benchmarks.hostile import pictures
from benchmarks.hostile.base import SIZE
from benchmarks.hostile.checkpoints import trained

SLOW = 2.0  # seconds
CONFIGS = sorted((Path(__file__).parents[1] / "configs").glob("*.yaml"))
VALUES: list[Any] = [None, True, 0, -1, 1.5, 1e308, 2**70, "", "x", "\ud800", [], [1], {}, {"a": 1}, float("nan")]


def mutate_bytes(data: bytes, chance: Random) -> bytes:
    """Flip, cut or repeat some bytes, up to four times."""
    mutated = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        start = chance.randrange(len(mutated) + 1)
        end = min(len(mutated), start + chance.choice((1, 4, 100)))
        act = chance.randrange(4)
        if act == 0:
            mutated[start:end] = chance.randbytes(end - start)
        elif act == 1:
            del mutated[start:end]
        elif act == 2:
            mutated[start:start] = mutated[start:end]
        elif start < len(mutated):
            mutated[start] ^= 1 << chance.randrange(8)
    return bytes(mutated)


def mutate_value(value: Any, chance: Random) -> Any:
    """Drop or replace one value at any depth, in place."""
    inner = value
    while True:
        keys = list(inner) if isinstance(inner, dict) else list(range(len(inner)))
        if not keys:
            return value
        key = chance.choice(keys)
        if isinstance(inner[key], dict | list) and inner[key] and chance.random() < 0.9:
            inner = inner[key]
        elif chance.random() < 0.3:
            del inner[key]
            return value
        else:
            inner[key] = chance.choice(VALUES)
            return value


def annotation_files(chance: Random) -> Iterator[bytes]:
    """Yield mutations of the annotations of a few scenes."""
    text = json.dumps(coco_document(ShapesData(train_images=4, size=64).open("train")))
    while True:
        yield mutate_bytes(text.encode(), chance)
        yield json.dumps(mutate_value(json.loads(text), chance)).encode()


def config_files(chance: Random) -> Iterator[bytes]:
    """Yield mutations of the project's configs."""
    texts = [path.read_bytes() for path in CONFIGS]
    while True:
        yield mutate_bytes(chance.choice(texts), chance)
        yield yaml.safe_dump(mutate_value(yaml.safe_load(chance.choice(texts)), chance), allow_unicode=True).encode(
            errors="surrogatepass"
        )


def image_files(chance: Random) -> Iterator[bytes]:
    """Yield mutations of images of all formats and modes."""
    files = [make() for make in pictures.GOOD.values()]
    while True:
        yield mutate_bytes(chance.choice(files), chance)


def checkpoint_files(chance: Random) -> Iterator[bytes]:
    """Yield mutations of a trained checkpoint."""
    while True:
        yield mutate_bytes(trained()["best.pt"], chance)


def read_pixels(path: Path) -> None:
    """Read an image as a data set does: its header, then its pixels."""
    try:
        read_header(path)
        read_image(path, SIZE)
    except ItemError as error:  # the data set adds the name
        raise InputError(str(error)) from None


def read_either(path: Path) -> None:
    """Read a checkpoint as a foreign one, and as one of ours."""
    with suppress(InputError):
        load_weights(path)
    load_checkpoint(path)


KINDS: dict[str, tuple[int, Callable[[Random], Iterator[bytes]], Callable[[Path], object]]] = {
    "annotation files": (10_000, annotation_files, read_annotations),
    "configs": (2_000, config_files, read_config),
    "images": (1_000, image_files, read_pixels),
    "checkpoints": (500, checkpoint_files, read_either),
}


def fuzz(kind: str, number: int, seed: int, folder: Path) -> Counter[str]:
    """Read `number` mutations; return the count of each outcome."""
    _, mutations, read = KINDS[kind]
    counts: Counter[str] = Counter()
    path = folder / f"{kind}.bin"
    for place, data in zip(range(number), mutations(Random(f"{seed}/{kind}")), strict=False):
        path.write_bytes(data)
        start = time.perf_counter()
        try:
            read(path)
            counts["read"] += 1
        except InputError:
            counts["refused"] += 1
        except Exception as error:
            counts["other exceptions"] += 1
            print(f"{kind} {place}: {error!r}")
        if time.perf_counter() - start > SLOW:
            counts["slow"] += 1
        if path.read_bytes() != data:
            counts["changed"] += 1
    return counts


def main() -> int:
    """Print the counts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--every", type=int, default=1, metavar="N", help="use only one in N of the files (default: 1)")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    wrong = 0
    with tempfile.TemporaryDirectory() as name:
        for kind, (number, _, _) in KINDS.items():
            counts = fuzz(kind, number // arguments.every, arguments.seed, Path(name))
            print(f"{number // arguments.every:,} {kind}: {dict(counts)}", flush=True)
            wrong += sum(counts.values()) - counts["read"] - counts["refused"]
    print(f"wrong: {wrong}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
