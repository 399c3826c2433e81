"""Take the pictures of reports in docs/, of small runs on the built-in shapes, with headless Chromium.

    python -m benchmarks.page_pictures WORK   # some ten minutes on one core

The runs and reports go into the folder WORK; those that are there already are not made again.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

DOCS = Path(__file__).resolve().parents[1] / "docs"
SCENES = "data={train_images: 4000, val_images: 300, size: 96}"
TRAINING = (
    SCENES,
    "detector.backbone={channels: [24, 48, 96, 128], blocks: [1, 1, 1, 1]}",
    "detector.pyramid.channels=48",
    "detector.head={channels: 48, depth: 1}",
    "train.batch_size=8",
)
FEW_ANCHORS = ("assign={kind: MaxIoUAssigner}", "anchors={scales: [4], height_to_width: [1]}")
COMMANDS = {  # folder in WORK: the command that makes it
    "short": ("train", *TRAINING, "train.length=300 iterations"),
    "long": ("train", *TRAINING, "train.length=1200 iterations"),
    "judged": ("evaluate", "long"),
    "lab": ("lab", "report", SCENES, *FEW_ANCHORS),
    "compared": ("compare", "short=short", "long=long"),
}
PICTURES = {  # picture in docs/: page, and height in pixels from its top
    "report.png": ("judged/report.html", 1400),
    "lab.png": ("lab/report.html", 1400),
    "comparison.png": ("compared/comparison.html", 900),
}
WIDTH = 1000  # pixels
COLORS = 64  # in the palette of a PNG: a third of the bytes, and no difference to see


def main() -> None:
    """Make what is missing in WORK, and the pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path, metavar="WORK")
    work = parser.parse_args().work
    work.mkdir(parents=True, exist_ok=True)
    for name, words in COMMANDS.items():
        if not (work / name).exists():
            command = [sys.executable, "-m", "anchorloc", *words, "--out", name]
            subprocess.run(command, cwd=work, check=True)
    for name, (page, height) in PICTURES.items():
        take((work / page).resolve(), height, DOCS / name)


def take(page: Path, height: int, picture: Path) -> None:
    """Write the top of a page as a PNG."""
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))
    with tempfile.TemporaryDirectory() as folder:
        taken = Path(folder, "taken.png")
        options = ["--headless", "--no-sandbox", "--hide-scrollbars", f"--user-data-dir={folder}/profile"]
        options += [f"--window-size={WIDTH},{height}", f"--screenshot={taken}"]
        subprocess.run([chromium, *options, page.as_uri()], check=True, capture_output=True)
        with Image.open(taken) as image:
            image.convert("RGB").quantize(COLORS, dither=Image.Dither.NONE).save(picture, optimize=True)
    print(f"{picture.name}: {picture.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
