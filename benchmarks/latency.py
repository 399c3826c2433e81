"""Time one photo and eight, from file to boxes: `anchorloc.load`, plain onnxruntime on its file, and torchvision.

    python -m benchmarks.latency                          # a network with random weights; about two minutes
    python -m benchmarks.latency --checkpoint runs/mine/best.pt --images photos

All read the same files, resize them, run a network with a MobileNetV2 backbone, and give boxes after suppression,
with the same number of threads, in turns in one process. onnxruntime runs the file of `anchorloc export`. torchvision's
RetinaNet has the same backbone with FPN and 288 px for the shorter side, as `SETTINGS` have. Without a checkpoint all
weights are random, those of our head such that several hundred candidates an image pass the threshold.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torchvision.models import mobilenet_v2
from torchvision.models.detection import RetinaNet
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.backbone_utils import _mobilenet_extractor
from torchvision.transforms.functional import pil_to_tensor

import anchorloc
from anchorloc import Localizer
from anchorloc.checkpoint import save_checkpoint
from anchorloc.config import read_config, to_plain
from anchorloc.data import ShapesData
from anchorloc.engine.build import build_detector
from anchorloc.export.model_file import export_model
from anchorloc.predict.image_input import find_images
from benchmarks.timing import median_seconds, recording_parser, significant, write_table

PHOTO = (640, 960)  # pixels, (height, width)
CLASSES = 3
SETTINGS = [
    "transform.resize={kind: Letterbox, height: 288, width: 448}",
    "anchors={strides: [8, 16, 32], scales: [4, 5.04, 6.35], height_to_width: [0.5, 1, 2]}",
    "detector.backbone={kind: TorchvisionBackbone, name: mobilenet_v2, strides: [8, 16, 32], weights: none}",
    "detector.pyramid.channels=96",
    "detector.head={channels: 96, depth: 2}",
    "transform.multiple=32",
]


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, and write the table."""
    parser = recording_parser(__doc__)
    parser.add_argument("--checkpoint", type=Path, help="a model with Letterbox resizing (default: random weights)")
    parser.add_argument("--images", type=Path, help="a folder with at least eight photos (default: built-in scenes)")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args(argv)
    torch.set_num_threads(arguments.threads)
    rows = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        images = arguments.images or draw_photos(folder / "photos")
        photos = [path for path, _ in find_images([images])][:8]
        ours = anchorloc.load(arguments.checkpoint or random_checkpoint(folder / "best.pt"), device="cpu")
        export_model(arguments.checkpoint or folder / "best.pt", folder / "model.onnx", images, None)
        without_torch = anchorloc.load(folder / "model.onnx")
        exported = run_exported(folder / "model.onnx", ours, arguments.threads)
        peer = torchvision_peer(ours)
        print(f"{len(ours(photos[0]))} and {len(exported(photos[:1])[0])} boxes in the first photo", flush=True)
        for count in (1, 8):
            files = photos[:count]
            calls = {
                "anchorloc.load": lambda files=files: ours(list(files)),
                "anchorloc.load of the ONNX file": lambda files=files: without_torch(list(files)),
                "onnxruntime": lambda files=files: exported(files),
                "torchvision": lambda files=files: peer(files),
            }
            seconds = median_seconds(calls, arguments.rounds)
            rows += [
                {
                    "photos": str(count),
                    "by": name,
                    "ms": significant(1000 * value),
                    "times onnxruntime": significant(value / seconds["onnxruntime"]),
                }
                for name, value in seconds.items()
            ]
    write_table(rows, "latency", ("torch", "torchvision", "onnxruntime"), record=arguments.record)


def draw_photos(folder: Path) -> Path:
    """Write eight built-in scenes of the size of photos."""
    folder.mkdir()
    source = ShapesData(1, 8, max(PHOTO)).open("val")
    for index in range(8):
        Image.fromarray(source.image(index)[: PHOTO[0]]).save(folder / f"{index}.jpg")
    return folder


def random_checkpoint(path: Path) -> Path:
    """Write a checkpoint whose random scores let several hundred candidates of an image pass the threshold."""
    config = read_config(None, SETTINGS)
    torch.manual_seed(0)
    network = build_detector(config, CLASSES, pretrained=False)
    with torch.no_grad():
        scenes = ShapesData(1, 4, 448).open("val")
        images = torch.from_numpy(np.stack([scenes.image(index)[:288] for index in range(4)])).permute(0, 3, 1, 2)
        logits = network.eval()(images).logits
        for layer in network.head.logits:  # type: ignore[union-attr]
            layer.weight.mul_(0.8 / logits.std())
            torch.nn.init.constant_(layer.bias, -5.5)
    state = {"config": to_plain(config), "categories": [[k, f"class {k}"] for k in range(CLASSES)], "step": 0}
    save_checkpoint(path, {**state, "model": network.state_dict()})
    return path


def run_exported(path: Path, model: Localizer, threads: int) -> Callable[[Sequence[Path]], list[Any]]:
    """Return a function of photos that resizes as the guide's script does, and runs the exported file one by one."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    config = model.model.config
    height, width = config.padded(config.transform.resize((1, 1))[0])  # a letterbox has one size
    fill = config.detector.fill

    def run(files: Sequence[Path]) -> list[Any]:
        found = []
        for file in files:
            with Image.open(file) as opened:
                photo = opened.convert("RGB")
            scale = min(height / photo.height, width / photo.width)
            small = photo.resize((round(photo.width * scale), round(photo.height * scale)), Image.Resampling.BILINEAR)
            canvas = np.full((height, width, 3), np.round(fill), np.uint8)
            canvas[: small.height, : small.width] = np.asarray(small)
            inputs = {"images": canvas.transpose(2, 0, 1)[None], "sizes": np.array([[small.height, small.width]])}
            boxes, counts = session.run(["boxes", "counts"], inputs)
            found.append(boxes[0, : counts[0]] / scale)
        return found

    return run


def torchvision_peer(model: Localizer) -> Callable[[Sequence[Path]], Any]:
    """Return a function of photos that runs torchvision's RetinaNet with the backbone."""
    backbone = _mobilenet_extractor(mobilenet_v2(weights=None), fpn=True, trainable_layers=6)
    anchors = AnchorGenerator(((32,), (64,), (128,)), ((0.5, 1.0, 2.0),) * 3)
    network = RetinaNet(backbone, len(model.names), 288, 448, anchor_generator=anchors).eval()

    @torch.inference_mode()
    def run(files: Sequence[Path]) -> Any:
        images = []
        for file in files:
            with Image.open(file) as opened:
                images.append(pil_to_tensor(opened.convert("RGB")).float() / 255)
        return network(images)

    return run


if __name__ == "__main__":
    main()
