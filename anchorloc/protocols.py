"""The protocols of parts of your own, and the types that they get (docs/extending.md)."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from anchorloc.anchors.anchors_protocol import AnchorsProtocol
from anchorloc.assign.assigner_protocol import AssignerProtocol
from anchorloc.data.own_data import AugmentationProtocol, DataProtocol
from anchorloc.detector.part_protocols import BackboneProtocol, BoxLossProtocol, ClassLossProtocol

if TYPE_CHECKING:
    from anchorloc.detector.batch import Batch
    from anchorloc.detector.coder import Coder
    from anchorloc.detector.layers import Backbone

__all__ = [
    "AnchorsProtocol",
    "AssignerProtocol",
    "AugmentationProtocol",
    "Backbone",
    "BackboneProtocol",
    "Batch",
    "BoxLossProtocol",
    "ClassLossProtocol",
    "Coder",
    "DataProtocol",
]


_ON_FIRST_USE = {"Backbone": "layers", "Batch": "batch", "Coder": "coder"}  # they load torch


def __getattr__(name: str) -> object:
    if name not in _ON_FIRST_USE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"anchorloc.detector.{_ON_FIRST_USE[name]}"), name)
