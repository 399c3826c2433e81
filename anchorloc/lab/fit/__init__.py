"""Fit anchor shapes to the boxes of a data set, by their IoU on the real grid, each level within its size range."""

from anchorloc.lab.fit.fit import Fit, FitSettings, fit_anchors

__all__ = ["Fit", "FitSettings", "fit_anchors"]
