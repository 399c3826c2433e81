"""Load a trained network as a function of images."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, overload

import numpy as np

from anchorloc.config import imports_allowed
from anchorloc.data import ImageSettings
from anchorloc.data.tiles import Tile, Tiles
from anchorloc.engine.batch_samplers import equal_size_batches
from anchorloc.engine.onnx_model import OnnxModel, load_onnx
from anchorloc.engine.state.run_folder import find_checkpoint
from anchorloc.engine.tiling import merge_tiles
from anchorloc.errors import InputError
from anchorloc.predict.image_input import ImageLike, read_rgb
from anchorloc.predict.named_detections import NamedDetections, checked_score
from anchorloc.predict.square_tiles import SquareTiles
from anchorloc.startup import import_torch
from anchorloc.structures import Detections, Pixels, Sample, Size, Target
from anchorloc.text import counted, first_few, shorten

if TYPE_CHECKING:
    from anchorloc.engine.state.score_threshold import ScoreThreshold
    from anchorloc.engine.trained_model import TrainedModel

NO_BOXES: Final = Target(
    np.zeros((0, 4)), np.zeros(0, np.int64), np.zeros(0, np.bool_), np.zeros(0), np.zeros(0, np.int64)
)


@dataclass(frozen=True, eq=False, repr=False)
class Localizer:
    """Find objects when called with an image, or with a list or generator of images.

    It returns the objects of at least `score`: the threshold of best F1 that the run found on its val split. Boxes are
    xyxy in the pixels of the image as a viewer shows it: rotated by its EXIF orientation, unless the settings of the
    model say data.orientation=ignore.
    """

    model: TrainedModel | OnnxModel
    tiles: SquareTiles | Tiles | None = None  # None: the network gets each image whole
    batch_size: int = 8  # images or tiles per forward pass; only equal network sizes share a pass
    score: float = 0.0  # lowest score to return

    def __post_init__(self) -> None:
        if not isinstance(self.batch_size, int | np.integer) or self.batch_size < 1:
            raise InputError(f"batch_size must be a whole number of at least 1, got {self.batch_size!r}")
        if not isinstance(self.tiles, SquareTiles | Tiles | None):
            raise InputError(f"tiles must be anchorloc.SquareTiles(size=..., overlap=...), got {self.tiles!r}")

    def __repr__(self) -> str:
        names = first_few([shorten(name, 24) for name in self.names], 5)
        return f"Localizer of {counted(len(self.names), 'class')}: {names}; shows objects of score >= {self.score:.2f}"

    @property
    def names(self) -> tuple[str, ...]:
        """Return the class names by label."""
        return tuple(category.shown_name for category in self.model.categories)

    @property
    def threshold(self) -> ScoreThreshold | None:
        """Return the score threshold that the run found on its val split, if the model keeps one."""
        return self.model.threshold

    @property
    def image_settings(self) -> ImageSettings:
        """How images are read: as in training."""
        return self.model.config.data.image_settings

    @overload
    def __call__(self, images: ImageLike, score: float | None = None) -> NamedDetections: ...  # type: ignore[overload-overlap]  # a str is one path
    @overload
    def __call__(self, images: Sequence[ImageLike], score: float | None = None) -> list[NamedDetections]: ...
    @overload
    def __call__(self, images: Iterator[ImageLike], score: float | None = None) -> Iterator[NamedDetections]: ...
    def __call__(
        self, images: ImageLike | Iterable[ImageLike], score: float | None = None
    ) -> NamedDetections | list[NamedDetections] | Iterator[NamedDetections]:
        """Return the detections of an image by descending score.

        A list of images gives a list. A generator of images gives a generator, which reads `batch_size` images ahead.
        An image is a path, the bytes of an image file, a PIL image, or an (H, W, 3) uint8 array in RGB. Up to
        rounding, an image in a list gets the detections it gets alone, because only equal network sizes share a batch.

        Args:
            images: an image, or several.
            score: lowest score to return, in place of the threshold of the model; 0 returns all.

        Raises:
            InputError: an image or the score cannot be used, or the network returns NaN or infinite boxes.
        """
        lowest = self.score if score is None else checked_score(score)
        given: Any = images
        single = isinstance(given, str | bytes | np.ndarray | Mapping) or not isinstance(given, Iterable)
        if single or hasattr(given, "read") or len(getattr(given, "shape", ())) > 1:  # an open file, a tensor
            return self._localize([read_rgb(given, settings=self.image_settings)], lowest)[0]
        found = self._each(given, lowest)
        return list(found) if isinstance(given, Sequence) else found

    def _each(self, images: Iterable[ImageLike], lowest: float) -> Iterator[NamedDetections]:
        """Yield the detections of each image; only one batch of images is in memory."""
        rest, start = iter(images), 0
        while part := list(islice(rest, self.batch_size)):
            pixels = [read_rgb(image, f"image {start + at}: ", self.image_settings) for at, image in enumerate(part)]
            yield from self._localize(pixels, lowest)
            start += len(part)

    def _localize(self, images: Sequence[Pixels], lowest: float) -> list[NamedDetections]:
        candidates: list[list[Detections]] = [[] for _ in images]
        for batch in self._batches(images):
            found = self.model.candidates([self._sample(images[index], tile) for index, tile in batch])
            for (index, tile), detections in zip(batch, found, strict=True):
                candidates[index].append(tile.to_image(detections))
        return [self._merge(*each).where(score=lowest) for each in zip(candidates, images, strict=True)]

    def _batches(self, images: Sequence[Pixels]) -> Iterator[list[tuple[int, Tile]]]:
        """Yield batches of tiles with the index of their image; the tiles of a batch have one network size."""
        config = self.model.config
        places = [
            (index, tile) for index, image in enumerate(images) for tile in self._grid((image.shape[0], image.shape[1]))
        ]
        sizes = [self.model.padded(config.transform.resize(tile.size)[0]) for _, tile in places]
        for batch in equal_size_batches(sizes, self.batch_size):
            yield [places[place] for place in batch]

    def _grid(self, size: Size) -> list[Tile]:
        return [Tile(0, 0, size, size)] if self.tiles is None else self.tiles.grid(size)

    def _sample(self, image: Pixels, tile: Tile) -> Sample:
        config, part = self.model.config, np.ascontiguousarray(tile.cut(image))
        pixels, target, placement = config.transform(part, NO_BOXES, fill=config.detector.fill)
        name = f"tile at {tile.left}, {tile.top}"
        return Sample(pixels, target, name, placement.scale, tile.size, placement.extent)

    def _merge(self, parts: Sequence[Detections], image: Pixels) -> NamedDetections:
        best = replace(merge_tiles(parts, self.model.config.decoder), image_id="")
        size, settings = (image.shape[0], image.shape[1]), self.image_settings
        return NamedDetections(**vars(best), categories=self.model.categories, size=size, image_settings=settings)


def load(
    path: str | Path,
    *overrides: str,
    tiles: SquareTiles | None = None,
    batch_size: int = 8,
    device: str = "auto",
    allow_import: bool = False,
) -> Localizer:
    """Load the checkpoint of a run, an exported ONNX file, or a config that names `detector.weights`.

    An ONNX file needs onnxruntime, and neither torch nor torchvision; overrides change how it reads images, and NMS.

    With a config, the weights file gives the classes (torchvision weights: COCO's), or else its data do. The model
    returns the objects of at least the score threshold that the checkpoint keeps, or all if it keeps none or an
    override sets decode.score_threshold.

    Args:
        path: best.pt or last.pt of a run, its folder (best.pt, or else last.pt), an .onnx file, or a YAML file.
        overrides: settings such as "decode.score_threshold=0.3".
        tiles: cut images into tiles of this size and overlap, in place of the tiles of the training, if it had any.
        batch_size: images or tiles per forward pass.
        device: auto, cpu, cuda, cuda:N or mps.
        allow_import: import the backbone and the anchors of your own that the settings name as
            `kind: package.module.Class`. Other parts of your own are not needed.

    Raises:
        InputError: a file or a setting is invalid.
    """
    path, settings = Path(path), [f"train.device={device}", *overrides]
    model: TrainedModel | OnnxModel
    with imports_allowed(allow_import):
        if path.suffix.lower() == ".onnx":
            model = load_onnx(path, settings)
        else:
            path = find_checkpoint(path)  # a wrong path is refused where torch is missing too
            import_torch()
            from anchorloc.engine.trained_model import load_any  # loads torch, which an ONNX file does not need

            model = load_any(path, settings)
    stored = None if sets_threshold(overrides) else model.threshold
    return Localizer(model, tiles or model.config.tiles, batch_size, 0.0 if stored is None else stored.score)


def sets_threshold(overrides: Sequence[str]) -> bool:
    """Whether one of the overrides sets decode.score_threshold, which then decides in place of the stored threshold."""
    return any(word.startswith("decode.score_threshold=") for word in overrides)
