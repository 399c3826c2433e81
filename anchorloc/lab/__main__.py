"""Know what anchors can find, before you train.

    python -m anchorloc.lab report CONFIG|ANNOTATIONS [key=value ...]     what the anchors can find, and what not
    python -m anchorloc.lab fit CONFIG|ANNOTATIONS [key=value ...]        anchor shapes for this data
    python -m anchorloc.lab compare A.yaml B.yaml ... [key=value ...]     several settings side by side
    python -m anchorloc.lab sheet CONFIG|ANNOTATIONS [key=value ...]      training pictures, with boxes and anchors

CONFIG is a YAML file as for `python -m anchorloc.train`. ANNOTATIONS is a COCO file, by its ending .json: it is then
the data of the default settings, which key=value changes. Only boxes are read; report opens some images, where they
can be found, to show the boxes that no anchor learns, and sheet opens those that it shows.
"""

from __future__ import annotations

import argparse
import shlex
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from anchorloc.cli import run_command
from anchorloc.errors import InputError
from anchorloc.files import exists
from anchorloc.text import printable

if TYPE_CHECKING:
    from anchorloc.config import Config
    from anchorloc.lab.inspection import Inspection

START = time.perf_counter()
WORDS = "CONFIG | ANNOTATIONS | key=value"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the sub-command that the first word names."""
    name, *words = (sys.argv[1:] if argv is None else argv) or ["--help"]
    if name in ("-h", "--help"):
        print(__doc__)
        return 0
    if name not in COMMANDS:
        raise InputError(f"the lab has no {name!r}; choose one of {', '.join(COMMANDS)}")
    return COMMANDS[name](words)


def report(words: Sequence[str]) -> int:
    """Inspect the anchors of a config, print the numbers and write the report."""
    arguments = _inspecting("report", "What the anchors of a config can find in its data.").parse_intermixed_args(words)
    path, config = _settings(arguments.settings)
    from anchorloc.lab.report import print_inspections, write_lab_report

    with _new_folder(arguments.out, "lab") as folder:
        inspections = _inspections(config, arguments.passes)
        print_inspections(inspections)
        title = f"{path.name if path else 'built-in shapes'}: anchors"
        page = write_lab_report(folder, inspections, title, _facts(arguments))
    print(f"report: {printable(str(page))}")
    return 0


def fit(words: Sequence[str]) -> int:
    """Fit anchor shapes, print the evidence, and write fit.json and anchors.yaml into a new folder."""
    arguments = _fit_parser().parse_intermixed_args(words)
    _, config = _settings(arguments.settings)
    from anchorloc.files import write_json, write_text
    from anchorloc.lab.fit import FitSettings
    from anchorloc.lab.fit import fit as fit_anchors
    from anchorloc.lab.fit.fit_split import parts_of
    from anchorloc.lab.inspection import refuse_localizer
    from anchorloc.lab.report.anchor_fit import anchors_block, fit_lines, fit_record

    names = ("form", "shapes", "anchors", "weight_by", "passes", "restarts", "resamples", "seed")
    settings = FitSettings(**{name: getattr(arguments, name) for name in names})
    refuse_localizer(config)
    with _new_folder(arguments.out, "fit") as folder:
        parts = parts_of(config, settings.seed)
        found = fit_anchors(config, parts, settings)
        for warning in dict.fromkeys((*parts.train.warnings, *parts.held_out.warnings)):
            _warn(warning)
        for line in fit_lines(found):
            print(printable(line))
        block = anchors_block(found.anchors)
        print(f"\n{block}")
        command = shlex.join(["python", "-m", "anchorloc.lab", "fit", *words])
        write_text(folder / "anchors.yaml", f"# {printable(command)}\n{block}")
        write_json(folder / "fit.json", fit_record(found, {"command": command, "seed": settings.seed}))
    print(f"to paste: {printable(str(folder / 'anchors.yaml'))}")
    return 0


def compare(words: Sequence[str]) -> int:
    """Inspect the anchors of several configs, and show their numbers side by side."""
    arguments = _inspecting("compare", "The anchors of several configs side by side.").parse_intermixed_args(words)
    files, overrides = _split(arguments.settings)
    if len(files) < 2 or len(set(files)) < len(files):
        raise InputError(f"compare takes two or more different configs, got {', '.join(map(str, files)) or 'none'}")
    configs = [_config(path, overrides) for path in files]
    from anchorloc.lab.report import print_comparison, write_comparison

    if len({(config.data, config.transform.resize) for config in configs}) > 1:
        _warn("the configs differ in data or image size, not in their anchors alone")
    with _new_folder(arguments.out, "compare") as folder:
        found = [_inspections(config, arguments.passes, findings=False) for config in configs]
        settings = dict(zip(_short_names(files), found, strict=True))
        print_comparison(settings)
        page = write_comparison(folder, settings, _facts(arguments))
    print(f"report: {printable(str(page))}")
    return 0


def _inspections(config: Config, passes: int, findings: bool = True) -> list[Inspection]:
    from anchorloc.lab.inspection import inspect, views_of

    return list(inspect(views_of(config, passes), findings))


def _facts(arguments: argparse.Namespace) -> dict[str, object]:
    return {"settings": " ".join(arguments.settings), "seconds": f"{time.perf_counter() - START:.1f}"}


def _warn(sentence: str) -> None:
    print(f"warning: {printable(sentence)}", file=sys.stderr)


def sheet(words: Sequence[str]) -> int:
    """Draw pictures of one epoch as the network gets them, with their boxes and the anchors that learn them."""
    arguments = _sheet_parser().parse_intermixed_args(words)
    from anchorloc.data import refuse_other_counts
    from anchorloc.files import write_bytes
    from anchorloc.lab.report.sheet import draw_sheet
    from anchorloc.lab.training_pictures import scenes

    path = arguments.out or Path("runs") / f"sheet-{datetime.now():%Y%m%d-%H%M%S}.png"
    if path.suffix.lower() != ".png":
        raise InputError(f"the sheet is a PNG, so --out must end in .png, got {path}")
    if path.exists():
        raise InputError(f"{path} exists already; give another --out")
    _, config = _settings(arguments.settings)
    source = config.data.open("train")
    refuse_other_counts(config.task == "localization", source, "train")
    drawn = list(scenes(config, source, arguments.images, arguments.epoch))
    if not path.parent.is_dir():
        try:
            path.parent.mkdir(parents=True)
        except OSError as error:
            raise InputError(f"the folder {path.parent} cannot be made: {error.strerror}; give another --out") from None
    write_bytes(path, draw_sheet(drawn, source.categories))
    boxes = sum(len(scene.sample.target) for scene in drawn)
    lost = sum(len(scene.assignment.unassigned) for scene in drawn)
    print(f"sheet: {printable(str(path))} ({len(drawn)} pictures, {boxes} boxes, {lost} without an anchor)")
    return 0


def _short_names(files: Sequence[Path]) -> list[str]:
    """The stems of the files where they differ, else the whole paths."""
    stems = [path.stem for path in files]
    return stems if len(set(stems)) == len(stems) else [str(path) for path in files]


COMMANDS: dict[str, Callable[[Sequence[str]], int]] = {"report": report, "fit": fit, "compare": compare, "sheet": sheet}


def _settings(words: Sequence[str]) -> tuple[Path | None, Config]:
    """Return the file among `words`, if there is one, and the config that it and the overrides stand for."""
    files, overrides = _split(words)
    if len(files) > 1:
        raise InputError(f"give one config or one annotation file, got {', '.join(map(str, files))}")
    path = files[0] if files else None
    return path, _config(path, overrides)


def _config(path: Path | None, overrides: Sequence[str]) -> Config:
    """The settings of a config, or the default ones on an annotation file."""
    if path is not None and not path.exists():
        raise InputError(f"{path} does not exist; check the path")
    from anchorloc.config import config_from_plain, read_config  # torch takes seconds to import
    from anchorloc.lab.suggestions import misfit

    if path is None or path.suffix.lower() != ".json":
        config = read_config(path, overrides)
    else:
        beside = path.parent.name == "annotations"  # the images lie beside that folder, then
        root = path.parent.parent if beside else path.parent
        name = str(path.relative_to(root))
        data = {"kind": "CocoData", "root": str(root), "train": name, "val": name}
        config = config_from_plain({"data": data}, "the command line", overrides)
        if not any(word.startswith("detector") for word in overrides):
            return config  # of anchors alone: its network is nobody's choice
    if problem := misfit(config):
        _warn(f"training would refuse {path or 'these settings'}: {problem}")
    return config


@contextmanager
def _new_folder(out: Path | None, what: str) -> Iterator[Path]:
    """Make the folder before the work that goes into it; take it away again if nothing came of that."""
    folder = out or Path("runs") / f"{what}-{datetime.now():%Y%m%d-%H%M%S}"
    made = [one for one in (folder, *folder.parents) if not one.exists()]
    if folder not in made:
        raise InputError(f"{folder} exists already; give another --out")
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise InputError(f"the folder {folder} cannot be made: {error.strerror}; give another --out") from None
    try:
        yield folder
    except BaseException:
        with suppress(OSError):  # it holds something
            for one in made:
                one.rmdir()
        raise


def _split(words: Sequence[str]) -> tuple[list[Path], list[str]]:
    """Tell files from overrides."""
    files = [word for word in words if "=" not in word or exists(word)]
    return list(map(Path, files)), [word for word in words if word not in files]


def _parser(command: str, description: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"python -m anchorloc.lab {command}", description=description)
    parser.add_argument("settings", nargs="*", metavar=WORDS, help="what to look at, and overrides as train.seed=1")
    written = "FILE.png" if command == "sheet" else "DIR"
    parser.add_argument("--out", type=Path, metavar=written, help="what is written, new (runs/...-DATE-TIME)")
    return parser


def _inspecting(command: str, description: str) -> argparse.ArgumentParser:
    parser = _parser(command, description)
    parser.add_argument("--passes", type=_positive, default=1, metavar="K", help="augmented epochs to look at (1)")
    return parser


def _sheet_parser() -> argparse.ArgumentParser:
    parser = _parser("sheet", "What the network is trained on: one PNG of pictures, boxes and anchors.")
    parser.add_argument("--images", type=_positive, default=12, metavar="N", help="pictures, spread over the data (12)")
    parser.add_argument("--epoch", type=_whole, default=0, metavar="N", help="another one is augmented otherwise (0)")
    return parser


def _fit_parser() -> argparse.ArgumentParser:
    parser = _parser(
        "fit",
        "Fit anchor shapes to the boxes as training meets them, each level within the sizes it can serve, and score "
        "them on images held out.",
    )
    parser.add_argument(
        "--form", default="shapes", help="shapes: a list for every level; scales: scales and ratios that all share"
    )
    parser.add_argument("--shapes", type=int, metavar="K", help="shapes of a cell on every level (as the config has)")
    parser.add_argument("--anchors", type=float, metavar="N", help="instead: anchors in the mean image, spread as best")
    parser.add_argument(
        "--weight-by", default="boxes", help="what counts alike: classes, or boxes, as long as no class loses by it (boxes)"
    )
    parser.add_argument(
        "--passes", type=int, metavar="N", help="augmented passes over the train images (by their boxes)"
    )
    parser.add_argument("--restarts", type=int, default=4, metavar="N", help="searches, of which the best is taken (4)")
    parser.add_argument("--resamples", type=int, default=4, metavar="N", help="fits to images drawn anew (4)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of all that is drawn (0)")
    return parser


def _whole(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"need a whole number from 0, got {text!r}")
    return int(text)


def _positive(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"need a whole number from 1, got {text!r}")
    return int(text)


if __name__ == "__main__":
    sys.exit(run_command(main))
