"""Export a trained network for other runtimes, and check that the file finds the same objects."""
