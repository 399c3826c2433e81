"""How much of the machine this process may use: the CPU quota and the memory limit of its cgroups, version 1 or 2."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

MOUNTS: Final = Path("/sys/fs/cgroup")
GROUPS: Final = Path("/proc/self/cgroup")


def cpu_quota(mounts: Path = MOUNTS, groups: Path = GROUPS) -> float | None:
    """Return how many cores this process may keep busy, or None without a limit."""
    quotas = (_quota(folder) for folder in _folders("cpu", mounts, groups))
    return min((quota for quota in quotas if quota is not None), default=None)


def memory_limit(mounts: Path = MOUNTS, groups: Path = GROUPS) -> int | None:
    """Return how many bytes of memory this process may use, or None where nothing says so.

    It is the limit of its cgroups, and at most the memory of the machine.
    """
    limits = [_limit(folder) for folder in _folders("memory", mounts, groups)]
    with suppress(AttributeError, ValueError, OSError):  # Windows has no sysconf, some systems not these names
        limits.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    return min((limit for limit in limits if limit is not None), default=None)


def _folders(controller: str, mounts: Path, groups: Path) -> Iterator[Path]:
    """Yield the folders of the cgroups of this process: a container may see a limit at the mount alone."""
    try:
        lines = groups.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return
    for controllers, group in (line.split(":", 2)[1:] for line in lines if line.count(":") >= 2):
        if not controllers or controller in controllers.split(","):
            place = mounts / (controller if controllers else "") / group.lstrip("/")
            yield from (place, *place.parents)


def _quota(folder: Path) -> float | None:
    """Return the CPU quota of one cgroup in cores."""
    for names in (("cpu.max",), ("cpu.cfs_quota_us", "cpu.cfs_period_us")):
        try:
            quota, period = " ".join((folder / name).read_text(encoding="ascii") for name in names).split()
            cores = int(quota) / int(period)
        except (OSError, ValueError, ZeroDivisionError):  # ValueError: "max" is no limit
            continue
        if cores > 0:  # -1 is no limit
            return cores
    return None


def _limit(folder: Path) -> int | None:
    """Return the memory limit of one cgroup in bytes."""
    for name in ("memory.max", "memory.limit_in_bytes"):
        try:
            limit = int((folder / name).read_text(encoding="ascii"))
        except (OSError, ValueError):  # ValueError: "max" is no limit
            continue
        if limit > 0:
            return limit
    return None
