"""What the pages of docs/ tell a reader to type."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGES = {path.name: path for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))}


def blocks(page: str, language: str) -> list[str]:
    """The fenced blocks of a language, in order."""
    return re.findall(rf"```{language}\n(.*?)```", PAGES[page].read_text(encoding="utf-8"), re.DOTALL)


def commands(page: str) -> list[list[str]]:
    """The commands of all sh blocks as words, without `uv run`; lines that end in a backslash are joined."""
    lines = "\n".join(blocks(page, "sh")).replace("\\\n", " ").splitlines()
    parts = [part for line in lines for part in _parted(shlex.split(line, comments=True))]
    return [words[2:] if words[:2] == ["uv", "run"] else words for words in parts]


def _parted(words: list[str]) -> list[list[str]]:
    """The commands that && joins; none where the line is a comment."""
    if "&&" in words:
        place = words.index("&&")
        return [words[:place], *_parted(words[place + 1 :])]
    return [words] if words else []


def mentions(page: str) -> list[list[str]]:
    """All that begins with `python -m` or `torchrun`, in a block or in the text, from the module on."""
    text = PAGES[page].read_text(encoding="utf-8").replace("\\\n", " ")
    pattern = r"-m ((?:anchorloc|benchmarks)\.[a-z_]+)\b((?:(?!&&|-m)[^`\n#]|(?<=`)\n)*)"
    return [[module, *rest.split()] for module, rest in re.findall(pattern, text)]
