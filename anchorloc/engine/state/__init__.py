"""The folder of a run: settings, checkpoints, and the checks of a resume."""
