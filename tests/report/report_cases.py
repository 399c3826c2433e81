"""Hostile names, a parser of pages, and photographs of which some cannot be read."""

from __future__ import annotations

import re
import unicodedata
from html.parser import HTMLParser

import numpy as np
from numpy.typing import NDArray

from anchorloc.errors import InputError
from anchorloc.structures import Category, Target
from tests.metrics.evaluation_cases import target

PIXELS = np.full((40, 60, 3), 200, np.uint8)
HOSTILE = [
    "<script>document.title = 'owned'</script>",
    '"><img src=x onerror=alert(1)>',
    "</title></style></svg><h1>",
    "=cmd|' /C calc'!A0",
    "esc \x1b[2J\x1b]0;owned\x07 bell",
    "two\nlines\r\nand\u2028more",
    "\u202eright to left",
    "[red]rich[/red] [link=https://example.com]",
    "| pipe | `code` **bold** <b> [link](https://example.com) \\",
    "{{ 7 * 7 }}{% raw %}",
    "lone \udc80 surrogate",
    "👩‍👩‍👧 العربية 🏴󠁧󠁢󠁥󠁮󠁧󠁿",
    "long " * 2000,
    "",
]


class Page(HTMLParser):
    """Tags, attributes and text of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text: list[str] = []
        self.title = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1] == "title" and not self.title:
            self.title = data
        self.text.append(data.strip())


def controls(text: str) -> set[str]:
    """The characters of `text` that steer a terminal or turn a line around."""
    flag_or_joiner = re.compile("[\u200c\u200d\U000e0020-\U000e007f\n]")
    return {c for c in flag_or_joiner.sub("", text) if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp")}


class Photos:
    """A data set of empty images of which some cannot be read."""

    categories = (Category(1, "cell"),)
    warnings = ()

    def __init__(self, count: int, broken: set[int]) -> None:
        self.count, self.broken = count, broken

    def __len__(self) -> int:
        return self.count

    def image(self, index: int) -> NDArray[np.uint8]:
        if index in self.broken:
            raise InputError(f"photo {index} is broken")
        return PIXELS

    def target(self, index: int) -> Target:
        return target([], [])

    training_target = target

    def image_id(self, index: int) -> int:
        return index

    def size(self, index: int) -> tuple[int, int]:
        return 40, 60

    def name(self, index: int) -> str:
        return str(index)
