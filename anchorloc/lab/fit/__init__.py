"""Anchor shapes for a data set, chosen by what the boxes overlap on the real grid, each level within its own sizes."""

from anchorloc.lab.fit.fit import Fit, FitSettings, fit

__all__ = ["Fit", "FitSettings", "fit"]
