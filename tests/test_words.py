"""Words that readers stumble over stay out of comments, docstrings, messages, pages and configs."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
CODE = [path for folder in ("anchorloc", "benchmarks", "tests") for path in sorted((ROOT / folder).rglob("*.py"))]
TEXT = [
    *(
        ROOT / name
        for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "pyproject.toml", "benchmarks/README.md")
    ),
    *(
        path
        for folder in ("docs", "configs")
        for path in sorted((ROOT / folder).rglob("*"))
        if path.suffix in (".md", ".yaml")
    ),
    *(path for path in sorted((ROOT / "anchorloc").rglob("*.html"))),
]
PROSE = {  # pattern in any prose: the word to write instead
    r"\bremed(y|ies)\b": "suggestion, change or fix",
    r"\btroubles?\b": "failure, error or weak group",
    r"\b(is|are|was|were|be|been|gets?) told\b": "is printed, is reported or is given",
    r"\btells?\b": "prints, reports, explains or shows",
    r"\brooms?\b": "package",
    r"\bfloors?\b": "layer",
    r"\bfates?\b": "status",
    r"\bis no number\b|\bthat (is|are) none\b": "is NaN or infinite",
    r"^\| so( in| \||:|,)|\| so( in| \||:|,)": "passed, yes, or a number",
}
COMMENT = {  # pattern at the start of a comment
    r"# (of|that|what|which|those|whose)\b": "a sentence that stands alone: it gives the reason, a shape or a unit",
}
DOCSTRING = {  # pattern at the start of a docstring
    r"(Those|That|The same|All) of\b": "what a caller gets",
    r"\(?[A-Z](, ?[A-Z0-9])*,?\)?\.?$": "nothing: the type and a trailing comment give the shape",
    r"\S+\.$|For people": "what a caller gets, or nothing",
}


def comments(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the line and text of each comment."""
    for token in tokenize.generate_tokens(io.StringIO(path.read_text(encoding="utf-8")).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


@lru_cache(1)
def nodes(path: Path) -> list[ast.AST]:
    return [*ast.walk(ast.parse(path.read_text(encoding="utf-8")))]


def docstrings(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the line and text of each docstring."""
    for node in nodes(path):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node)
            if text is not None:
                yield node.body[0].lineno, text


def strings(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the line and text of each string, docstrings and parts of f-strings included."""
    for node in nodes(path):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value


def lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the lines of a file."""
    yield from enumerate(path.read_text(encoding="utf-8").splitlines(), 1)


def found(path: Path, texts: Iterable[tuple[int, str]], patterns: dict[str, str], start: bool = False) -> Iterator[str]:
    """Yield a sentence for every text that has one of the patterns."""
    for line, text in texts:
        for pattern, better in patterns.items():
            match = re.match(pattern, text) if start else re.search(pattern, text, re.IGNORECASE | re.MULTILINE)
            if match:
                before = text[: match.start()].count("\n")
                yield f"{path.relative_to(ROOT)}:{line + before}: {match[0]!r}; write {better}"


@pytest.mark.parametrize(
    "path", [path for path in CODE if path != Path(__file__)], ids=lambda path: str(path.relative_to(ROOT))
)
def test_the_words_of_code(path: Path) -> None:
    said = [*comments(path)]
    wrong = [
        *found(path, said, PROSE),
        *found(path, said, COMMENT, start=True),
        *found(path, strings(path), PROSE),
        *found(path, docstrings(path), DOCSTRING, start=True),
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("path", TEXT, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_words_of_pages(path: Path) -> None:
    wrong = [*found(path, lines(path), PROSE)]
    if path.suffix in (".yaml", ".toml"):
        wrong += found(path, ((line, re.sub("^.*?(?=#)", "", text)) for line, text in lines(path)), COMMENT, start=True)
    assert not wrong, "\n".join(wrong)
