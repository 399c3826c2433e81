"""A trained network as a file for other runtimes, and the check that it finds the same."""
