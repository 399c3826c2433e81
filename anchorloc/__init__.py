"""Anchor-based, multi-scale localization: see, fit, match, train and judge anchors.

Letters used for shapes everywhere: B images of a batch, M boxes of an image, N detections, A anchors over
all levels, K anchors of a cell, L levels, C classes, P positive anchors, H rows, W columns. `boxes` is
always xyxy in continuous pixels.
"""

__version__ = "0.1.0"
