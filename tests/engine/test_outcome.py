"""What a finished run says about itself."""

from __future__ import annotations

from typing import Any

import pytest

from anchorloc.config import Config, TrainSettings, read_config
from anchorloc.engine.outcome import changed_settings, outcome_sentence, patience_sentence, unrelated_sentence


def history(*scores: float, ap50: float | None = None) -> list[dict[str, Any]]:
    """Return the log of a run with these APs, 100 steps apart."""
    rows = [
        {"step": 100 * (place + 1), "epoch": 2.0, "val/AP": ap, "val/AP50": ap * 1.5 if ap50 is None else ap50}
        for place, ap in enumerate(scores)
    ]
    return [{"step": 20, "loss": 1.0}, *rows]


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ((0.1, 0.2, 0.3, 0.4), "AP was still rising, from 0.300 to 0.400"),
        ((0.1, 0.3, 0.305, 0.306), "AP has leveled off at 0.306"),
        ((0.1, 0.4, 0.3, 0.25), "AP was 0.400 at step 200, which best.pt holds, and fell to 0.250"),
        ((0.3,), "AP is 0.300 after 100 steps, with too few validations"),
        ((0.0, 0.0), "Next to nothing was learned: AP50 is 0.000 after 200 steps"),
    ],
)
def test_the_sentence_follows_the_validations(scores: tuple[float, ...], expected: str) -> None:
    assert outcome_sentence(history(*scores), "").startswith(expected)


@pytest.mark.parametrize(
    ("patience", "best", "since", "expected"),
    [
        (0, 0.0, 9, ""),
        (3, 0.5, 2, ""),
        (2, 0.0, 2, "train.patience=2 ended the run: in the last 2 validations AP never rose above 0"),
        (1, 0.25, 1, "train.patience=1 ended the run: in the last 1 validation AP did not rise above 0.250"),
    ],
)
def test_a_run_that_patience_ended_says_so(patience: int, best: float, since: int, expected: str) -> None:
    assert patience_sentence(TrainSettings(patience=patience), best, since) == expected


def test_a_short_run_is_to_be_longer() -> None:
    assert outcome_sentence([{"step": 6, "epoch": 2.0, "val/AP": 0.0, "val/AP50": 0.0}], "photos") == (
        "AP50 is 0.000 after 6 steps, which are few: train longer."
    )


def test_a_run_of_less_than_an_epoch_is_to_be_longer() -> None:
    assert outcome_sentence([{"step": 166, "epoch": 0.27, "val/AP": 0.054, "val/AP50": 0.145}], "") == (
        "AP is 0.054 after 166 steps, in which the run saw 27.0% of the images: train longer."
    )


def test_the_settings_that_differ_are_listed() -> None:
    config = read_config(None, ["train.batch_size=4", "transform.resize={kind: Letterbox}"])
    assert changed_settings(config).split(", ") == [
        *("transform.resize.kind=Letterbox", "transform.resize.height=320", "transform.resize.width=320"),
        "train.batch_size=4",
    ]
    assert changed_settings(Config()) == ""


def test_a_run_that_learned_nothing_names_the_doctor() -> None:
    assert "`anchorloc doctor photos`" in outcome_sentence(history(0.01, 0.02, ap50=0.05), "photos")
    assert "doctor" not in outcome_sentence(history(0.01, 0.02, ap50=0.05), "")
    assert outcome_sentence([{"step": 20, "loss": 1.0}], "photos") == ""


@pytest.mark.parametrize(
    ("ap", "elsewhere", "steps", "warns"),
    [
        (0.667, 0.687, 200, True),  # airplanes fill their images: AP alone does not show that labels were shuffled
        (0.750, 0.670, 200, False),  # the same images with their own labels
        (0.040, 0.038, 200, True),
        (0.040, 0.020, 200, False),
        (0.300, None, 200, False),  # too few images
        (0.300, 0.290, 50, False),  # other sentences report few steps
        (None, 0.100, 200, False),
    ],
)
def test_boxes_that_fit_other_images_as_well_are_a_warning(
    ap: float | None, elsewhere: float | None, steps: int, warns: bool
) -> None:
    sentence = unrelated_sentence(ap, elsewhere, steps, "photos")
    assert sentence.startswith("The boxes found in an image fit other images nearly as well") == warns
    assert ("`anchorloc doctor photos`" in sentence) == warns
    assert "doctor" not in unrelated_sentence(ap, elsewhere, steps, "")
