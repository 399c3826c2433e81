"""The commands and code of README.md and docs/."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from anchorloc.__main__ import COMMANDS

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PAGES = {"README.md": ROOT / "README.md"} | {
    path.relative_to(DOCS).as_posix(): path for path in sorted(DOCS.rglob("*.md"))
}


def blocks(page: str, language: str) -> list[str]:
    """Return the fenced blocks of a language, in order."""
    return re.findall(rf"```{language}\n(.*?)```", PAGES[page].read_text(encoding="utf-8"), re.DOTALL)


def commands(page: str) -> list[list[str]]:
    """Return the commands of all sh blocks as words, without `uv run`; join lines that end in a backslash."""
    lines = "\n".join(blocks(page, "sh")).replace("\\\n", " ").splitlines()
    parts = [part for line in lines for part in _split(shlex.split(line, comments=True))]
    return [words[2:] if words[:2] == ["uv", "run"] else words for words in parts]


def _split(words: list[str]) -> list[list[str]]:
    """Split a line at &&; return nothing for a comment."""
    if "&&" in words:
        place = words.index("&&")
        return [words[:place], *_split(words[place + 1 :])]
    return [words] if words else []


def mentions(page: str) -> list[list[str]]:
    """Return every command in a block or in the text, as its module and words."""
    text = PAGES[page].read_text(encoding="utf-8").replace("\\\n", " ")
    start = rf"-m (?:anchorloc|benchmarks)\.[a-z_]+|\banchorloc (?:{'|'.join(COMMANDS)})\b"
    return [
        [re.sub(r"^-m |^(?=anchorloc )", "", found).replace("anchorloc ", "anchorloc."), *rest.split()]
        for found, rest in re.findall(rf"({start})((?:(?!&&|{start})[^`\n#])*)", text)
    ]
