"""Compare the detections of four torchvision detectors with those of our networks with the same weights.

    python -m benchmarks.torchvision_parity --images 4

The weights are random, from a seed, because no trained ones belong to the project. Statistics and scales of the layers
are set from the images, and class logits are spread so that hundreds of detections per image pass the threshold. Images
are noise of several scales. Each model runs as published (800 px, 300 px, 320 px), in float32 on the CPU, from a state
dict in a file through the config of its name.

Scores closer to each other than TIE have no order in float32: torchvision's own scores, with channels last in memory or
in float64, differ by more. Labels and order are compared up to such ties, and swapped detections are counted.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torchvision.models import get_model
from torchvision.models.detection._utils import overwrite_eps
from torchvision.ops import FrozenBatchNorm2d

from anchorloc.config import Config, read_config
from anchorloc.data.resize import MAX_SIDE
from anchorloc.detector import Detector, Predictions
from anchorloc.engine.build import build_detector, to_device
from anchorloc.engine.state.pretrained import load_pretrained
from anchorloc.structures import Category, Detections, Sample, Target
from benchmarks.timing import recording_parser, write_table

CONFIGS = Path(__file__).resolve().parents[1] / "configs"
MODELS = ("retinanet_resnet50_fpn", "retinanet_resnet50_fpn_v2", "ssd300_vgg16", "ssdlite320_mobilenet_v3_large")
CLASSES = tuple(Category(number, f"class {number}") for number in range(1, 91))  # COCO's label space
TIE = 1e-5  # scores this close count as equal: the two networks differ by up to as much
SPREAD = {
    "retinanet_resnet50_fpn": (-4.0, 1.2),
    "retinanet_resnet50_fpn_v2": (-4.0, 1.2),
}  # mean and deviation of logits

Pixels = NDArray[np.uint8]


def main(argv: Sequence[str] | None = None) -> None:
    """Compare all four, print and write the table."""
    parser = recording_parser(__doc__)
    parser.add_argument("--images", type=int, default=4)
    arguments = parser.parse_args(argv)
    sizes = [(427, 640), (640, 480), (375, 500), (612, 612), (240, 640)]
    images = [noise(sizes[index % len(sizes)], index) for index in range(arguments.images)]
    rows = []
    for name in MODELS:
        rows.append({"model": name, "images": len(images), **compare(name, images)})
        print(rows[-1], flush=True)
    write_table(rows, "torchvision_parity", ("torch", "torchvision"), record=arguments.record)


def compare(name: str, images: Sequence[Pixels], sizes: tuple[int, int] | None = None) -> dict[str, object]:
    """Run one model both ways; `sizes` are (shortest, longest) sides in pixels in place of RetinaNet's."""
    theirs = peer(name, sizes)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.pth"
        torch.save(theirs.state_dict(), path)
        config, network = ours(name, path, sizes)
    worst = {"raw outputs": 0.0, "boxes (px)": 0.0, "scores": 0.0}
    same, fewest, swapped = True, 10**9, 0
    for image in images:
        raw, expected = run_peer(theirs, image)
        predictions, found = run_ours(config, network, image)
        gaps = {"raw outputs": gap(raw, predictions)}
        fewest = min(fewest, len(expected["labels"]))
        with_area = (expected["boxes"][:, 2:] > expected["boxes"][:, :2]).all(dim=1)  # ours drops the others
        boxes, scores, labels = (expected[key][with_area].numpy() for key in ("boxes", "scores", "labels"))
        found = found.take(np.arange(min(len(found), len(labels))))  # they took places from some of ours
        same &= len(found) == len(labels)
        if same:
            mine, peers = order_of_ties(scores, found.labels, found.boxes), order_of_ties(scores, labels, boxes)
            same &= found.labels[mine].tolist() == (labels[peers] - 1).tolist()
            swapped += int((mine != peers).sum())
            gaps["boxes (px)"] = float(np.abs(found.boxes[mine] - boxes[peers]).max())
            gaps["scores"] = float(np.abs(found.scores[mine] - scores[peers]).max())
        worst = {key: max(value, gaps.get(key, 0.0)) for key, value in worst.items()}
    return {
        "fewest detections": fewest,
        "same labels and order": same,
        "swapped in ties": swapped,
        **{key: f"{value:.1e}" for key, value in worst.items()},
    }


def order_of_ties(scores: NDArray[Any], labels: NDArray[Any], boxes: NDArray[Any]) -> NDArray[np.intp]:
    """Return the order of detections with each run of neighbors of equal `scores` (descending) sorted by label."""
    runs = np.concatenate([[0], np.cumsum(-np.diff(scores) > TIE)])
    return np.lexsort((boxes[:, 0].round(), labels, runs))


def noise(size: tuple[int, int], seed: int) -> Pixels:
    """Return an (H, W, 3) image with structure at every scale."""
    generator = torch.Generator().manual_seed(seed)
    image = torch.zeros(1, 3, *size)
    for cells in (2, 5, 12, 30, 80):
        coarse = torch.randn(1, 3, cells, cells, generator=generator)
        image += nn.functional.interpolate(coarse, size=size, mode="bilinear")
    scaled = (127 + 50 * image).clamp(0, 255).byte()[0].permute(1, 2, 0).numpy()
    return np.ascontiguousarray(scaled)


def peer(name: str, sizes: tuple[int, int] | None = None, seed: int = 0) -> nn.Module:
    """Return torchvision's model in evaluation, with random weights that give well-spread outputs."""
    torch.manual_seed(seed)
    options = {} if sizes is None or not name.startswith("retinanet") else {"min_size": sizes[0], "max_size": sizes[1]}
    model: Any = get_model(name, weights=None, weights_backbone=None, **options)
    for key, module in model.named_modules():
        if isinstance(module, nn.BatchNorm2d):
            # Residual branches are weak, as trained ones are: a deep random network blows up rounding errors.
            nn.init.uniform_(module.weight, *((0.1, 0.3) if key.endswith("bn3") else (0.5, 1.5)))
            nn.init.uniform_(module.bias, -0.3, 0.3)
            module.momentum = 1.0  # take the statistics of the next batch
        elif isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight)
    with torch.no_grad():
        pixels = model.eval().transform([to_unit(noise((200, 240), 100 + index)) for index in range(2)])[0].tensors
        if _normalizes(model.backbone):
            model.backbone.train()(pixels)
        if _normalizes(model.head):
            model.head.train()(list(model.backbone.eval()(pixels).values()))
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):  # a channel that hardly varies would blow up rounding errors
                module.running_var.clamp_(min=module.running_var.mean().item() / 2)  # type: ignore[union-attr]
        outputs = model.eval().head(list(model.backbone(pixels).values()))
        _spread(model.head.classification_head, outputs["cls_logits"], *SPREAD.get(name, (0.0, 2.0)))
        _spread(model.head.regression_head, outputs["bbox_regression"], 0.0, 0.3)
        if name.startswith("retinanet"):  # row 0 is no class: training keeps its score low
            model.head.classification_head.cls_logits.bias.view(-1, 91)[:, 0] = -30.0
    if name == "retinanet_resnet50_fpn":  # as published
        _freeze_as_published(model.backbone.body)
        overwrite_eps(model, 0.0)
    return model  # type: ignore[no-any-return]


def _normalizes(part: nn.Module) -> bool:
    return any(isinstance(module, nn.BatchNorm2d) for module in part.modules())


def _freeze_as_published(body: nn.Module) -> None:
    """Turn every batch normalization into torchvision's frozen one, names kept."""
    for module in body.modules():
        for name, child in module.named_children():
            if isinstance(child, nn.BatchNorm2d):
                frozen = FrozenBatchNorm2d(child.num_features, child.eps)
                frozen.load_state_dict(child.state_dict())
                setattr(module, name, frozen)


def _spread(head: Any, outputs: Tensor, mean: float, deviation: float) -> None:
    """Scale the last layers so that the outputs have a deviation, and shift them to a mean."""
    factor = deviation / outputs.std()
    lasts = [layer for layer in head.modules() if isinstance(layer, nn.Conv2d)]
    widest = {"RetinaNetClassificationHead": -1, "RetinaNetRegressionHead": -1}.get(type(head).__name__)
    for layer in lasts[-1:] if widest else [layer for layer in lasts if layer.groups == 1]:
        layer.weight.mul_(factor)
        layer.bias.sub_(outputs.mean()).mul_(factor).add_(mean)  # type: ignore[union-attr]


def to_unit(image: Pixels) -> Tensor:
    """Return (3, H, W) from 0 to 1, the input of torchvision."""
    return torch.from_numpy(image).permute(2, 0, 1).float() / 255


def run_peer(model: nn.Module, image: Pixels) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Return the outputs of torchvision's head and its detections."""
    kept: list[dict[str, Tensor]] = []
    hook = model.get_submodule("head").register_forward_hook(lambda module, inputs, output: kept.append(output))
    with torch.no_grad():
        (detections,) = model([to_unit(image)])
    hook.remove()
    return kept[0], detections


def ours(name: str, weights: Path, sizes: tuple[int, int] | None = None) -> tuple[Config, Detector]:
    """Return the settings of the config of this name and the network with the weights of a file."""
    words = [f"detector.weights={weights}"]
    if sizes is not None and name.startswith("retinanet"):
        words += [f"transform.resize.size={sizes[0]}", f"transform.resize.max_size={sizes[1]}"]
    config = read_config(CONFIGS / f"{name}.yaml", words)
    network = build_detector(config, len(CLASSES), pretrained=False)
    if left_out := load_pretrained(network, config, CLASSES):
        raise RuntimeError(f"not loaded: {left_out}")
    return config, to_device(network, torch.device("cpu")).eval()


def run_ours(config: Config, network: Detector, image: Pixels) -> tuple[Predictions, Detections]:
    """Detect as in evaluation, but with the anchors of the padding, which torchvision uses too."""
    none = np.zeros(0, np.int64)
    nothing = Target(np.zeros((0, 4)), none, none.astype(bool), none.astype(float), none)
    pixels, target, placement = config.transform(image, nothing)
    everywhere = (0, 0, 2 * MAX_SIDE, 2 * MAX_SIDE)
    sample = Sample(pixels, target, 0, placement.scale, (image.shape[0], image.shape[1]), everywhere)
    batch = config.method.collate()([sample])
    with torch.inference_mode():
        predictions = network(batch.images)
    grid = config.anchors((batch.images.shape[2], batch.images.shape[3]))
    return predictions, config.decoder(predictions, grid, batch.samples, config.coder)[0]


def gap(raw: dict[str, Tensor], predictions: Predictions) -> float:
    """Return the greatest difference of any logit or delta."""
    logits = raw["cls_logits"] if predictions.background_class else raw["cls_logits"][..., 1:]
    return max(
        (predictions.logits - logits).abs().max().item(),
        (predictions.deltas - raw["bbox_regression"]).abs().max().item(),
    )


if __name__ == "__main__":
    main()
