"""Threads, how they wait, and malloc: what torch and the C library read once, set before torch is loaded.

An OpenMP thread that has no work spins for milliseconds before it sleeps. Where another process uses a core, spinning
threads take the time that working ones need, and a step takes many times as long. Threads that sleep at once are slow
on an idle machine, above all on a virtual one, where waking takes long. So they spin for some microseconds. torch does
not know the CPU quota of a cgroup either. docs/scaling.md has the measurements.
"""

from __future__ import annotations

import ctypes
import logging
import os
import re
import sys
from collections.abc import Collection
from functools import cache
from typing import Final

from anchorloc.cgroups import cpu_quota
from anchorloc.errors import InputError
from anchorloc.text import counted

WAITING: Final = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")  # a user who sets one has chosen
THREADS: Final = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
BRIEF_WAIT: Final = {
    "OMP_WAIT_POLICY": "PASSIVE",  # where another library than libgomp runs the threads
    "GOMP_SPINCOUNT": "1000",  # some 10 microseconds by the estimate in libgomp, whose default is 300 times as long
}
_VALUES: Final = {  # variable: (its values, in words)
    **dict.fromkeys(THREADS, (r"[1-9]\d{0,2}(\s*,\s*[1-9]\d{0,2})*", "a whole number from 1 to 999")),
    "OMP_WAIT_POLICY": ("active|passive", "ACTIVE or PASSIVE"),
    "GOMP_SPINCOUNT": (r"\d{1,15}\s*[kmgt]?|infinit[ey]", "a whole number or INFINITY"),
    "KMP_BLOCKTIME": (r"\d{1,9}\s*(us|ms)?|infinite", "a number of milliseconds or infinite"),
}
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # from malloc.h
_KEPT_BYTES = (1 << 31) - 1  # the greatest int
_MALLOC_VARIABLES = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "MALLOC_MMAP_MAX_", "MALLOC_TOP_PAD_")
_torch_is_prepared = False


def prepare_process() -> list[str]:
    """Set threads, waiting and malloc for a process that runs a command; what the user has set stays.

    The environment changes, so processes that the command starts do the same.

    Returns:
        A sentence for each variable whose value is invalid; it is unset.
    """
    sentences = []
    for name, (values, words) in _VALUES.items():
        value = os.environ.get(name)
        if value is not None and not re.fullmatch(values, value.strip(), re.IGNORECASE):
            del os.environ[name]
            sentences.append(f"{name}={value!r} is ignored: it must be {words}; correct it or unset it")
    os.environ.update(_unset_variables())
    keep_memory()
    return sentences


def import_torch() -> None:
    """Load torch so that its threads soon sleep while they wait, and are at most as many as the CPU quota allows.

    The environment is the same afterwards. Where torch is loaded already, nothing changes.

    Raises:
        InputError: torch is not installed.
    """
    global _torch_is_prepared
    if sys.modules.get("torch") is not None:
        return
    added = _unset_variables()
    os.environ.update(added)
    try:
        import torch

        torch.get_num_threads()  # torch reads the variables now, not at its first operation
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise InputError(
            "torch is not installed, and only .onnx models are used without it; run: pip install torch torchvision"
        ) from None
    finally:
        for name in added:
            os.environ.pop(name, None)
    _torch_is_prepared = True


@cache
def say_what_is_late(threads: int) -> None:
    """Log once what cannot be set any more, because the program loaded torch before this package.

    Args:
        threads: the number of threads of torch.
    """
    if _torch_is_prepared:
        return
    problems, settings = list[str](), list[str]()
    if threads > 1 and not _is_set(WAITING):
        problems.append("its threads spin while they wait, which makes it many times slower on a busy machine")
        settings.extend(f"{name}={value}" for name, value in BRIEF_WAIT.items())
    if threads > (allowed := allowed_cores()) and not _is_set(THREADS):
        problems.append(f"it uses {threads} threads, more than the {counted(allowed, 'core')} that it may keep busy")
        settings.append(f"OMP_NUM_THREADS={allowed}")
    if problems:
        logging.getLogger("anchorloc").warning(
            "torch was loaded before anchorloc: %s; set %s in the environment, or call anchorloc.load before",
            " and ".join(problems),
            " ".join(settings),
        )


def allowed_cores() -> int:
    """Return how many cores this process may keep busy, at least 1: its affinity mask and its CPU quota count."""
    quota = cpu_quota()
    return _affinity() if quota is None else max(1, min(_affinity(), int(quota)))


def keep_memory() -> bool:
    """Let malloc keep the memory of one step for the next, which saves page faults; return whether it does.

    Only glibc can; what the user has set stays.
    """
    if sys.platform != "linux" or _is_set(_MALLOC_VARIABLES) or "glibc.malloc" in os.environ.get("GLIBC_TUNABLES", ""):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # another C library
        return False
    return all([mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES), mallopt(_M_MMAP_THRESHOLD, _KEPT_BYTES)])


def _unset_variables() -> dict[str, str]:
    """Return the variables to set, which the user has not."""
    found = dict[str, str]()
    if not _is_set(WAITING):
        found |= BRIEF_WAIT
    if (cores := allowed_cores()) < _affinity() and not _is_set(THREADS):
        found["OMP_NUM_THREADS"] = str(cores)  # torch itself counts the cores of the affinity mask
    return found


def _is_set(names: Collection[str]) -> bool:
    return any(name in os.environ for name in names)


def _affinity() -> int:
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
