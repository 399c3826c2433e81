"""Use a model that `anchorloc export` wrote, without torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from anchorloc.config import Config, config_from_plain, own_parts, translated
from anchorloc.data.image_settings import KEYS
from anchorloc.detector.original_pixels import to_detections
from anchorloc.detector.padding import pad_images
from anchorloc.engine.export_metadata import KEY, read_metadata
from anchorloc.engine.onnx_session import open_file, reason, refuse_other_graph
from anchorloc.engine.state.score_threshold import ScoreThreshold, saved_threshold
from anchorloc.errors import InputError
from anchorloc.files import refuse_missing
from anchorloc.structures import Category, Detections, Sample, Size, categories_of

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

CHANGEABLE = (  # by overrides; all else is fixed in the file
    *KEYS, "data", "train.device", "train.batch_size", "train.workers", "train.image_cache_mb",
    "decode.nms_iou", "decode.max_detections", "decode.class_agnostic_nms", "decode.soft_nms_sigma",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class OnnxModel:
    """An exported network with all that is needed to use it; the counterpart of `TrainedModel`."""

    config: Config
    categories: tuple[Category, ...]
    step: int  # steps that it was trained for
    session: InferenceSession
    threshold: ScoreThreshold | None
    path: Path  # absolute, of the file
    precision: str = "float32"  # number type of the network

    def __getstate__(self) -> dict[str, Any]:
        """Return what is copied and pickled: onnxruntime does neither with a session, so the file is opened again."""
        return {**vars(self), "session": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, session=open_file(state["path"]))

    def padded(self, size: Size) -> Size:
        """Return the size that the file takes for an image of (height, width) after resizing.

        Raises:
            InputError: the file was exported for one size, which is smaller, or which its boxes depend on.
        """
        fixed, own = self._fixed_size, self.config.padded(size)
        if fixed is None:
            return own
        if self.config.method.depends_on_size and own != fixed:
            raise InputError(
                f"the exported file takes images of {fixed[0]} x {fixed[1]} px alone, but one has "
                f"{own[0]} x {own[1]} px (height x width) after resizing and padding; use the checkpoint for it"
            )
        if size[0] > fixed[0] or size[1] > fixed[1]:
            raise InputError(
                f"the exported file takes images of at most {fixed[0]} x {fixed[1]} px, but one has "
                f"{size[0]} x {size[1]} px (height x width) after resizing; export without --size"
            )
        return fixed

    @property
    def _fixed_size(self) -> Size | None:
        [images] = [one for one in self.session.get_inputs() if one.name == "images"]
        height, width = images.shape[2:]
        return (height, width) if isinstance(height, int) and isinstance(width, int) else None

    def inputs(self, samples: Sequence[Sample]) -> dict[str, np.ndarray]:
        """Return the inputs of the file for samples of one padded size, by name."""
        images = [sample.image for sample in samples]
        canvas = max(image.shape[0] for image in images), max(image.shape[1] for image in images)
        batch = pad_images(images, self.padded(canvas), self.config.detector.fill)
        sizes = np.array([sample.extent[2:] for sample in samples], np.int64)
        return {"images": np.ascontiguousarray(batch.transpose(0, 3, 1, 2)), "sizes": sizes}

    def candidates(self, samples: Sequence[Sample]) -> list[Detections]:
        """Return the decoded boxes of each image before NMS, in original pixels; the samples must have one padded size.

        Raises:
            InputError: the file cannot be run, its outputs do not fit together, or a box is NaN or infinite.
        """
        inputs = self.inputs(samples)
        try:
            boxes, scores = self.session.run(["candidate_boxes", "candidate_scores"], inputs)
        except Exception as error:  # onnxruntime has a class of its own for each kind of failure
            raise InputError(
                f"the exported file cannot be run ({reason(error)}); give smaller images if memory ran out, or export "
                "the checkpoint again"
            ) from None
        anchors, images = scores.shape[2:], len(samples)
        if (boxes.shape, scores.shape) != ((images, *anchors, 4), (images, len(self.categories), *anchors)):
            raise InputError(
                f"the exported file gives boxes of shape {boxes.shape} and scores of shape {scores.shape}, which do "
                "not fit together; export the checkpoint again"
            )
        return [self._candidates(*one) for one in zip(boxes, scores, samples, strict=True)]

    def _candidates(self, boxes: np.ndarray, scores: np.ndarray, sample: Sample) -> Detections:
        rows, labels = np.nonzero(scores.T)  # by ascending anchor, as in `Decoder`
        anchors = rows if self.config.method.has_anchors else np.full_like(rows, -1)
        return to_detections(boxes[rows], scores[labels, rows], labels, anchors, sample)

    def facts(self) -> dict[str, object]:
        """Return what a report says of the model: a name and a value for each line."""
        facts = {"trained steps": self.step, "inference": f"{self.precision} in onnxruntime on cpu"}
        return facts if self.config.method.has_anchors else {**facts, "localizer": "single box"}


def load_onnx(path: Path, overrides: Sequence[str] = ()) -> OnnxModel:
    """Load a file that `anchorloc export` wrote.

    Args:
        overrides: settings that the file does not fix: of images, data and NMS.

    Raises:
        InputError: onnxruntime is missing, or the file is damaged, of another program or version, or fixes a setting
            that an override names.
    """
    refuse_missing(path)
    if find_spec("onnxruntime") is None:
        raise InputError(f"{path} needs onnxruntime; run: pip install onnxruntime")
    for override in overrides:
        key, _, value = override.partition("=")
        if key == "train.device" and value not in ("auto", "cpu", "cpu:0"):
            raise InputError(f"{path} runs on the CPU, not on {value}; leave the device out")
    session = open_file(path)
    entries = read_metadata(path, session.get_modelmeta().custom_metadata_map.get(KEY))
    refuse_other_graph(path, session, len(entries["classes"]))
    config = config_from_plain(translated(entries["settings"]), str(path), overrides)  # refuses an unknown key
    for key in (override.partition("=")[0] for override in overrides):
        if not any(key == one or key.startswith(f"{one}.") for one in CHANGEABLE):
            shown = "; --score, or score= in Python, shows fewer objects" if key == "decode.score_threshold" else ""
            raise InputError(f"{path} has a fixed {key}; export the checkpoint again with this override{shown}")
    if "multiple" in entries and any(part.key == "anchors" for part in own_parts(config)):
        # the file holds the anchors, so that their code is not needed, not even for their strides
        config = replace(config, transform=replace(config.transform, multiple=entries["multiple"]))
    categories = categories_of([(one["id"], one["name"]) for one in entries["classes"]])
    threshold, precision = saved_threshold(entries), entries.get("precision", "float32")
    return OnnxModel(config, categories, entries["step"], session, threshold, path.absolute(), precision)
