"""Train, evaluate and use anchor-based object detectors, and see what anchors can find before you train.

`load` reads a model, the modules `train` and `evaluate` do what the commands of these names do, and the packages boxes,
anchors, assign, data and metrics work without torch. docs/public-api.md lists what is public; all else may change.

Letters in shapes: B images in a batch, M boxes in an image, N detections, A anchors of all levels, K anchors per cell,
L levels, C classes, P positive anchors, H rows, W columns. `boxes` is always xyxy in continuous pixels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from anchorloc import evaluate, train
    from anchorloc.predict.localizer import Localizer, load
    from anchorloc.predict.named_detections import Detection, NamedDetections
    from anchorloc.predict.square_tiles import SquareTiles

__version__ = "0.2.0"
__all__ = ["Detection", "Localizer", "NamedDetections", "SquareTiles", "evaluate", "load", "train"]

_ON_FIRST_USE = {  # name: its file in predict/
    "Detection": "named_detections",
    "Localizer": "localizer",
    "NamedDetections": "named_detections",
    "SquareTiles": "square_tiles",
    "load": "localizer",
}
_MODULES = ("evaluate", "train")


def __getattr__(name: str) -> object:
    from importlib import import_module

    if name in _MODULES:
        return import_module(f"anchorloc.{name}")
    if name not in _ON_FIRST_USE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"anchorloc.predict.{_ON_FIRST_USE[name]}"), name)
