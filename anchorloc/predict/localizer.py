"""A trained network as a function of images: what `anchorloc.load` returns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, overload

import numpy as np
import torch

from anchorloc.config import read_config
from anchorloc.detector import whole_image
from anchorloc.engine.build import build_collate
from anchorloc.engine.inference import autocast
from anchorloc.engine.state.pretrained import known_classes
from anchorloc.engine.trained_model import TrainedModel, load_from_weights, load_model
from anchorloc.errors import InputError
from anchorloc.predict.image_input import ImageLike, Pixels, as_pixels
from anchorloc.predict.tiles import SquareTiles, Tile, tile_grid
from anchorloc.structures import Category, Detections, IntArray, Sample, Size, Target

NOTHING: Final = Target(
    np.zeros((0, 4)), np.zeros(0, np.int64), np.zeros(0, np.bool_), np.zeros(0), np.zeros(0, np.int64)
)  # no boxes


@dataclass(frozen=True, eq=False)
class NamedDetections(Detections):
    """The N boxes found in one image, which know the names of their classes."""

    categories: tuple[Category, ...]

    @property
    def names(self) -> list[str]:
        """The name of the class of each box."""
        return [self.categories[label].name for label in self.labels]

    def take(self, rows: IntArray) -> NamedDetections:
        """Return the rows given, in their order."""
        return NamedDetections(**vars(super().take(rows)), categories=self.categories)


@dataclass(frozen=True, eq=False)
class Localizer:
    """Call it with an image, or a list of images.

    Boxes are xyxy in the pixels of the image as a viewer shows it: turned as its EXIF tag says, not as it is stored.
    """

    model: TrainedModel
    tiles: SquareTiles | None = None  # how large images are cut; None gives each to the network whole
    batch_size: int = 8  # images, or tiles, that go through the network at once if they are of one size there

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise InputError(f"batch_size must be at least 1, got {self.batch_size}")

    @property
    def names(self) -> tuple[str, ...]:
        """The name of each class, by label."""
        return tuple(category.name for category in self.model.categories)

    @overload
    def __call__(self, images: ImageLike) -> NamedDetections: ...  # type: ignore[overload-overlap]  # a str is one path
    @overload
    def __call__(self, images: Sequence[ImageLike]) -> list[NamedDetections]: ...
    def __call__(self, images: ImageLike | Sequence[ImageLike]) -> NamedDetections | list[NamedDetections]:
        """Return what is found in an image, by descending score; for a list, a list.

        An image is a path, a PIL image, or an (H, W, 3) uint8 array in RGB. An image of a list gets what it gets alone,
        to rounding: only images that are of one size for the network share a batch.

        Raises:
            InputError: an image cannot be used, or the network gives boxes that are no numbers.
        """
        if isinstance(images, str) or not isinstance(images, Sequence):
            return self._localize([as_pixels(images)])[0]
        found: list[NamedDetections] = []
        for start in range(0, len(images), self.batch_size):  # so that no more of the files are in memory
            part = images[start : start + self.batch_size]
            found += self._localize([as_pixels(image, f"image {start + at}: ") for at, image in enumerate(part)])
        return found

    def _localize(self, images: Sequence[Pixels]) -> list[NamedDetections]:
        candidates: list[list[Detections]] = [[] for _ in images]
        for batch in self._batches(images):
            found = self._decode([self._sample(images[index], tile) for index, tile in batch])
            for (index, tile), detections in zip(batch, found, strict=True):
                candidates[index].append(tile.to_image(detections))
        return [self._merge(parts) for parts in candidates]

    def _batches(self, images: Sequence[Pixels]) -> Iterator[list[tuple[int, Tile]]]:
        """Yield tiles with the index of their image, those that are of one size for the network together."""
        by_size: dict[Size, list[tuple[int, Tile]]] = {}
        for index, image in enumerate(images):
            for tile in tile_grid((image.shape[0], image.shape[1]), self.tiles):
                by_size.setdefault(self.model.config.transform.resize(tile.size)[0], []).append((index, tile))
        for places in by_size.values():
            for start in range(0, len(places), self.batch_size):
                yield places[start : start + self.batch_size]

    def _sample(self, image: Pixels, tile: Tile) -> Sample:
        config, part = self.model.config, np.ascontiguousarray(tile.cut(image))
        pixels, target, scale = config.transform(part, NOTHING, fill=config.detector.fill)
        return Sample(pixels, target, f"tile at {tile.left}, {tile.top}", scale, tile.size)

    def _decode(self, samples: Sequence[Sample]) -> list[Detections]:
        """Return the candidates of samples of one size, before suppression."""
        config, device = self.model.config, self.model.device
        images = build_collate(config).pad([sample.image for sample in samples]).to(device)
        with torch.inference_mode(), autocast(config, device):
            predictions = self.model.network(images)
        size = (images.shape[2], images.shape[3])
        if config.localizer is not None:
            return config.localizer.decode(predictions, whole_image(size), samples)
        grid, decode = config.anchors(size), config.decoder
        return [
            decode.decode(decode.choose(scores), deltas, grid, sample, config.coder)
            for scores, deltas, sample in zip(predictions.scores(), predictions.deltas, samples, strict=True)
        ]

    def _merge(self, parts: Sequence[Detections]) -> NamedDetections:
        """Suppress over all candidates of an image, whichever tile they are from."""
        columns = {
            name: np.concatenate([getattr(part, name) for part in parts])
            for name in ("boxes", "scores", "labels", "anchors")
        }
        if len(parts) > 1:
            columns["anchors"] = np.full_like(columns["anchors"], -1)  # an anchor is one of a tile
        best = self.model.config.decoder.best(Detections(**columns, image_id=""))
        return NamedDetections(**vars(best), categories=self.model.categories)


def load(
    path: str | Path, *overrides: str, tiles: SquareTiles | None = None, batch_size: int = 8, device: str = "auto"
) -> Localizer:
    """Load a checkpoint of a run, or a config that names `detector.weights`.

    A config takes the classes that its file of weights knows (torchvision's: COCO's), or else those of its data.

    Args:
        path: best.pt or last.pt, or a YAML file.
        overrides: settings such as "decode.score_threshold=0.3".
        tiles: how large images are cut.
        batch_size: images, or tiles, that go through the network at once.
        device: auto, cpu, cuda, cuda:N or mps.

    Raises:
        InputError: a file or a setting cannot be used.
    """
    path, settings = Path(path), [f"train.device={device}", *overrides]
    if path.suffix in (".yaml", ".yml"):
        config = read_config(path, settings)
        known = known_classes(Path(config.detector.weights)) if config.detector.weights else None
        model = load_from_weights(config, known) if known else load_model(path, settings)
    else:
        model = load_model(path, settings)
    return Localizer(model, tiles, batch_size)
