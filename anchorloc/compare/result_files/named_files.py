"""The words of a comparison: FILE or name=FILE; several files of one name are its seeds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import takewhile
from pathlib import Path

from anchorloc.errors import InputError
from anchorloc.files import digest, exists, refuse_missing
from anchorloc.text import did_you_mean, shorten

NamedFiles = Mapping[str, tuple[Path, ...]]


def name_files(words: Sequence[str]) -> NamedFiles:
    """Return the files of each name, in the order of the words.

    A file without a name is named after itself, or by the folders in which the paths differ where several files have
    one stem.

    Raises:
        InputError: a file is missing or given twice, two files of one name have the same content, a name is empty, or
            there is only one name.
    """
    pairs = [_split(word) for word in words]
    _refuse_missing_or_repeated([path for _, path in pairs])
    alike = defaultdict(list)
    for path in (path for name, path in pairs if name is None):
        alike[path.stem].append(path)
    names = {path: name for paths in alike.values() for path, name in zip(paths, _differing_parts(paths), strict=True)}
    given = {name for name, _ in pairs}
    named: dict[str, tuple[Path, ...]] = {}
    for name, path in pairs:
        known = names[path] if name is None else name
        if name is None and known in {*given, *named}:
            raise InputError(f"two files are named {shorten(known)}; give {path} another name with name={path}")
        named[known] = (*named.get(known, ()), path)
    _refuse_equal_seeds(named)
    if len(named) < 2:
        raise InputError(f"{shorten(next(iter(named)))} is the only name; give the result files of at least two names")
    return named


def _differing_parts(paths: Sequence[Path]) -> list[str]:
    """Return the stem of a single path; of several, their folders without those that begin or end all of them."""
    if len(paths) == 1:
        return [paths[0].stem]
    folders = [path.parent.parts for path in paths]
    before = _equal_at_start(folders)
    after = _equal_at_start([parts[:before:-1] for parts in folders])  # the first that differs stays
    middle = [parts[before : len(parts) - after] for parts in folders]
    return [str(Path(*parts)) if parts else str(path.parent) for parts, path in zip(middle, paths, strict=True)]


def _equal_at_start(lists: Sequence[Sequence[str]]) -> int:
    return len(list(takewhile(lambda column: len(set(column)) == 1, zip(*lists, strict=False))))


def same_content(named: NamedFiles) -> list[str]:
    """Return a warning for each file that has the content of a file of an earlier name."""
    known: dict[str, Path] = {}
    warnings = []
    for path in (path for paths in named.values() for path in paths):
        content = digest(path)
        if content in known:
            warnings.append(f"{known[content]} and {path} have the same content, so nothing differs between them")
        known.setdefault(content, path)
    return warnings


def compared_pairs(names: Sequence[str], reference: str | None) -> list[tuple[str, str]]:
    """Return the pairs (name, against): all names against `reference`, or each against every earlier one.

    Raises:
        InputError: `reference` is no name.
    """
    if reference is None:
        return [(name, against) for place, name in enumerate(names) for against in names[:place]]
    if reference not in names:
        raise InputError(f"--reference: there is no name {reference!r}; {did_you_mean(reference, names)}")
    return [(name, reference) for name in names if name != reference]


def _split(word: str) -> tuple[str | None, Path]:
    """Return name and path of a word; an existing path is never split."""
    name, sign, path = word.partition("=")
    if not sign or exists(word):
        return None, Path(word)
    if not name.strip() or not path:
        raise InputError(f"{word!r} lacks a name or a file; give name=FILE")
    return name, Path(path)


def _refuse_missing_or_repeated(paths: Sequence[Path]) -> None:
    seen: set[Path] = set()
    for path in paths:
        refuse_missing(path)
        if path.resolve() in seen:
            raise InputError(f"{path} is given twice; give every result file once")
        seen.add(path.resolve())


def _refuse_equal_seeds(named: NamedFiles) -> None:
    for name, paths in named.items():
        if len(paths) > 1 and len({digest(path) for path in paths}) < len(paths):
            raise InputError(
                f"two files of {shorten(name)} have the same content, so they are not results of two seeds; "
                "give each seed's own file"
            )
