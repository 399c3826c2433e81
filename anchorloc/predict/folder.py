"""Find objects in many image files, and write the results into a new folder."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image
from rich.console import Console

from anchorloc.data import ImageSettings
from anchorloc.engine.system.display import Display
from anchorloc.errors import ItemError
from anchorloc.files import make_folder, write_bytes
from anchorloc.predict.image_ids import ImageToRead
from anchorloc.predict.image_input import read_file
from anchorloc.predict.localizer import Localizer
from anchorloc.predict.picture_paths import picture_paths
from anchorloc.predict.results import PICTURES, ImageResult, write_results
from anchorloc.structures import Category, Pixels
from anchorloc.text import printable

LOW_SCORE = 0.1  # detections below it that decode.max_detections cuts off are hardly missed


@dataclass(frozen=True)
class PredictionSummary:
    """The counts that the command prints at the end."""

    images: int  # images that were read
    unreadable: int  # images that were skipped
    objects: int  # detections of at least the score to show
    images_at_limit: int  # with max_detections detections, the last of a score of LOW_SCORE or more
    max_detections: int


def predict_folder(
    localizer: Localizer,
    items: Sequence[ImageToRead],
    out: Path,
    categories: Sequence[Category],
    lowest: float = 0.0,
    pictures: bool = True,
) -> PredictionSummary:
    """Find objects in image files and write pictures and results into the new folder `out`.

    Files that cannot be read are reported on stderr and skipped.

    Args:
        localizer: the model.
        items: the files; boxes are in pixels of the declared size, where there is one.
        out: the folder.
        categories: the classes of the model, with the ids to write.
        lowest: lowest score in the pictures, in the table and in the counts; results.json has all detections.
        pictures: whether to write pictures.

    Raises:
        InputError: the file system refuses.
    """
    paths = picture_paths([item.name for item in items])
    results, unreadable = [], 0
    make_folder(out)
    with Display(Console(stderr=True)) as display:
        for start in range(0, len(items), localizer.batch_size):
            done = min(start + localizer.batch_size, len(items))
            images = list(_read(range(start, done), items, localizer.image_settings, display))
            unreadable += done - start - len(images)
            for (place, image), found in zip(images, localizer([image for _, image in images], score=0), strict=True):
                item, picture = items[place], out / PICTURES / paths[place]
                results.append(ImageResult(item.image_id, item.name, found))
                if pictures:
                    make_folder(picture.parent)
                    write_bytes(picture, _jpeg(found.where(score=lowest).draw(image)))
            display.update(done / len(items), f"{done:,} of {len(items):,} images")
    write_results(out, results, categories, lowest)
    limit = localizer.model.config.decoder.max_detections
    at_limit = sum(len(image.found) == limit and image.found.scores[-1] >= LOW_SCORE for image in results)
    if localizer.model.config.task == "localization":
        at_limit = 0  # one box an image is all that it finds
    objects = sum(len(image.found.where(score=lowest)) for image in results)
    return PredictionSummary(len(results), unreadable, objects, at_limit, limit)


def _read(
    places: Iterable[int], items: Sequence[ImageToRead], settings: ImageSettings, display: Display
) -> Iterator[tuple[int, Pixels]]:
    for place in places:
        try:
            yield place, read_file(items[place].path, items[place].size, settings)
        except ItemError as error:
            display.log(f"error: {printable(str(error))}")


def _jpeg(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=90, subsampling=0)
    return file.getvalue()
