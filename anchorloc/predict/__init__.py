"""A trained network on pictures: the Python API, tiles, and what the command writes."""
