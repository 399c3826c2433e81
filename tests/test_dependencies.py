"""docs/dependencies.md names every package that comes with this one, and none has a license that binds its users."""

from __future__ import annotations

import re
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

PAGE = Path(__file__).resolve().parents[1] / "docs" / "dependencies.md"
PERMISSIVE = re.compile(r"Apache|BSD|MIT|PSF|ISC|Zlib|NVIDIA", re.IGNORECASE)
COPYLEFT = re.compile(r"\b[AL]?GPL|GNU|MPL|EUPL|SSPL", re.IGNORECASE)


def plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def runtime_packages(name: str, found: dict[str, str]) -> dict[str, str]:
    """The installed packages that `name` needs, itself included, with what they say of their license."""
    try:
        package = metadata.distribution(name)
    except metadata.PackageNotFoundError:  # for another platform
        return found
    if plain(name) not in found:
        told = [word for key in ("License-Expression", "License") for word in package.metadata.get_all(key) or []]
        told += [line for line in package.metadata.get_all("Classifier") or [] if line.startswith("License")]
        found[plain(name)] = " ".join(told)
        for line in package.requires or []:
            needed = Requirement(line)
            if needed.marker is None or needed.marker.evaluate({"extra": ""}):
                runtime_packages(needed.name, found)
    return found


def named() -> set[str]:
    rows = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| ")][1:]
    return {name.strip() for row in rows for name in row.split("|")[1].split(",")}


def test_every_package_is_named_on_the_page() -> None:
    packages = {name for name in runtime_packages("anchorloc", {}) if not name.startswith("nvidia-")}
    assert packages - {"anchorloc"} - named() == set()


def test_no_license_is_unknown_or_copyleft() -> None:
    packages = runtime_packages("anchorloc", {})
    assert len(packages) > 20
    for name, license in packages.items():
        if name == "cuda-toolkit":  # an empty package that only needs others
            continue
        assert PERMISSIVE.search(license), f"{name}: {license[:80]!r}"
        assert not COPYLEFT.search(license), f"{name}: {license[:80]!r}"


def test_copyleft_is_told_from_permissive() -> None:
    assert COPYLEFT.search("GNU Lesser General Public License v3")
    assert COPYLEFT.search("LGPL-2.1")
    assert not COPYLEFT.search("BSD-3-Clause AND MIT")
