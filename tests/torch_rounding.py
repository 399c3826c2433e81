"""Whether torch rounds as the version that the expected numbers of tests were made with."""

from __future__ import annotations

import torch

ROUNDS_ALIKE = tuple(map(int, torch.__version__.split(".")[:2])) >= (2, 15)  # with 2.11, scores differ by 1e-4
