"""Train torchvision's RetinaNet as its users would, on our loader, for all comparisons with it.

It has its own anchors, heads, losses and decoder, AdamW with warm-up and half a cosine, and batches of 8. Reading,
resizing and the image cache are ours, so that it never waits for files.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchvision.models.detection import RetinaNet
from torchvision.ops.feature_pyramid_network import FeaturePyramidNetwork, LastLevelP6P7

from anchorloc.config import TrainSettings
from anchorloc.data import Samples, Source, Transform
from anchorloc.detector.layers import Backbone
from anchorloc.engine.batch_samplers import TrainBatchSampler
from anchorloc.engine.schedule import Clock
from anchorloc.metrics import Evaluation, evaluate
from anchorloc.structures import Detections, Sample

BATCH, WARMUP, RATE = 8, 50, 2e-4
CHANNELS = 256  # width of the pyramid
SCORE_THRESHOLD = 0.02  # as ours: torchvision's 0.05 would cost it AP while its scores are low


def retinanet(body: Backbone, classes: int, min_size: int, max_size: int) -> nn.Module:
    """torchvision's RetinaNet over any backbone with maps of strides 8, 16 and 32."""
    pyramid = _Pyramid(body)
    model: nn.Module = RetinaNet(pyramid, classes, min_size=min_size, max_size=max_size, score_thresh=SCORE_THRESHOLD)
    return model


class _Pyramid(nn.Module):
    """A backbone under torchvision's own pyramid, with P6 and P7."""

    def __init__(self, body: Backbone) -> None:
        super().__init__()
        self.body, self.out_channels = body, CHANNELS
        self.fpn = FeaturePyramidNetwork(list(body.channels), CHANNELS, LastLevelP6P7(CHANNELS, CHANNELS))

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        maps = OrderedDict((str(level), features) for level, features in enumerate(self.body(images)))
        levels: dict[str, Tensor] = self.fpn(maps)
        return levels


def tensors(samples: list[Sample]) -> tuple[list[Tensor], list[dict[str, Tensor]]]:
    """Return samples as torchvision's models take them."""
    images = [torch.from_numpy(np.ascontiguousarray(s.image)).permute(2, 0, 1).float() / 255 for s in samples]
    targets = [
        {"boxes": torch.from_numpy(s.target.boxes).float(), "labels": torch.from_numpy(s.target.labels)}
        for s in samples
    ]
    return images, targets


def train(
    model: nn.Module,
    source: Source,
    transform: Transform,
    length: str,
    seed: int,
    rate: float = RATE,
    bfloat16: bool = False,
) -> int:
    """Train for a `length` such as "10 minutes" or "5 epochs"; return the steps."""
    settings = TrainSettings(length=length, batch_size=BATCH, warmup=WARMUP)
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate, fused=True)
    loader: DataLoader[Any] = DataLoader(
        cast(Dataset[Any], Samples(source, transform, seed, training=True, cache_bytes=1 << 30)),
        batch_sampler=TrainBatchSampler(len(source), BATCH, seed),
        collate_fn=tensors,
        num_workers=settings.workers,
        prefetch_factor=4,
    )
    model.train()
    clock = Clock(settings, len(source))
    clock.start()
    for images, targets in loader:
        progress = clock.progress
        if progress >= 1:
            return clock.step
        for group in optimizer.param_groups:
            group["lr"] = rate * clock.lr_factor(progress)
        with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
            loss = torch.stack(list(model(images, targets).values())).sum()
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(model.parameters(), settings.clip_norm)
        optimizer.step()
        clock.step += 1
    raise RuntimeError("the loader ended")


def score(model: nn.Module, source: Source, transform: Transform) -> Evaluation:
    """Detect, and score with pycocotools, as for ours."""
    targets = [source.target(index) for index in range(len(source))]
    return evaluate(targets, list(detect(model, source, transform)), source.categories)


@torch.inference_mode()
def detect(model: nn.Module, source: Source, transform: Transform) -> Iterator[Detections]:
    """Yield the detections of each image, in its original pixels."""
    model.eval()
    samples = Samples(source, transform, training=False)
    for index in range(len(source)):
        sample = samples[0, index]
        images, _ = tensors([sample])
        found = {key: value.double().numpy() for key, value in model(images)[0].items()}
        boxes = found["boxes"] / np.tile(sample.scale[::-1], 2)
        labels = found["labels"].astype(np.int64)
        yield Detections(boxes, found["scores"], labels, np.full(len(labels), -1), source.image_id(index))
