"""Draw detections on an image."""

from __future__ import annotations

import io

from PIL import Image, ImageDraw

from anchorloc.predict.localizer import NamedDetections
from anchorloc.report.drawing import draw_box, draw_label, load_font, palette_color, writable_name
from anchorloc.structures import Pixels


def draw_detections(image: Pixels, found: NamedDetections, quality: int = 90) -> bytes:
    """Return a JPEG of `image` with the box, class and score of each detection, the highest score on top."""
    picture = Image.fromarray(image)
    canvas = ImageDraw.Draw(picture)
    width = max(1, round(max(picture.size) / 400))
    font = load_font(max(10, round(max(picture.size) / 55)))
    for row in reversed(range(len(found))):
        label, box = int(found.labels[row]), found.boxes[row].tolist()
        color = palette_color(label)
        draw_box(canvas, box, color, width)
        text = f"{writable_name(found.names[row], label, font)} {found.scores[row]:.2f}"
        draw_label(canvas, text, box[:2], picture.size, color, font)
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=quality, subsampling=0)
    return file.getvalue()
