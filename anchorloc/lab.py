"""See what anchors can find in your data, before you train.

    python -m anchorloc.lab fit CONFIG|ANNOTATIONS [key=value ...]     anchor shapes for this data

CONFIG is a YAML file as for `python -m anchorloc.train`. ANNOTATIONS is a COCO file, by its ending .json: it is then
the data of the default settings, which key=value changes. No pixel is read.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from anchorloc.errors import InputError, printable, run_command

if TYPE_CHECKING:
    from anchorloc.config import Config

WORDS = "CONFIG | ANNOTATIONS | key=value"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the sub-command."""
    words = list(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser(
        prog="python -m anchorloc.lab", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("command", choices=COMMANDS, help="each has its own --help")
    return COMMANDS[parser.parse_args(words[:1]).command](words[1:])


def fit(words: Sequence[str]) -> int:
    """Fit anchor shapes, print the evidence, and write fit.json and anchors.yaml into a new folder."""
    arguments = _fit_parser().parse_intermixed_args(words)
    from anchorloc.coverage.fitting import FitSettings  # torch takes seconds to import: --help does not wait
    from anchorloc.coverage.fitting import fit as fit_anchors
    from anchorloc.coverage.fitting.parts import parts_of
    from anchorloc.files import write_json, write_text
    from anchorloc.report.anchor_fit import anchors_block, fit_lines, fit_record

    names = ("form", "shapes", "anchors", "weigh", "passes", "restarts", "resamples", "seed")
    settings = FitSettings(**{name: getattr(arguments, name) for name in names})
    folder = arguments.out or Path("runs") / f"fit-{datetime.now():%Y%m%d-%H%M%S}"
    _refuse_existing(folder)
    config = read_settings(arguments.settings)
    parts = parts_of(config, settings.seed)
    found = fit_anchors(config, parts, settings)
    for warning in dict.fromkeys((*parts.train.warnings, *parts.held_out.warnings)):
        print(f"warning: {printable(warning)}", file=sys.stderr)
    for line in fit_lines(found):
        print(printable(line) if line.isprintable() else line)
    block = anchors_block(found.config.anchors)
    print(f"\n{block}")
    _make(folder)
    command = shlex.join(["python", "-m", "anchorloc.lab", "fit", *words])
    write_text(folder / "anchors.yaml", f"# {printable(command)}\n{block}")
    write_json(folder / "fit.json", fit_record(found, {"command": command, "seed": settings.seed}))
    print(f"to paste: {printable(str(folder / 'anchors.yaml'))}")
    return 0


COMMANDS: dict[str, Callable[[Sequence[str]], int]] = {"fit": fit}


def read_settings(words: Sequence[str]) -> Config:
    """Return the config that a YAML file or an annotation file with overrides stands for.

    Raises:
        InputError: there are several files, or none, or a setting is wrong.
    """
    from anchorloc.config import config_from_plain, read_config

    files = [word for word in words if "=" not in word or Path(word).is_file()]
    overrides = [word for word in words if word not in files]
    if len(files) != 1:
        raise InputError(f"give one config or one annotation file, got {', '.join(files) or 'none'}")
    path = Path(files[0])
    if path.suffix.lower() != ".json":
        return read_config(path, overrides)
    data = {"kind": "CocoData", "root": str(path.parent), "train": path.name, "val": path.name, "images": "."}
    return config_from_plain({"data": data}, "the command line", overrides)


def _fit_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m anchorloc.lab fit",
        description="Fit anchor shapes to the boxes as training meets them, each level within the sizes it can serve, "
        "and score them on images held out.",
    )
    parser.add_argument("settings", nargs="*", metavar=WORDS, help="one file, and overrides such as train.seed=1")
    parser.add_argument(
        "--form", default="shapes", help="shapes: a list for every level; scales: scales and ratios that all share"
    )
    parser.add_argument("--shapes", type=int, metavar="K", help="shapes of a cell on every level (as the config has)")
    parser.add_argument("--anchors", type=float, metavar="N", help="instead: anchors in the mean image, spread as best")
    parser.add_argument("--weigh", default="boxes", help="what counts alike: boxes, or classes (boxes)")
    parser.add_argument(
        "--passes", type=int, metavar="N", help="augmented passes over the train images (by their boxes)"
    )
    parser.add_argument("--restarts", type=int, default=4, metavar="N", help="searches, of which the best is taken (4)")
    parser.add_argument("--resamples", type=int, default=4, metavar="N", help="fits to images drawn anew (4)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of all that is drawn (0)")
    parser.add_argument("--out", type=Path, metavar="DIR", help="new folder (runs/fit-DATE-TIME)")
    return parser


def _refuse_existing(folder: Path) -> None:
    if folder.exists():
        raise InputError(f"{folder} exists already; give another --out")


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise InputError(f"the folder {folder} cannot be made: {error.strerror}; give another --out") from None


if __name__ == "__main__":
    sys.exit(run_command(main))
