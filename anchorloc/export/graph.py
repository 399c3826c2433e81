"""The modules that are exported: a network up to logits and box offsets, or up to boxes and scores."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from anchorloc.config import Config
from anchorloc.detector import Detector, Predictions
from anchorloc.errors import InputError
from anchorloc.structures import Size


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

    def __init__(self, network: Detector, config: Config, size: Size) -> None:
        super().__init__()
        self.network, self.decoder, self.coder = network, config.decoder, config.coder
        grid = config.anchors(size)
        self.sections = [len(level) for level in grid.levels]
        self.anchors: Tensor
        self.centers: Tensor  # (A, 2) y, x of the anchor's cell
        self.register_buffer("anchors", torch.from_numpy(grid.boxes))
        self.register_buffer("centers", torch.from_numpy(grid.centers).float())

    def forward(self, images: Tensor, sizes: Tensor) -> tuple[Tensor, Tensor]:
        """Return boxes and scores."""
        predictions: Predictions = self.network(images)
        scores = predictions.scores()
        limits = sizes.float()[:, None]  # (B, 1, 2)
        in_image = (self.centers < limits).all(dim=-1, keepdim=True)  # (B, A, 1)
        scores = torch.where(in_image & (scores > self.decoder.score_threshold), scores, 0.0)
        scores = (
            self._of_levels(scores)
            if self.decoder.topk_per == "level"
            else _best(scores, self.decoder.topk_candidates, 1)
        )
        corner = torch.cat([limits.flip(-1)] * 2, dim=-1)  # (B, 1, 4) width, height, width, height
        boxes = torch.minimum(self.coder.decode(predictions.deltas, self.anchors).clamp(min=0), corner)
        has_area = (boxes[..., 2:] > boxes[..., :2]).all(dim=-1, keepdim=True)
        return boxes, torch.where(has_area, scores, 0.0).transpose(1, 2)

    def _of_levels(self, scores: Tensor) -> Tensor:
        parts = []
        for part in torch.split(scores, self.sections, dim=1):
            flat = _best(part.flatten(1), self.decoder.topk_candidates, 1)
            parts.append(flat.reshape(part.shape))
        return torch.cat(parts, dim=1)


def _best(scores: Tensor, count: int, dim: int) -> Tensor:
    """Set all but the `count` greatest along `dim` to 0; ties with the last of them stay."""
    if scores.shape[dim] <= count:
        return scores
    least = scores.topk(count, dim=dim).values.narrow(dim, count - 1, 1)
    return torch.where(scores >= least, scores, 0.0)


def refuse_unsupported(config: Config) -> None:
    """Raise InputError for NMS settings that ONNX's NonMaxSuppression lacks."""
    if config.decode.soft_nms_sigma or config.decode.class_agnostic_nms:
        raise InputError(
            "ONNX applies NMS per class and has no soft-NMS; "
            "give decode.soft_nms_sigma=0 decode.class_agnostic_nms=false"
        )
