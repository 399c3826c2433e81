"""Settings: what is read, what is refused, and how it is said."""

from __future__ import annotations

from pathlib import Path

import pytest

from anchorloc.anchors import AnchorGenerator
from anchorloc.assign import ATSSAssigner, MaxIoUAssigner
from anchorloc.config import Config, list_settings, listing, read_config, to_plain, to_yaml
from anchorloc.config.yaml import parse_yaml
from anchorloc.data import CocoData, LabelData
from anchorloc.detector import SingleBoxLocalizer, TaskAlignedAssigner
from anchorloc.errors import InputError


def write(folder: Path, text: str) -> Path:
    path = folder / "config.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_no_file_means_the_defaults() -> None:
    assert read_config() == Config()


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    config = read_config(
        None, ["assign={kind: MaxIoUAssigner, rescue_iou: 0.1}", "anchors.scales=[[1, 2], [3], [4], [1]]"]
    )
    assert config.assign == MaxIoUAssigner(rescue_iou=0.1)
    assert config.anchors.shapes_per_level == (2, 1, 1, 1)
    assert read_config(write(tmp_path, to_yaml(config))) == config


def test_a_path_as_data_takes_further_settings(tmp_path: Path) -> None:
    wanted = LabelData(Path("labels"), format="yolo", drop_root=True)
    words = ["data.format=yolo", "data.drop_root=true"]
    assert read_config(None, ["data=labels", *words]).data == wanted
    assert read_config(write(tmp_path, "data: labels"), words).data == wanted


@pytest.mark.parametrize("word", ["1e5", "09", ".5", "true", "null", "~", "no", "12:30", "0x10", "1_000", "a: b", "é"])
def test_words_that_look_like_something_else_stay_words(tmp_path: Path, word: str) -> None:
    config = read_config(None, [f"data={{kind: CocoData, root: '{word}'}}"])
    assert read_config(write(tmp_path, to_yaml(config))) == config


def test_a_file_gives_only_what_differs(tmp_path: Path) -> None:
    config = read_config(write(tmp_path, "train:\n  ema: 5e-1\n"), ["train.batch_size=4"])
    assert (config.train.ema, config.train.batch_size) == (0.5, 4)
    assert config.anchors == Config().anchors  # the tree's own default, not the component's
    assert config.anchors != AnchorGenerator()


def test_another_kind_starts_from_its_own_defaults() -> None:
    config = read_config(None, ["assign.kind=MaxIoUAssigner", "assign.positive_iou=0.6"])
    assert config.assign == MaxIoUAssigner(positive_iou=0.6)
    assert read_config(None, ["assign.topk=5"]).assign == ATSSAssigner(5)


def test_a_part_that_is_off_is_turned_on_by_its_settings(tmp_path: Path) -> None:
    assert read_config().localizer is None
    config = read_config(None, ["task=localization", "localizer={}"])
    assert config.localizer == SingleBoxLocalizer()
    path = write(tmp_path, to_yaml(config))
    assert read_config(path, ["localizer.pool=7"]).localizer == SingleBoxLocalizer(7)
    assert read_config(path, ["localizer=null"]).localizer is None


def test_a_task_aligned_assigner_starts_from_an_assigner_of_anchors(tmp_path: Path) -> None:
    config = read_config(None, ["assign.kind=TaskAlignedAssigner"])
    assert (config.assign, config.loader_assigner) == (TaskAlignedAssigner(), ATSSAssigner())
    path = write(tmp_path, to_yaml(config))
    assert read_config(path, ["assign.topk=9"]).assign == TaskAlignedAssigner(9)
    words = ["assign.initial={kind: MaxIoUAssigner, negative_iou: 0.3}"]
    assert read_config(path, words).loader_assigner == MaxIoUAssigner(negative_iou=0.3)
    assert read_config(path, ["assign={kind: ATSSAssigner}"]).assign == ATSSAssigner()


def test_a_class_variable_is_not_listed() -> None:
    keys = [key for key, _, _ in list_settings()]
    assert not [key for key in keys if key.endswith((".exact", "classification[FocalLoss].background_class"))]


def test_settings_are_listed_without_source(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a zipapp, where inspect finds no source."""

    def no_source(cls: type) -> str:
        raise OSError("could not get source code")

    listing._meanings.cache_clear()
    monkeypatch.setattr("inspect.getsource", no_source)
    listed = list(list_settings())
    listing._meanings.cache_clear()
    assert {meaning for key, _, meaning in listed if not key.endswith("kind")} == {""}
    assert len(listed) > 50


def test_every_setting_is_listed_with_a_meaning() -> None:
    listed = {key: (default, meaning) for key, default, meaning in list_settings()}
    assert listed["train.batch_size"][0] == str(Config().train.batch_size)
    assert listed["train.warmup"][1] == "steps from 0 to the full learning rate"
    assert listed["assign.kind"][0] == "ATSSAssigner"
    assert "assign[MaxIoUAssigner].positive_iou" in listed
    keys = {key.split("[")[0].split(".kind")[0] for key in listed}
    assert set(to_plain(Config())) <= {key.split(".")[0] for key in keys}


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["train.batch_sise=4"], "train.batch_sise: unknown key, did you mean 'batch_size'?"),
        (
            ["transform.resize={kind: TorchvisionStretch, exact: true}"],
            "transform.resize.exact: unknown key of TorchvisionStretch, known here: height, width",
        ),
        (
            ["transform.resize.size=256"],
            "unknown key of Keep, known to transform.resize.kind=ShortestSide or TorchvisionShortestSide",
        ),
        (["transform.resize.foo=1"], "transform.resize.foo: unknown key of Keep, which has no settings"),
        (["model.backbone=resnet50"], "model: unknown key, did you mean 'detector.backbone'?"),
        (["train.learning_rate=0.1"], "unknown key, did you mean 'train.optimizer.learning_rate'?"),
        (["seed=1"], "seed: unknown key, did you mean 'data.seed' or 'train.seed'?"),
        (["train.device=gpu"], "train: device must be auto, cpu, cuda, cuda:N or mps, got 'gpu'"),
        (["train.length=5"], "train.length: expected a string, got 5"),
        (["train.seed="], "train.seed: expected a whole number, got nothing; write train.seed=VALUE"),
        (
            ["loss=null"],
            "loss: expected a group of settings ({} for the defaults), got nothing; give settings or leave",
        ),
        (["detector.backbone=null"], "detector.backbone: expected a group of settings ({} for the defaults), got noth"),
        (["train=null"], "train: expected a group of settings ({} for the defaults), got nothing"),
        (["anchors.shapes=[[1, 2]]"], "anchors.shapes[0][0]: expected a list, got 1"),
        (["coder.weights=[1, 2]"], "coder.weights: expected more items, got [1, 2]"),
        (["coder.weights=[1, 1, 1, 1, 1]"], "coder.weights: expected at most 4 items, got [1, 1, 1, 1, 1]"),
        (["train.precision=fp16"], "expected 'auto', 'float32' or 'bfloat16', got 'fp16'"),
        (["transform.augment.iou_crop=true"], "expected a group of settings ({} for the defaults), got True"),
        (["loss.classification.background_class=true"], "loss.classification.background_class: unknown key"),
        (["trian.batch_size=4"], "trian: unknown key, did you mean 'train'?"),
        (["train.batch_size=four"], "train.batch_size: expected a whole number, got 'four'"),
        (["train.batch_size='4'"], "train.batch_size"),
        (["train.batch_size=2.5"], "train.batch_size"),
        (["train.threads=4096"], "train: threads must be at most 512, got 4096"),
        (["train.batch_size=0"], "train: batch_size must be above 0, got 0"),
        (["train.batch_size=true"], "train.batch_size"),
        (["train.seed=null"], "train.seed"),
        (["train.precision=float16"], "train.precision"),
        (["train.length=0 epochs"], "length must read"),
        (["train.seed=-1"], "seed must be from 0"),
        (["train.batch_size=auto"], "train.batch_size is auto, which only `anchorloc train` chooses"),
        (["transform.resize=auto"], "transform.resize is auto, which only `anchorloc train` chooses; write the"),
        (["assign=auto"], "assign cannot be auto, only detector.backbone, detector.head"),
        (["train.validate_every=often"], "train.validate_every: expected a number or 'auto', got 'often'"),
        (["train.validate_every=true"], "train.validate_every: expected a number or 'auto', got True"),
        (["train.validate_every=0"], "validate_every must be above 0, got 0"),
        (["train.rewarm=1.5"], "rewarm must be from 0 to 1, got 1.5"),
        (["train.rewarm=-0.1"], "rewarm must be from 0 to 1, got -0.1"),
        (["train.rewarm=.nan"], "train.rewarm: need finite numbers"),
        (
            ["train.optimizer.learning_rate=1e300"],
            "learning_rate: need numbers up to 1e+15, got 1e+300",
        ),
        (["train.seed=99999999999999999999"], "seed must be from 0"),
        (["decode.topk_candidates=-1"], "topk_candidates and max_detections must be at least 1, got -1"),
        (["decode.nms_iou=2"], "score_threshold and nms_iou must be from 0 to 1"),
        (["detector.head.prior=2"], "prior must be above 0 and below 1, got 2"),
        (["detector.head.channels=0"], "need channels >= 1"),
        (["detector.pyramid.channels=0"], "need channels >= 1"),
        (["detector.backbone.blocks=[0, 1, 1, 1]"], "1 block a stage"),
        (["loss.classification.kind=HardNegativeLoss"], "HardNegativeLoss needs detector.head.background_class=true"),
        (["detector.head.background_class=true"], "QualityFocalLoss needs detector.head.background_class=false"),
        (["transform.multiple=-1"], "multiple must be from 0 to 4096, got -1"),
        (["assign={kind: TaskAlignedAssigner, topk: 0}"], "need topk >= 1"),
        (["coder.weights=[1, 1, 0, 1]"], "weights and max_ratio must be above 0"),
        (["loss.box_weight=-1"], "box_weight and iou_branch_weight must not be negative"),
        (["loss.classification.beta=-1"], "beta must not be negative"),
        (["loss.classification={kind: FocalLoss, alpha: 2}"], "need 0 <= alpha <= 1"),
        (["train.length=soon"], "length must read 'N minutes'"),
        (
            ["assign.kind=[a]"],
            "TaskAlignedAssigner, got ['a']",
        ),
        (
            ["assign.kind=Hungarian"],
            "TaskAlignedAssigner, got 'Hungarian'",
        ),
        (["assign=ATSSAssigner"], "assign: expected a group of settings ({} for the defaults), got 'ATSSAssigner'"),
        (["assign={kind: MaxIoUAssigner, positive_iou: 0.3}"], "negative_iou"),
        (["anchors.strides=[8, -16, 32]"], "strides"),
        (["anchors.strides=[8, x, 32]"], "anchors.strides[1]"),
        (["train"], "'train' is not an override"),
        (["=4"], "'=4' is not an override"),
        (["train=4"], "train"),
        (["train.batch_size.x=4"], "train.batch_size"),
        (["train.seed=[1"], "the override"),
        (["train.batch_size=1000000000000"], "batch_size must be at most 65536"),
        ([f"train.length={'9' * 400} minutes"], "length must read 'N minutes'"),
        (["train.optimizer={kind: Muon, iterations: 1000}"], "1 <= iterations < 100"),
        (["detector.pyramid={kind: SSDPyramid, channels: []}"], "unpadded_levels from 0 to the number of channels"),
        (["transform.resize={kind: Letterbox, height: 100000}"], "height and width must be from 1 to 32768 px"),
        (["transform.resize={kind: ShortestSide, max_size: 100000}"], "size <= max_size <= 32768"),
        (
            ["task=localization", "localizer={}", "assign={kind: TaskAlignedAssigner}"],
            "localizer has no anchors to assign; remove assign.kind=TaskAlignedAssigner",
        ),
    ],
)
def test_mistakes_are_one_sentence(overrides: list[str], words: str) -> None:
    with pytest.raises(InputError) as caught:
        read_config(None, overrides)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        ([], "x.yaml: train: batch_size must be above 0, got 0"),
        (["data.size=64"], "x.yaml: train: batch_size must be above 0, got 0"),
        (["train.batch_size=-1"], "x.yaml with train.batch_size=-1: train: batch_size must be above 0, got -1"),
        (
            ["train={batch_size: -1}"],
            "the override 'train={batch_size: -1}': train: batch_size must be above 0, got -1",
        ),
        (["train.batch_size=a"], "the override 'train.batch_size=a': train.batch_size: expected a whole"),
        (["train.batch_size=1", "train.batch_size=a"], "the override 'train.batch_size=a': train.batch_size: expected"),
        (["train.batch=1"], "the override 'train.batch=1': train.batch: unknown key"),
        (
            ["train.batch_size=1", "coder={}", "localizer={}"],
            "x.yaml with the overrides: localizer needs task=localization, but",
        ),
    ],
)
def test_a_mistake_is_blamed_on_what_made_it(tmp_path: Path, overrides: list[str], told: str) -> None:
    path = tmp_path / "x.yaml"
    path.write_text("train: {batch_size: 0}")
    with pytest.raises(InputError) as caught:
        read_config(path, overrides)
    assert str(caught.value).removeprefix(f"{tmp_path}/").startswith(told)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("train: {seed: 1}\ntrain: {seed: 2}\n", "line 2"),
        ("train: {seed: 1, seed: 2}\n", "the key 'seed' stands twice"),
        ("a: &x [1]\nb: *x\n", "aliases"),
        ("data: !!python/object/apply:os.system ['touch canary']\n", "python/object"),
        ("train: {seed: !!bool abc}\n", "line 1, column 15: tags are not read; leave out 'tag:yaml.org,2002:bool'"),
        ("train: {seed: !!timestamp abc}\n", "tags are not read"),
        ("train: {seed: !!float ''}\n", "tags are not read"),
        ("train: !!map {seed: 1}\n", "tags are not read"),
        ("train: {!!merge <<: {seed: 1}}\n", "tags are not read"),
        ("- 1\n- 2\n", "contains a list, not settings; write `key: value` lines"),
        ("text\n", "contains text, not settings"),
        ("train: [\n", "; correct the YAML"),
        ('data: {root: "C:\\data"}', "unknown escape character 'd'; write paths with / or in single quotes"),
        ("? [a, b]\n: 1\n", "a key must be a plain word"),
        ("\t- x\n", "line 1"),
    ],
)
def test_hostile_files_are_refused(tmp_path: Path, text: str, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"config\.yaml") as caught:
        read_config(write(tmp_path, text))
    assert words in str(caught.value)
    assert not (tmp_path / "canary").exists()


def test_paths_of_windows_stay_as_they_are(tmp_path: Path) -> None:
    """On the command line and in a written config."""
    given = [r"data={kind: CocoData, root: C:\new data\mine, train: labels\train.json}", r"detector.weights=..\x.pth"]
    config = read_config(None, given)
    assert isinstance(config.data, CocoData)
    words = (str(config.data.root), config.data.train, config.detector.weights)
    assert words == (r"C:\new data\mine", r"labels\train.json", r"..\x.pth")
    assert read_config(write(tmp_path, to_yaml(config))) == config


def test_a_missing_or_binary_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        read_config(tmp_path / "none.yaml")
    path = tmp_path / "binary.yaml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="not UTF-8"):
        read_config(path)


@pytest.mark.parametrize(
    ("text", "value"),
    [("1e-4", 1e-4), ("1.", 1.0), (".5", 0.5), ("-3", -3), ("no", "no"), ("12:30:45", "12:30:45"), ("true", True),
     ("null", None), ("~", None), ("0o17", "0o17"), ("2001-01-01", "2001-01-01"), ("", None), ("010", 10)],
)  # fmt: skip
def test_scalars_are_yaml_1_2(text: str, value: object) -> None:
    assert parse_yaml(text, "a test") == value
    assert type(parse_yaml(text, "a test")) is type(value)


@pytest.mark.parametrize(
    ("length", "expected"),
    [
        ("1.5 hours", (90, "minute")),
        ("1 hour", (60, "minute")),
        ("3 minutes", (3, "minute")),
        ("2 epochs", (2, "epoch")),
    ],
)
def test_the_length_of_a_run(length: str, expected: tuple[float, str]) -> None:
    assert read_config(None, [f"train.length={length}"]).train.length_and_unit == expected
