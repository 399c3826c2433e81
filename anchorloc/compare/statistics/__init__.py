"""Scores of settings × seeds on the same images in; differences, intervals and verdicts out."""
