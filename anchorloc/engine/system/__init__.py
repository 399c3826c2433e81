"""What surrounds a run: processes, signals, failures, the terminal and the logs."""
