"""The CPU quota and the memory limit of a process, and what the image cache takes of it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from anchorloc.cgroups import cpu_quota, memory_limit
from anchorloc.engine import build
from anchorloc.engine.build import cache_bytes

MACHINE = memory_limit(Path("/nowhere"), Path("/nowhere"))  # its whole memory, where the system knows


def cgroup(folder: Path, membership: str, files: Mapping[str, str]) -> tuple[Path, Path]:
    """Write these files, and the /proc/self/cgroup of a process; return both places."""
    for name, text in files.items():
        (folder / "mounts" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "mounts" / name).write_text(text)
    (folder / "cgroup").write_text(membership)
    return folder / "mounts", folder / "cgroup"


@pytest.mark.parametrize(
    ("membership", "files", "cores"),
    [
        ("0::/job\n", {"job/cpu.max": "25000 100000\n"}, 0.25),
        ("0::/a/b\n", {"a/cpu.max": "150000 100000\n", "a/b/cpu.max": "max 100000\n"}, 1.5),
        ("0::/a/b\n", {"a/cpu.max": "150000 100000\n", "a/b/cpu.max": "50000 100000\n"}, 0.5),
        ("0::/\n", {"cpu.max": "200000 100000\n"}, 2.0),
        ("0::/\n", {}, None),
        ("0::/host/path\n", {"cpu.max": "200000 100000\n"}, 2.0),
        ("3:cpu,cpuacct:/job\n", {"cpu/job/cpu.cfs_quota_us": "75000", "cpu/job/cpu.cfs_period_us": "50000"}, 1.5),
        ("3:cpu:/docker/1\n", {"cpu/cpu.cfs_quota_us": "25000", "cpu/cpu.cfs_period_us": "100000"}, 0.25),
        ("3:cpu:/\n0::/\n", {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, None),
        ("2:cpuset:/\n", {"cpuset/cpu.cfs_quota_us": "1", "cpuset/cpu.cfs_period_us": "100000"}, None),
        ("0::/\n", {"cpu.max": "many 100000\n"}, None),
        ("0::/\n", {"cpu.max": "100000 0\n"}, None),
        ("0::/\n", {"cpu.max": ""}, None),
        ("no cgroup\n", {}, None),
    ],
)
def test_the_quota_of_a_cgroup(tmp_path: Path, membership: str, files: Mapping[str, str], cores: float | None) -> None:
    assert cpu_quota(*cgroup(tmp_path, membership, files)) == cores


@pytest.mark.parametrize(
    ("membership", "files", "limit"),
    [
        ("0::/job\n", {"job/memory.max": "1048576\n"}, 1048576),
        ("0::/a/b\n", {"a/memory.max": "2000\n", "a/b/memory.max": "max\n"}, 2000),
        ("4:memory:/job\n", {"memory/job/memory.limit_in_bytes": "3000"}, 3000),
        ("4:memory:/docker/1\n", {"memory/memory.limit_in_bytes": "4000"}, 4000),
        ("0::/\n", {"memory.max": "many\n"}, MACHINE),
        ("0::/\n", {"memory.max": "9223372036854771712\n"}, MACHINE),
        ("0::/\n", {}, MACHINE),
    ],
)
def test_the_memory_limit_of_a_cgroup(
    tmp_path: Path, membership: str, files: Mapping[str, str], limit: int | None
) -> None:
    assert memory_limit(*cgroup(tmp_path, membership, files)) == limit


@pytest.mark.parametrize(
    ("limit", "processes", "expected"),
    [(None, "", 64 << 20), (1 << 40, "", 64 << 20), (80 << 20, "", 10 << 20), (80 << 20, "2", 5 << 20),
     (80 << 20, "two", 10 << 20), (80 << 20, "0", 10 << 20)],
)  # fmt: skip
def test_a_cache_takes_at_most_its_share(
    monkeypatch: pytest.MonkeyPatch, limit: int | None, processes: str, expected: int
) -> None:
    monkeypatch.setattr(build, "memory_limit", lambda: limit)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", processes)
    assert cache_bytes(64) == expected
    assert cache_bytes(0) == 0


def test_without_cgroups_there_is_no_quota(tmp_path: Path) -> None:
    assert cpu_quota(tmp_path, tmp_path / "nothing") is None


def test_a_system_without_these_numbers_has_no_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows has no sysconf; elsewhere it may not know the names."""
    nowhere = Path("/nowhere")

    def refuse(name: str) -> int:
        raise ValueError("unrecognized configuration name")

    monkeypatch.setattr(os, "sysconf", refuse, raising=False)
    assert memory_limit(nowhere, nowhere) is None
    monkeypatch.delattr(os, "sysconf")
    assert memory_limit(nowhere, nowhere) is None
    assert cpu_quota(nowhere, nowhere) is None
    monkeypatch.setattr(build, "memory_limit", lambda: None)
    assert cache_bytes(100) == 100 << 20
