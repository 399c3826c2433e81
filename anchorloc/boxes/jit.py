"""How every numba kernel of the package is compiled."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

from numba import njit

F = TypeVar("F", bound=Callable[..., object])


def kernel(function: F) -> F:
    """Compile `function` on its first call: serial and without the GIL, because the callers' threads and worker
    processes are the parallelism (a parallel kernel in a forked worker can end the process).

    The machine code is cached on disk where a folder for it is writable, and made anew in each process where none is
    (numba would refuse to import the module: numba#4908). Division by zero follows IEEE 754, as in NumPy.

    numba's cache does not see a change in a kernel of another file, so kernels that call each other share a file.
    """
    try:
        return cast(F, njit(nogil=True, error_model="numpy", cache=True)(function))
    except RuntimeError:  # "no locator available"
        return cast(F, njit(nogil=True, error_model="numpy")(function))
