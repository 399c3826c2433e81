"""The rule that cuts large images into tiles, where a whole image shows the network too little of small objects."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, Final

from anchorloc.config import Config, to_plain
from anchorloc.data import CocoData, LabelData, Letterbox, ShortestSide
from anchorloc.data.tiles import Tiles
from anchorloc.plan.choice import Choice, Facts
from anchorloc.plan.planning_rules import MAX_ENLARGED, MAX_PIXELS, SHORT_RUN_SIDE, SIDE_STEP

LEAST_SIDE: Final = 16  # network pixels; where small objects have fewer, images are cut into tiles
TILED_SIDE: Final = 24  # network pixels that small objects get in tiles
LARGEST_INPUT: Final = {"cpu": 640, "mps": 800, "cuda": 800}  # side of a tile in network pixels
LARGE_PART: Final = 0.5  # side of large objects, at most, as a fraction of a tile: tiles would cut larger ones
OVERLAP: Final = (0.1, 0.5)  # as long as large objects, within these fractions of a tile
BACKGROUND: Final = 0.25  # fraction of the tiles without an object to train on
LEAST_SEEN: Final = 1200  # tiles that a run should see, repeats counted
VALIDATION_SHARE: Final = 0.2  # time to detect in all val tiles once, at most, as a fraction of that for training
FORWARD: Final = 1 / 3  # time to detect in an image, by that to train on it


def tile_choices(facts: Facts, config: Config) -> tuple[Choice, ...]:
    """Return the tiles and the size that the network gets them in; nothing where whole images can show enough.

    That small images are for want of time is no reason: tiles would take as long as larger images.

    Where the minutes do not suffice for tiles, the one choice is to have none, with that reason.
    """
    known = config.data.tiles if isinstance(config.data, CocoData | LabelData) else Tiles()
    if known is not None or config.localizer is not None or facts.given_value("transform.resize") is not None:
        return ()
    shorter = min(facts.data.size)
    small, _, large = (side * shorter for side in facts.data.sides)  # in pixels of the image
    shown = facts.data.sides[0] * min(config.transform.resize(facts.data.size)[0])
    scale = min(MAX_ENLARGED, TILED_SIDE / small)
    largest = min(MAX_ENLARGED * shorter, math.sqrt(MAX_PIXELS[facts.machine.device] / facts.data.elongation))
    if facts.data.sides[0] * largest >= LEAST_SIDE or scale * small <= 1.25 * shown:
        return ()
    for side in range(LARGEST_INPUT[facts.machine.device], SHORT_RUN_SIDE - 1, -SIDE_STEP):
        tiles = _tiles(side, scale, large)
        if large <= LARGE_PART * tiles.height and _is_fast_enough(facts, config, side, tiles):
            resize = {"kind": "ShortestSide", **to_plain(ShortestSide(side, side))}
            why = f"small objects have {shown:.0f} px in whole images, and {scale * small:.0f} px in tiles"
            shape = f"tiles of {tiles.width} x {tiles.height} px"
            return Choice("data.tiles", to_plain(tiles), why, "data"), Choice("transform.resize", resize, shape, "data")
    if LARGE_PART * _tiles(LARGEST_INPUT[facts.machine.device], scale, large).height < large:
        return ()  # small and large objects do not fit into one tile
    return (Choice("data.tiles", None, f"small objects have {shown:.0f} px, but the time allows no tiles", "machine"),)


def _tiles(side: int, scale: float, large: float) -> Tiles:
    """Return tiles that the network gets in `side` px when an image is scaled by `scale`; `large` objects fit into the
    overlap of two, as far as it goes."""
    pixels = max(16, round(side / scale))
    overlap = min(max(large / pixels, OVERLAP[0]), OVERLAP[1])
    return Tiles(pixels, pixels, round(overlap, 2), background_fraction=BACKGROUND)


def _is_fast_enough(facts: Facts, config: Config, side: int, tiles: Tiles) -> bool:
    """Return whether a run sees enough tiles of `side` network pixels, and has the time to validate on them."""
    resized: Any = replace(config, transform=replace(config.transform, resize=Letterbox(side, side)))
    seen = facts.images_seen(resized)
    in_val = facts.data.val_images * len(tiles.grid(facts.data.size))
    return seen is None or (seen >= LEAST_SEEN and FORWARD * in_val <= VALIDATION_SHARE * seen)
