"""From what a network finds in tiles to the detections of whole images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from anchorloc.config import Config
from anchorloc.data import Source
from anchorloc.data.tiles import TiledSource
from anchorloc.detector import Decoder
from anchorloc.structures import Detections


def merge_tiles(parts: Sequence[Detections], decoder: Decoder) -> Detections:
    """Return the detections of an image from the candidates in its tiles, in pixels of the image: NMS runs once over
    all. With several tiles no anchor is known, since its number is valid in one tile only."""
    names = ("boxes", "scores", "labels", "anchors")
    columns = {name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
    if len(parts) > 1:
        columns["anchors"] = np.full_like(columns["anchors"], -1)
    return decoder.select_best(Detections(**columns, image_id=parts[0].image_id))


def whole_images(config: Config, seen: Source, found: Mapping[int, Detections]) -> dict[int, Detections]:
    """Return the detections of each image, by its index.

    Args:
        seen: what the network got: `config.seen`.
        found: the detections by index of `seen`; candidates if that are tiles.
    """
    if not isinstance(seen, TiledSource):
        return dict(found)
    parts = dict[int, list[Detections]]()
    for index in sorted(found):
        parts.setdefault(int(seen.images[index]), []).append(seen.parts[index].to_image(found[index]))
    merged = {image: merge_tiles(some, config.decoder) for image, some in parts.items()}
    return {image: replace(one, image_id=seen.whole.image_id(image)) for image, one in merged.items()}
