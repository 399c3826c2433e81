"""Train, run and judge the detector that a config describes."""
