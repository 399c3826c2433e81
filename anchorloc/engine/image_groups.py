"""The groups of images that are drawn together, such as the frames of a video or the scans of a patient."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from anchorloc.data import Annotations
from anchorloc.data.formats import is_coco_file
from anchorloc.doctor import CocoDocument, read_document
from anchorloc.doctor.split import image_groups
from anchorloc.errors import InputError
from anchorloc.structures import IntArray


def group_images(path: Path, truth: Annotations, key: str | None, pattern: str | None) -> IntArray:
    """Return the number of each image's group (N,), from 0 without gaps; arguments as for `doctor.split.image_groups`.

    Raises:
        InputError: the groups cannot be formed, or there is a key but no COCO file whose images could have it.
    """
    if key is None and pattern is None:
        return np.arange(len(truth))
    if key is not None and not is_coco_file(path):
        raise InputError(f"--group-by needs a COCO file, and {path} is none; group by file name with --group-by-name")
    if key is None:  # labels of every format have file names
        images = [{"id": truth.image_id(index), "file_name": truth.name(index)} for index in range(len(truth))]
        document = CocoDocument(path, {"images": images})
    else:
        document = read_document(path)
    return np.unique(image_groups(document, key, pattern), return_inverse=True)[1].astype(np.int64)
