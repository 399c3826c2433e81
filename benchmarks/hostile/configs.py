"""Cases with bad and odd config files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from benchmarks.hostile.base import TINY, data_set, write
from benchmarks.hostile.item import Item

BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)
GOOD: dict[str, object] = {
    "empty": "",
    "a comment": "# nothing\n",
    "1e-4 a number": "train: {optimizer: {kind: AdamW, learning_rate: 1e-4}}\n",
    "an integer for a float": "train: {ema: 0}\n",
    "byte order mark": "\ufefftrain: {seed: 3}\n",
    "Windows line ends": "train:\r\n  seed: 3\r\n",
    "quoted words": "train: {device: 'cpu', \"seed\": 3}\n",
    "another kind": "assign: {kind: MaxIoUAssigner, positive_iou: 0.6}\n",
    "Persian comment": "# سگ\ntrain: {seed: 3}\n",
    "document marks": "---\ntrain: {seed: 3}\n...\n",
}
BAD: dict[str, object] = {
    "python tag that runs code": "train: !!python/object/apply:os.system ['touch taken']\n",
    "python tag of a name": "train: !!python/name:os.system\n",
    "own tag": "train: !Train {seed: 3}\n",
    "unknown key": "trian: {seed: 3}\n",
    "mistyped key": "train: {sede: 3}\n",
    "key twice": "train: {seed: 3, seed: 4}\n",
    "group twice": "train: {seed: 3}\ntrain: {seed: 4}\n",
    "alias": "train: &t {seed: 3}\ndata: *t\n",
    "alias bomb": BOMB,
    "merge key": "train: {<<: {seed: 3}}\n",
    "number as a string": "train: {seed: '3'}\n",
    "rate as a string": "train: {optimizer: {learning_rate: '1e-4'}}\n",
    "rate negative": "train: {optimizer: {learning_rate: -1}}\n",
    "rate not a number": "train: {optimizer: {learning_rate: .nan}}\n",
    "rate infinite": "train: {optimizer: {learning_rate: .inf}}\n",
    "norm not a number": "train: {clip_norm: .nan}\n",
    "batch of 0": "train: {batch_size: 0}\n",
    "batch of 1.5": "train: {batch_size: 1.5}\n",
    "batch true": "train: {batch_size: true}\n",
    "batch yes": "train: {batch_size: yes}\n",
    "batch of 400 digits": f"train: {{batch_size: {'9' * 400}}}\n",
    "batch null": "train: {batch_size: null}\n",
    "batch a time of day": "train: {batch_size: 12:30:45}\n",
    "seed negative": "train: {seed: -1}\n",
    "threads negative": "train: {threads: -1}\n",
    "keep 0": "train: {keep_checkpoints: 0}\n",
    "length in words": "train: {length: a while}\n",
    "length 0": "train: {length: 0 epochs}\n",
    "unknown kind": "assign: {kind: Magic}\n",
    "kind of another place": "assign: {kind: AdamW}\n",
    "group as a word": "train: fast\n",
    "group as a list": "train: [1, 2]\n",
    "device unknown": "train: {device: abacus}\n",
    "thresholds the wrong way": "assign: {kind: MaxIoUAssigner, positive_iou: 0.3, negative_iou: 0.4}\n",
    "strides that fit no map": "anchors: {strides: [8, 16]}\n",
    "scales empty": "anchors: {scales: []}\n",
    "scale negative": "anchors: {scales: [-4]}\n",
    "ratio 0": "anchors: {height_to_width: [0]}\n",
    "top level a list": "- train\n- data\n",
    "top level a word": "train\n",
    "tab": "train:\n\tseed: 3\n",
    "bracket open": "train: {seed: 3\n",
    "two documents": "train: {seed: 3}\n---\ntrain: {seed: 4}\n",
    "list as a key": "? [a, b]\n: 3\n",
    "nested 10,000 deep": "train: " + "[" * 10_000,
    "bytes": bytes(range(256)),
    "UTF-16": "train: {seed: 3}\n".encode("utf-16"),
    "2 MB": "# " + "x" * 2_000_000,
    "a pipe": None,
}


def items() -> Iterator[Item]:
    """Yield every case, with a valid data set."""
    for name, content in GOOD.items():
        yield Item(f"config: {name}", True, "train", lambda folder, c=content: _words(folder, c, True))  # type: ignore[misc]
    for name, content in BAD.items():
        yield Item(f"config: {name}", False, "train", lambda folder, c=content: _words(folder, c, False))  # type: ignore[misc]


def _words(folder: Path, content: object, good: bool) -> list[str]:
    """Return the words of a case: train a good config for a step; overrides must not correct a bad one."""
    words = data_set(folder)
    return [str(write(folder / "config.yaml", content)), *(words if good else words[len(TINY) :])]
