"""Export a trained network for other runtimes, and check that the file finds the same objects."""

from __future__ import annotations

MAX_LOSS = 0.01  # AP on val that a network in float16 or int8 may lose
