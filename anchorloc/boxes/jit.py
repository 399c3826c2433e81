"""Compile the numba kernels of the package."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress
from importlib.util import find_spec
from typing import Any, TypeVar, cast

found = find_spec("coverage")
hides_folder = found is not None and found.origin is None
if hides_folder:  # one of reports, where Python looks for modules: numba would take it for the package, and fail
    sys.modules["coverage"] = None  # type: ignore[assignment]
from numba import njit  # noqa: E402
from numba.core.caching import FunctionCache  # noqa: E402

if hides_folder:
    del sys.modules["coverage"]

F = TypeVar("F", bound=Callable[..., object])


def kernel(function: F) -> F:
    """Compile `function` on its first call, serial and without the GIL.

    Callers parallelize by threads and worker processes; a parallel kernel in a forked worker can end the process. The
    machine code is cached on disk if a cache folder is writable. Otherwise each process compiles it, where numba would
    refuse to import the module (numba#4908). Division by zero follows IEEE 754, as in NumPy.

    numba's cache does not see a change in a kernel of another file, so kernels that call each other share a file.
    """
    compiled: Any = njit(nogil=True, error_model="numpy")(function)
    with suppress(RuntimeError):  # "no locator available"
        compiled._cache = _Cache(function)  # as cache=True does, with another class
    return cast(F, compiled)


class _Cache(FunctionCache):
    """numba's cache, except that a file that cannot be read or written costs only time."""

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Return the machine code for a signature, or None."""
        try:
            return super().load_overload(sig, target_context)
        except Exception:  # unpickling a damaged file raises almost any type
            self._start_anew()
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Store the machine code for a signature, if the file system allows it."""
        try:
            super().save_overload(sig, data)
        except OSError:
            self.disable()

    def _start_anew(self) -> None:
        try:
            self.flush()
        except OSError:
            self.disable()
