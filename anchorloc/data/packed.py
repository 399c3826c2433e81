"""A column of strings that loader workers can share."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from anchorloc.structures import IntArray


@dataclass(frozen=True, eq=False)
class PackedStrings:
    """N strings in two buffers.

    A list of N strings would be copied page by page into every forked worker, as reading counts references.
    """

    data: bytes  # UTF-8
    ends: IntArray  # (N,) where each string ends in `data`

    @classmethod
    def pack(cls, strings: Iterable[str]) -> PackedStrings:
        """Store `strings` in their order."""
        parts = [string.encode("utf-8", "surrogatepass") for string in strings]
        return cls(b"".join(parts), np.cumsum([len(part) for part in parts], dtype=np.int64))

    def __len__(self) -> int:
        return len(self.ends)

    def __getitem__(self, index: int) -> str:
        index = range(len(self.ends))[index]
        start = self.ends[index - 1] if index else 0
        return self.data[start : self.ends[index]].decode("utf-8", "surrogatepass")

    def tolist(self) -> list[str]:
        """Unpack them all."""
        return [self[index] for index in range(len(self))]
