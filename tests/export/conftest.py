"""The files that the commands of the guide write: an export takes tens of seconds."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from anchorloc import __main__ as console
from anchorloc.checkpoint import load_checkpoint, save_checkpoint
from anchorloc.data import ShapesData
from tests.detector.random_models import save_random
from tests.export.exported_files import BEST, THRESHOLD
from tests.guides import commands
from tests.made_once import made_once


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photos, a checkpoint, and what the commands of the guide write of it."""
    return made_once(tmp_path_factory, "exported", export_all)


def export_all(folder: Path) -> None:
    (folder / "photos").mkdir()
    scenes = ShapesData(1, 3, 96).open("val")
    for index, (height, width) in enumerate(((96, 96), (63, 96), (96, 50))):
        Image.fromarray(scenes.image(index)[:height, :width]).save(folder / "photos" / f"{index}.png")
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(scenes.image(0)[:70]).save(folder / "photos" / "turned.jpg", exif=exif, quality=95)
    Image.fromarray(scenes.image(1)[:, :, 0]).save(folder / "photos" / "gray.png")
    Image.fromarray(scenes.image(1)[:, :, 0].astype(np.uint16) * 257).save(folder / "photos" / "deep.png")
    (folder / "runs" / "mine").mkdir(parents=True)
    save_random(folder / BEST, "transform.resize={kind: Keep}", "decode.max_detections=50")
    save_checkpoint(folder / BEST, {**load_checkpoint(folder / BEST), "threshold": THRESHOLD})
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(io.StringIO()) as out:
        patch.chdir(folder)
        for words in commands("export.md"):
            if not {"--half", "--int8"} & set(words):  # test_reduced_precision.py uses these options
                assert console.main(words[1:]) == 0
    (folder / "printed").write_text(out.getvalue())
