"""An assigner of the user's own whose every result is held to its protocol, as it may be wrong for some images only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from anchorloc.assign import Assigner, ATSSAssigner, MaxIoUAssigner
from anchorloc.assign.assigner_protocol import AssignerProtocol
from anchorloc.boxes import paired_box_iou
from anchorloc.config.components import OwnPart
from anchorloc.config.own_classes import held_to, require, require_array
from anchorloc.config.unimported import UnimportedPart
from anchorloc.structures import AnchorGrid, Assignment, BoolArray, FloatArray


@dataclass(frozen=True)
class HeldAssigner:
    """Assign as the user's own part does, and raise InputError if it does something else than its protocol says."""

    own: OwnPart

    def __call__(self, grid: AnchorGrid, boxes: FloatArray, crowd: BoolArray) -> Assignment:
        """Return the anchors that learn each box."""
        with held_to(self.own):
            found = self.own.part(grid, boxes, crowd)
            check_assignment(found, grid, boxes, crowd)
        assert isinstance(found, Assignment)
        return found


def held(assigner: Assigner, key: str) -> Assigner:
    """Return the assigner of the setting `key`, held to its protocol if it is of the user's own."""
    if isinstance(assigner, MaxIoUAssigner | ATSSAssigner | UnimportedPart):
        return assigner
    return HeldAssigner(OwnPart(key, assigner, AssignerProtocol))


def check_assignment(found: Any, grid: AnchorGrid, boxes: Any, crowd: Any) -> None:
    """Raise ProtocolError unless an assigner has `found` what its protocol says."""
    of = f"for {len(boxes)} boxes"
    require(isinstance(found, Assignment), f"it returned {type(found).__name__} {of}")
    require(found.count == len(grid), f"its count is {found.count} {of}, not {len(grid)}, the number of anchors")
    limits = {"anchors": len(grid), "rows": len(boxes), "ignored": len(grid), "unassigned": len(boxes)}
    for name, limit in limits.items():
        values = getattr(found, name)
        require_array(values, (len(found.anchors if name == "rows" else values),), "iu", f"{name} {of}")
        within = ((values >= 0) & (values < limit)).all()
        require(bool(within), f"{name} {of} are not all from 0 to {limit - 1}")
        require(name == "rows" or bool((np.diff(values) > 0).all()), f"{name} {of} are not ascending")
    require(not crowd[found.rows].any(), f"a crowd box has a positive anchor {of}")
    require(bool(grid.taking_part[found.anchors].all()), f"a positive anchor has its center outside of the image {of}")
    overlap = paired_box_iou(grid.boxes[found.anchors], boxes[found.rows].astype(np.float32))
    require(bool((overlap > 0).all()), f"a positive anchor does not overlap its box {of}")
    left = np.setdiff1d(np.flatnonzero(~crowd), found.rows)
    require(bool(np.array_equal(left, found.unassigned)), f"unassigned is {found.unassigned} {of}, not {left}")
