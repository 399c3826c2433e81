"""The modules that are exported: a network up to logits and box offsets, or up to boxes and scores."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from anchorloc.anchors import TorchvisionAnchors, WholeImageAnchor
from anchorloc.anchors.anchors_protocol import AnchorsProtocol
from anchorloc.config import Config
from anchorloc.detector import Detector, Predictions
from anchorloc.detector.single_box import CODER
from anchorloc.structures import Size

Grid = tuple[int, int]  # (rows, columns) of a feature map; symbols where the size of images is free


class LogitsModule(nn.Module):
    """Map uint8 images (B, 3, H, W) to logits (B, A, C or 1 + C), deltas (B, A, 4) and any IoU logits (B, A)."""

    def __init__(self, network: Detector) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Return the predictions of each anchor, without decoding."""
        predictions: Predictions = self.network(images)
        iou_logits = () if predictions.iou_logits is None else (predictions.iou_logits,)
        return (predictions.logits, predictions.deltas, *iou_logits)


class DecodedModule(nn.Module):
    """Map padded images (B, 3, H, W) and their sizes (B, 2), height and width without padding, to clipped boxes
    (B, A, 4) in pixels and scores (B, C, A).

    As in `Decoder`, a score is 0 at or below the threshold, for an anchor whose center is in the padding, for a box
    without area, and beyond the `topk_candidates` best of an image or level.
    """

    def __init__(self, network: Detector, config: Config, size: Size | None) -> None:
        """Prepare for images of one padded `size`, or of any size (None)."""
        super().__init__()
        self.network, self.decoder, self.coder = network, config.decoder, config.coder
        self.anchors = _FreeAnchors(config.anchors) if size is None else _FixedAnchors(config.anchors, size)

    def forward(self, images: Tensor, sizes: Tensor) -> tuple[Tensor, Tensor]:
        """Return boxes and scores."""
        maps = self.network.maps(images)
        predictions = self.network.predict(maps)
        levels = self.anchors((images.shape[2], images.shape[3]), [(one.shape[2], one.shape[3]) for one in maps])
        anchors = torch.cat([boxes for boxes, _ in levels])
        centers = torch.cat([centers for _, centers in levels])
        scores = predictions.scores()
        limits = sizes.float()[:, None]  # (B, 1, 2)
        in_image = (centers < limits).all(dim=-1, keepdim=True)  # (B, A, 1)
        scores = torch.where(in_image & (scores > self.decoder.score_threshold), scores, 0.0).transpose(1, 2)
        if self.decoder.topk_per == "level":
            scores = self._of_levels(scores, [boxes.shape[0] for boxes, _ in levels])
        else:
            scores = _best(scores, self.decoder.topk_candidates)
        return _clip(self.coder.decode(predictions.deltas, anchors), scores, limits)

    def _of_levels(self, scores: Tensor, lengths: Sequence[int]) -> Tensor:
        parts = []
        for part in torch.split(scores, list(lengths), dim=2):
            best = _best(part.flatten(1), self.decoder.topk_candidates)
            parts.append(best.reshape(part.shape))
        return torch.cat(parts, dim=2)


class SingleBoxModule(nn.Module):
    """Map padded images (B, 3, H, W) of one size and their sizes (B, 2) to the box (B, 1, 4) of each image and its
    scores (B, C, 1), which are 0 except for the class of the box."""

    def __init__(self, network: Detector, size: Size) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("image", torch.from_numpy(WholeImageAnchor()(size).boxes))  # (1, 4)

    def forward(self, images: Tensor, sizes: Tensor) -> tuple[Tensor, Tensor]:
        """Return boxes and scores."""
        predictions = self.network(images)
        scores = predictions.logits.softmax(dim=-1).transpose(1, 2)
        scores = torch.where(scores == scores.amax(dim=1, keepdim=True), scores, 0.0)
        return _clip(CODER.decode(predictions.deltas, self.get_buffer("image")), scores, sizes.float()[:, None])


class _FixedAnchors(nn.Module):
    """The anchors of one image size, as constants."""

    def __init__(self, generator: AnchorsProtocol, size: Size) -> None:
        super().__init__()
        grid = generator(size)
        parts = np.cumsum([len(level) for level in grid.levels])[:-1]
        levels = zip(np.split(grid.boxes, parts), np.split(grid.centers.astype(np.float32), parts), strict=True)
        self.levels = len(grid.levels)
        for index, (boxes, centers) in enumerate(levels):
            self.register_buffer(f"boxes{index}", torch.from_numpy(boxes.copy()))  # (A, 4)
            self.register_buffer(f"centers{index}", torch.from_numpy(centers.copy()))  # (A, 2) y, x of the cells

    def forward(self, image: Grid, grids: Sequence[Grid]) -> list[tuple[Tensor, Tensor]]:
        """Return the boxes (A, 4) and cell centers (A, 2) of each level."""
        return [(self.get_buffer(f"boxes{one}"), self.get_buffer(f"centers{one}")) for one in range(self.levels)]


class _FreeAnchors(nn.Module):
    """The anchors of any image size, computed in the graph from the sizes of the image and of its feature maps."""

    def __init__(self, generator: AnchorsProtocol) -> None:
        """Prepare for a generator whose shapes do not depend on the image."""
        super().__init__()
        self.divides = isinstance(generator, TorchvisionAnchors)  # the stride is image // grid, as in torchvision
        self.strides = generator.strides
        side = int(np.ceil(max(self.strides)))
        for index, level in enumerate(generator((side, side)).levels):
            top, left = level.first_center
            edges = [level.x1[:, 0] - left, level.y1[:, 0] - top, level.x2[:, 0] - left, level.y2[:, 0] - top]
            self.register_buffer(f"shapes{index}", torch.from_numpy(np.stack(edges, -1).astype(np.float32)))  # (K, 4)

    def forward(self, image: Grid, grids: Sequence[Grid]) -> list[tuple[Tensor, Tensor]]:
        """Return the boxes (A, 4) and cell centers (A, 2) of each level."""
        return [self._level(index, image, grid) for index, grid in enumerate(grids)]

    def _level(self, index: int, image: Grid, grid: Grid) -> tuple[Tensor, Tensor]:
        shapes = self.get_buffer(f"shapes{index}")
        y, x = (self._centers(index, side, cells) for side, cells in zip(image, grid, strict=True))
        rows, columns, count = grid[0], grid[1], shapes.shape[0]
        y = y[:, None, None].expand(rows, columns, count)
        x = x[None, :, None].expand(rows, columns, count)
        centers = torch.stack([y, x], dim=-1)  # (rows, columns, K, 2)
        boxes = torch.stack([x, y, x, y], dim=-1) + shapes
        return boxes.flatten(0, 2), centers.flatten(0, 2)

    def _centers(self, index: int, side: int, cells: int) -> Tensor:
        numbers = torch.arange(cells, dtype=torch.float32)
        return numbers * (side // cells) if self.divides else (numbers + 0.5) * self.strides[index]


def _best(scores: Tensor, count: int) -> Tensor:
    """Set all but the `count` greatest of the last axis to 0; ties with the last of them stay."""
    least = F.pad(scores, (0, count)).topk(count, dim=-1).values[..., -1:]  # padded, as there may be fewer than `count`
    return torch.where(scores >= least, scores, 0.0)


def _clip(boxes: Tensor, scores: Tensor, limits: Tensor) -> tuple[Tensor, Tensor]:
    """Clip boxes (B, A, 4) to images of (height, width) `limits` (B, 1, 2); boxes without area get scores of 0."""
    corner = torch.cat([limits.flip(-1)] * 2, dim=-1)  # (B, 1, 4) width, height, width, height
    boxes = torch.minimum(boxes.clamp(min=0), corner)
    has_area = (boxes[..., 2:] > boxes[..., :2]).all(dim=-1)  # (B, A)
    return boxes, torch.where(has_area[:, None], scores, 0.0)
