"""What a run keeps in its folder: settings, checkpoints, and what a resume checks."""
