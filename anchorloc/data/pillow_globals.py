"""Change what Pillow keeps for the whole process while images are read: its pixel limit and the warning filters."""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from PIL import Image


class _PillowGlobals:
    """Pillow's pixel limit and Python's warning filters, changed while any thread reads an image.

    Both are global to the process. A thread that restored them for itself would change them under another thread, so
    the last one to finish restores them. The limit only rises meanwhile; each reader checks its own.
    """

    def __init__(self) -> None:
        self.lock, self.readers = threading.Lock(), 0
        self.limit: int | None = None
        self.filters = warnings.catch_warnings()

    @contextmanager
    def allowing(self, max_pixels: int) -> Iterator[None]:
        with self.lock:
            if not self.readers:
                self.limit, self.filters = Image.MAX_IMAGE_PIXELS, warnings.catch_warnings()
                self.filters.__enter__()
                warnings.simplefilter("ignore")  # odd but harmless metadata
            self.readers += 1
            if Image.MAX_IMAGE_PIXELS is not None:
                Image.MAX_IMAGE_PIXELS = max(Image.MAX_IMAGE_PIXELS, max_pixels)
        try:
            yield
        finally:
            with self.lock:
                self.readers -= 1
                if not self.readers:
                    self.restore()

    def restore(self) -> None:
        Image.MAX_IMAGE_PIXELS = self.limit
        self.filters.__exit__(None, None, None)

    def after_fork(self) -> None:
        """Forget the threads of the parent process, which a forked child does not have."""
        if self.readers:
            self.restore()
        self.lock, self.readers = threading.Lock(), 0


_GLOBALS = _PillowGlobals()
allowing = _GLOBALS.allowing
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_GLOBALS.after_fork)
