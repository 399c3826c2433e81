"""Models of torchvision in our settings: the same detections from the same weights, and what fine-tuning takes."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
import torch
from torch import Tensor

from anchorloc.checkpoint import save_checkpoint
from anchorloc.config import read_config, to_plain
from anchorloc.detector.torchvision_weights import COCO_ROWS, family, translate
from anchorloc.detector.transfer import logits_per_anchor
from anchorloc.engine.build import build_detector
from anchorloc.engine.state.pretrained import class_sentences, load_pretrained
from anchorloc.engine.trained_model import load_model
from anchorloc.errors import InputError
from anchorloc.evaluate import main as evaluate
from anchorloc.structures import Category
from anchorloc.train import main as train
from benchmarks.torchvision_parity import CONFIGS, MODELS, compare, noise, peer
from tests.data.data_sets import write_data_set

LITE = "ssdlite320_mobilenet_v3_large"
LITE_CONFIG = CONFIGS / f"{LITE}.yaml"


@pytest.fixture(scope="module")
def lite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with the state dict of an SSDLite with COCO's 91 classes."""
    path = tmp_path_factory.mktemp("weights") / "lite.pth"
    torch.save(peer(LITE).state_dict(), path)
    return path


def lite_state(path: Path) -> dict[str, Tensor]:
    state: dict[str, Tensor] = torch.load(path, weights_only=True)
    return state


@pytest.mark.parametrize("name", MODELS)
def test_detections_are_those_of_torchvision(name: str) -> None:
    images = [noise((110, 150), 0), noise((170, 120), 1)]
    found = compare(name, images[:1] if name == "ssd300_vgg16" else images, (128, 200))  # it takes seconds an image
    assert found["same labels and order"]
    assert int(str(found["swapped in ties"])) <= 6  # out of 600: scores that float32 cannot separate
    assert int(str(found["fewest detections"])) >= 100
    assert float(str(found["raw outputs"])) <= 1e-4
    assert float(str(found["boxes (px)"])) <= 1e-3
    assert float(str(found["scores"])) <= 1e-5


def test_files_of_older_torchvision_have_other_names() -> None:
    old = {
        "backbone.fpn.extra_blocks.p6.weight": torch.zeros(256, 256, 3, 3),
        "backbone.body.layer1.0.conv1.weight": torch.zeros(1),
        "backbone.fpn.inner_blocks.0.weight": torch.zeros(1),
        "head.classification_head.conv.6.bias": torch.zeros(1),
        "head.regression_head.bbox_reg.weight": torch.zeros(1),
    }
    assert family(old) == "retinanet_resnet50_fpn"
    assert list(translate(old)) == [
        "pyramid.extra.0.weight",
        "backbone.body.layer1.0.conv1.weight",
        "pyramid.lateral.0.weight",
        "head.class_tower.convs.3.bias",
        "head.deltas.0.weight",
    ]


def test_classes_are_taken_by_name_and_the_rest_is_listed(lite: Path) -> None:
    """The rows of two of COCO's 80, by hand."""
    state = lite_state(lite)
    config = read_config(LITE_CONFIG, [f"detector.weights={lite}"])
    categories = [Category(1, "dog"), Category(2, "blob"), Category(3, "cat")]
    torch.manual_seed(0)
    network = build_detector(config, 3)
    before = network.state_dict()["head.logits.1.1.weight"].clone().view(6, 4, -1)
    assert load_pretrained(network, config, categories) == ["1 of 3 classes (blob): not among the 90"]
    after = network.state_dict()["head.logits.1.1.weight"].view(6, 4, -1)  # (K, background and classes, ...)
    given = state["head.classification_head.module_list.1.1.weight"].view(6, 91, -1)
    torch.testing.assert_close(after[:, 0], given[:, 0])
    torch.testing.assert_close(after[:, 1], given[:, COCO_ROWS["dog"]])
    torch.testing.assert_close(after[:, 2], before[:, 2])
    torch.testing.assert_close(after[:, 3], given[:, COCO_ROWS["cat"]])
    assert COCO_ROWS["dog"] == 18  # the category id in COCO's files
    assert len(COCO_ROWS) == 80


def test_other_anchors_lose_the_last_layers_of_their_levels_alone(lite: Path) -> None:
    words = ["anchors.aspect_ratios=[[2, 3], [2], [2, 3], [2, 3], [2, 3], [2, 3]]"]
    config = read_config(LITE_CONFIG, [f"detector.weights={lite}", *words])
    network = build_detector(config, 90)
    left_out = load_pretrained(network, config, [Category(number, f"c{number}") for number in range(90)])
    assert left_out == ["head.logits.1.1 and head.deltas.1.1: 6 anchors a cell in the file, 4 here"]
    given = translate(lite_state(lite))
    own = network.state_dict()
    changed = [name for name, value in given.items() if name not in own or not torch.equal(own[name], value)]
    assert changed == [f"head.{branch}.1.1.{part}" for branch in ("logits", "deltas") for part in ("weight", "bias")]


def test_a_checkpoint_of_ours_is_a_start_too(lite: Path, tmp_path: Path) -> None:
    best = tmp_path / "best.pt"
    names = ["ellipse", "rectangle", "triangle", "cross"]
    trained = build_detector(read_config(), 4).state_dict()
    categories = [[number, name] for number, name in enumerate(names)]
    save_checkpoint(best, {"config": to_plain(read_config()), "categories": categories, "step": 1, "model": trained})
    config = read_config(None, [f"detector.weights={best}"])
    network = build_detector(config, 2)
    left_out = load_pretrained(network, config, [Category(1, "cross"), Category(2, "circle")])
    assert left_out == ["1 of 2 classes (circle): not among the 4"]
    torch.testing.assert_close(network.state_dict()["head.logits.0.weight"][0], trained["head.logits.0.weight"][3])


def test_a_taken_over_model_is_evaluated_and_fine_tuned(
    lite: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By the commands of docs/models.md, on a data set of two classes that COCO has."""
    root = write_data_set(tmp_path / "data")
    data = f"data={{kind: CocoData, root: {root}}}"
    words = [str(LITE_CONFIG), data, f"detector.weights={lite}", "train.workers=0"]
    assert evaluate([*words, "--out", str(tmp_path / "judged")]) == 0
    assert "600 detections · 2 classes" in capsys.readouterr().out
    short = ["train.length=1 iterations", "train.batch_size=2", "train.precision=float32"]
    assert train([*words, *short, "--out", str(tmp_path / "run")]) == 0
    assert "not loaded" not in capsys.readouterr().out
    assert load_model(tmp_path / "run" / "best.pt").step == 1


def fails(words: list[str], classes: int = 90) -> str:
    config = read_config(LITE_CONFIG, words)
    network = build_detector(config, classes)
    with pytest.raises(InputError) as caught:
        load_pretrained(network, config, [Category(number, f"c{number}") for number in range(classes)])
    assert "\n" not in str(caught.value)
    return str(caught.value)


class Code:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (print, ("code was run",))


def test_files_that_cannot_be_taken_over_are_one_sentence(lite: Path, tmp_path: Path) -> None:
    path = tmp_path / "x.pth"
    weights = f"detector.weights={path}"
    assert "does not exist" in fails([weights])
    path.write_bytes(lite.read_bytes()[:100_000])
    assert "x.pth cannot be loaded: it is not a torch file or is damaged" in fails([weights])
    path.write_bytes(pickle.dumps(Code()))
    assert "x.pth cannot be loaded" in fails([weights])
    torch.save({"fc.weight": torch.zeros(1000, 512)}, path)
    sentence = "x.pth cannot be used as weights: it is not a state dict of a supported detector (retinanet"
    assert sentence in fails([weights])
    state = lite_state(lite)
    del state["backbone.extra.2.0.0.weight"]
    torch.save(state, path)
    assert f"it lacks pyramid.extra.2.0.conv.weight (1 such tensors); it is a {LITE}, see configs" in fails([weights])
    nan = lite_state(lite)
    nan["backbone.extra.2.0.0.weight"][0] = torch.nan
    torch.save(nan, path)
    assert "x.pth cannot be used: backbone.extra.2.0.0.weight is NaN or infinite in places" in fails([weights])
    wider = ["detector.pyramid={kind: SSDLitePyramid, channels: [512, 256, 256, 256]}"]
    assert "it has another shape of pyramid.extra.3" in fails([f"detector.weights={lite}", *wider])


@pytest.mark.parametrize(
    ("name", "shape", "told"),
    [
        ("classification_head.module_list.3.0.1.bias", None, "lacks head.logits.3.0.norm.bias"),
        ("classification_head.module_list.3.1.bias", None, "lacks head.logits.3.1.bias"),
        ("regression_head.module_list.3.1.weight", None, "lacks head.deltas.3.1.weight"),
        ("regression_head.module_list.3.0.1.bias", (7,), "has another shape of head.deltas.3.0.norm.bias"),
        ("regression_head.module_list.3.1.bias", (7,), "has another shape of head.deltas.3.1.bias"),
        ("classification_head.module_list.3.1.bias", (7,), "has another shape of head.logits.3.1.bias"),
        ("classification_head.module_list.3.1.weight", (7, 512, 1, 1), "has another shape of head.logits.3.1.weight"),
    ],
)
def test_a_head_of_which_a_part_is_missing_is_refused(
    lite: Path, tmp_path: Path, name: str, shape: tuple[int, ...] | None, told: str
) -> None:
    state = lite_state(lite)
    given = state.pop(f"head.{name}")
    if shape is not None:
        state[f"head.{name}"] = torch.zeros(shape, dtype=given.dtype)
    torch.save(state, tmp_path / "x.pth")
    assert f"it {told} (1 such tensors)" in fails([f"detector.weights={tmp_path / 'x.pth'}"])


def test_a_number_in_place_of_a_layer_is_refused(lite: Path, tmp_path: Path) -> None:
    state = {**lite_state(lite), "head.regression_head.module_list.3.1.weight": torch.tensor(1.0)}
    torch.save(state, tmp_path / "x.pth")
    assert "it has another shape of head.logits.3.1.weight (4 such" in fails([f"detector.weights={tmp_path / 'x.pth'}"])


def test_a_level_that_is_absent_as_a_whole_is_listed(lite: Path, tmp_path: Path) -> None:
    state = {name: value for name, value in lite_state(lite).items() if ".module_list.3." not in name}
    torch.save(state, tmp_path / "x.pth")
    config = read_config(LITE_CONFIG, [f"detector.weights={tmp_path / 'x.pth'}"])
    left_out = load_pretrained(build_detector(config, 90), config, [Category(n, f"c{n}") for n in range(90)])
    assert left_out == ["head.logits.3.1 and head.deltas.3.1: not in the file"]


def test_classes_that_are_taken_in_order_are_said(lite: Path) -> None:
    """The file has 91 rows: the background, and COCO's 90 classes or any other 90."""
    others = [Category(number, f"c{number}") for number in range(90)]
    (sentence,) = class_sentences(lite, others)
    assert sentence == (
        "classes taken over in order (90): it names none, and has as many as the data; its first becomes 'c0'"
    )
    assert class_sentences(lite, [Category(1, "dog"), *others[1:]]) == []
    assert class_sentences(lite, others[1:]) == []


def test_a_model_of_other_classes_is_not_judged(lite: Path, tmp_path: Path) -> None:
    root = write_data_set(tmp_path / "data")
    text = (root / "annotations" / "instances_val.json").read_text().replace('"cat"', '"lynx"')
    (root / "annotations" / "instances_val.json").write_text(text)
    words = [f"data={{kind: CocoData, root: {root}}}", f"detector.weights={lite}"]
    with pytest.raises(InputError, match=r"does not hold the whole network \(not loaded: 1 of 2 classes \(lynx\)"):
        load_model(LITE_CONFIG, words)
    with pytest.raises(InputError, match=r"names no weights; give detector\.weights=FILE"):
        load_model(LITE_CONFIG)


def test_a_size_that_the_network_is_not_made_for_is_one_sentence() -> None:
    small = [
        "detector.backbone={kind: ResidualBackbone, channels: [8, 8, 16], blocks: [1, 1, 1], first_stride: 8}",
        "detector.pyramid={kind: SSDPyramid, fc_channels: 16, channels: [16, 16, 16, 16]}",
    ]
    build_detector(read_config(CONFIGS / "ssd300_vgg16.yaml", small), 3)
    shrunk = [*small, "transform.augment.multi_scale=[0.75, 1]"]
    with pytest.raises(
        InputError, match=r"fails on an image of 225 x 225 px \(.*(Kernel|Output) size.*\); change transform"
    ):
        build_detector(read_config(CONFIGS / "ssd300_vgg16.yaml", shrunk), 3)
    words = [*small, "transform.resize={kind: TorchvisionStretch, height: 512, width: 512}"]
    with pytest.raises(InputError, match=r"predicts for .* anchors in an image of 512 x 512 px, but the config has"):
        build_detector(read_config(CONFIGS / "ssd300_vgg16.yaml", words), 3)


def test_ssd_needs_two_maps() -> None:
    anchors = (
        "aspect_ratios: [[2], [2], [2], [2], [2]], scales: [0.1, 0.2, 0.3, 0.4, 0.5, 0.6], steps: [8, 16, 32, 64, 100]"
    )
    words = ["detector.backbone.strides=[16]", f"anchors={{kind: TorchvisionSSDAnchors, {anchors}}}"]
    message = "two maps of the backbone at least, as conv4_3 and fc7; got 1"
    with torch.device("meta"), pytest.raises(InputError, match=message):  # without the seconds of random weights
        build_detector(read_config(CONFIGS / "ssd300_vgg16.yaml", words), 3, pretrained=False)


def test_the_number_of_classes_is_that_of_the_file(lite: Path) -> None:
    assert logits_per_anchor(translate(lite_state(lite))) == 91
