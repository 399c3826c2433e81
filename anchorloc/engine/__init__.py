"""A config to a run: the loop, inference, and judging."""
