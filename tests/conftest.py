"""Settings of all tests, and the real data where it is present."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

if "PYTEST_XDIST_WORKER" in os.environ:  # workers that share the cores; read by torch, and by the commands under test
    os.environ.setdefault("OMP_NUM_THREADS", "1")

# The first call of a kernel compiles, which a deadline would take for a slow example; seeds are fixed in CI only.
settings.register_profile("anchorloc", deadline=None, derandomize=bool(os.environ.get("CI")))
settings.register_profile("few-examples", deadline=None, derandomize=True, database=None, max_examples=20)
settings.load_profile("anchorloc")

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of the real COCO-format sets; the test is skipped where it is absent."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"no real data sets at {SHARED_DATA}")
    return SHARED_DATA
