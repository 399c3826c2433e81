"""Collate samples into one padded batch, with anchors already assigned."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from anchorloc.detector.padding import pad_images, pad_to_multiple
from anchorloc.structures import IMAGENET_MEAN, AnchorGrid, Assignment, Color, Sample, Size

Generator = Callable[[Size], AnchorGrid]
Assigner = Callable[[AnchorGrid, np.ndarray, np.ndarray], Assignment]


@dataclass(frozen=True, eq=False)
class Batch:
    """B images and the targets of their P positive anchors; anchor indices run over the whole batch, 0..B*A-1."""

    images: Tensor  # (B, 3, H, W) from 0 to 255, padded at the right and at the bottom
    positives: Tensor  # (P,) positive anchors
    anchors: Tensor  # (P, 4) boxes of the positive anchors
    boxes: Tensor  # (P, 4) the boxes they learn
    labels: Tensor  # (P,) the classes they learn
    ignored: Tensor  # (I,) ignored anchors
    samples: tuple[Sample, ...]  # without pixels: ids, sizes and scales
    alignment: Tensor | None = None  # (P,) target score of each positive; None: its IoU or 1

    @property
    def size(self) -> Size:
        """The (height, width) that every image is padded to."""
        return self.images.shape[2], self.images.shape[3]

    @property
    def weight(self) -> Tensor:
        """The divisor of the losses, (): the number of positives, or the sum of their alignment."""
        return self.boxes.new_full((), len(self.positives)) if self.alignment is None else self.alignment.sum()

    def to(self, device: torch.device) -> Batch:
        """Move the tensors, without waiting where memory is pinned."""
        return self._map(lambda tensor: tensor.to(device, non_blocking=True))

    def pin_memory(self) -> Batch:
        """Pin the tensors; a loader that feeds a GPU calls this."""
        return self._map(lambda tensor: tensor.pin_memory())

    def _map(self, change: Callable[[Tensor], Tensor]) -> Batch:
        tensors = {name: change(value) for name, value in vars(self).items() if isinstance(value, Tensor)}
        return Batch(**tensors, samples=self.samples)


@dataclass(frozen=True)
class Collate:
    """Pad samples to one size, build the anchor grid and assign anchors; runs in the loader's workers."""

    generator: Generator
    assigner: Assigner | None  # None: nothing is learned, so that no anchor is positive
    multiple: int  # the padded height and width are multiples of it: the coarsest stride
    fill: Color = IMAGENET_MEAN  # color of the padding, 0 after normalization

    def __call__(self, samples: Sequence[Sample]) -> Batch:
        """Return the batch of `samples`, in their order."""
        images = self.pad([sample.image for sample in samples])
        grid = self.generator((images.shape[2], images.shape[3]))
        targets = [sample.target for sample in samples]
        found = [self._assign(grid, sample) for sample in samples]
        offsets = np.arange(len(samples)) * len(grid)
        return Batch(
            images=images,
            positives=_join([a.anchors + offset for a, offset in zip(found, offsets, strict=True)], np.int64),
            anchors=_join([grid.boxes[a.anchors] for a in found], np.float32, 4),
            boxes=_join([t.boxes[a.rows] for t, a in zip(targets, found, strict=True)], np.float32, 4),
            labels=_join([t.labels[a.rows] for t, a in zip(targets, found, strict=True)], np.int64),
            ignored=_join([a.ignored + offset for a, offset in zip(found, offsets, strict=True)], np.int64),
            samples=tuple(replace(sample, image=sample.image[:0, :0]) for sample in samples),
        )

    def _assign(self, grid: AnchorGrid, sample: Sample) -> Assignment:
        if self.assigner is None:
            none = np.zeros(0, np.int64)
            return Assignment(none, none, none, len(grid), none)
        return self.assigner(grid.within(sample.extent), sample.target.boxes, sample.target.crowd)

    def pad(self, images: Sequence[np.ndarray]) -> Tensor:
        """Return (B, 3, H, W), padded to the least multiples that hold every image, in channels-last memory."""
        largest = [max(image.shape[axis] for image in images) for axis in (0, 1)]
        batch = pad_images(images, pad_to_multiple(largest, self.multiple), self.fill)
        return torch.from_numpy(batch).permute(0, 3, 1, 2)


def _join(parts: Sequence[np.ndarray], dtype: type, columns: int | None = None) -> Tensor:
    """Concatenate into a tensor of `dtype`, also when there are no rows at all."""
    empty = np.empty((0,) if columns is None else (0, columns))
    return torch.from_numpy(np.concatenate([empty, *parts]).astype(dtype))
