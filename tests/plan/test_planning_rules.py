"""Which settings change with the data set, the machine and the time."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from anchorloc.anchors import AnchorGenerator
from anchorloc.config import Config, read_config, to_plain
from anchorloc.config.planned import PLANNED
from anchorloc.data import LabelData, Letterbox, RepeatFactorSampling, ShortestSide
from anchorloc.data.tiles import Tiles
from anchorloc.detector import ResidualBackbone, TorchvisionBackbone
from anchorloc.errors import InputError
from anchorloc.plan import Facts, Fingerprint, Machine, Plan, PlanRequest, make_plan, read_request
from anchorloc.plan.plan_table import short_value

GIB = 1 << 30
CPU = Machine("cpu", cores=2, memory=16 * GIB)
GPU = Machine("cuda", cores=16, memory=128 * GIB, device_memory=24 * GIB)
PHOTOS = Fingerprint(
    images=400,
    val_images=100,
    classes=3,
    boxes=2000,
    most_boxes=20,
    one_object=False,
    size=(480, 640),
    elongation=4 / 3,
    sides=(0.15, 0.3, 0.5),
    height_to_width=(0.5, 2.0),
    rarest=0.3,
)
AERIAL = replace(PHOTOS, size=(3000, 4000), sides=(0.01, 0.015, 0.02))  # objects of 30 to 60 px in images of 12 MP
PIXELS_PER_SECOND = 1e6  # in training on the made-up machine


def facts(data: Fingerprint = PHOTOS, machine: Machine = CPU, minutes: float = 10, pretrained: bool = True) -> Facts:
    def step_seconds(config: Config) -> float:
        height, width = config.padded(config.transform.resize(data.size)[0])
        pixels = config.train.batch_size * height * width
        return pixels / (PIXELS_PER_SECOND * (100 if machine.device == "cuda" else 1))

    def on_tiles(tiles: Tiles) -> Facts:
        """Cut by the size alone: the objects are as large as before."""
        shorter = min(data.size)
        sides = tuple(side * shorter / tiles.width for side in data.sides)
        size = (tiles.height, tiles.width)
        return replace(one, data=replace(data, size=size, elongation=1.0, sides=sides))  # type: ignore[arg-type]

    one = Facts(data, machine, 60 * minutes, pretrained, step_seconds, lambda config: None, on_tiles=on_tiles)
    return one


def planned(one: Facts, *overrides: str) -> Plan:
    given = {"data": "photos", "train": {"length": "10 minutes"}}
    return make_plan(PlanRequest(given, "the command line", overrides), one)


def changed(data: Fingerprint = PHOTOS, machine: Machine = CPU, minutes: float = 10, **more: bool) -> set[str]:
    """Return the settings that differ from those for 400 photos on a CPU in 10 minutes."""
    usual, other = planned(facts()), planned(facts(data, machine, minutes, **more))
    values = [{one.key: one.value for one in plan.choices} for plan in (usual, other)]
    return {key for key in PLANNED if values[0].get(key) != values[1].get(key)}


def test_every_key_of_a_choice_is_listed() -> None:
    everything = replace(AERIAL, rarest=0.01, most_boxes=90)
    assert {one.key for one in planned(facts(everything, GPU)).choices} == set(PLANNED)


def test_random_weights_on_request_keep_the_network() -> None:
    backbone = planned(facts(pretrained=False), "detector.backbone.weights=none").config.detector.backbone
    assert isinstance(backbone, TorchvisionBackbone)
    assert backbone.weights == "none"


def test_a_tiny_data_set_has_small_batches() -> None:
    assert changed(replace(PHOTOS, images=24, boxes=60)) == {"train.batch_size", "transform.augment"}
    assert planned(facts(replace(PHOTOS, images=24))).config.train.batch_size == 3
    assert planned(facts(replace(PHOTOS, images=1))).config.train.batch_size == 1


def test_a_huge_data_set_is_changed_less() -> None:
    huge = replace(PHOTOS, images=100_000, boxes=800_000)
    assert changed(huge) == set()  # 10 minutes are short for 400 photos too
    assert planned(facts(huge, minutes=60_000)).config.transform.augment.scale_jitter == (0.8, 1.25)


def test_few_images_are_changed_much_only_in_a_long_run() -> None:
    def zoom(seconds: float | None) -> tuple[float, float]:
        return planned(replace(facts(), seconds=seconds)).config.transform.augment.scale_jitter

    assert (zoom(3600), zoom(120)) == ((0.6, 1.5), (0.8, 1.25))
    assert zoom(None) == (0.6, 1.5)  # in epochs or iterations
    choice = next(one for one in planned(facts(minutes=2)).choices if one.key == "transform.augment")
    assert (choice.why, choice.basis) == ("only about 6.1 epochs", "machine")


def test_rare_classes_are_drawn_more_often() -> None:
    assert changed(replace(PHOTOS, rarest=0.02)) == {"train.sampling"}
    assert planned(facts(replace(PHOTOS, rarest=0.02))).config.train.sampling == RepeatFactorSampling(0.1)
    assert changed(replace(PHOTOS, classes=1, rarest=0.02)) == set()  # there is no other class


def test_many_small_objects_get_larger_images() -> None:
    crowded = replace(PHOTOS, images=300, boxes=150_000, most_boxes=500, sides=(0.08, 0.1, 0.15))
    assert changed(crowded) == {"transform.resize", "train.warmup", "decode.max_detections"}
    config = planned(facts(crowded)).config
    assert config.decode.max_detections == 600
    assert config.transform.resize == ShortestSide(448, 608)
    assert planned(facts(crowded, replace(CPU, memory=8 * GIB))).config.train.batch_size == 4  # 8 take over 40% of it


def test_small_objects_in_large_images_get_tiles() -> None:
    assert "data.tiles" in changed(AERIAL, GPU)
    config = planned(facts(AERIAL, GPU)).config
    assert config.tiles == Tiles(1000, 1000, 0.1, background_fraction=0.25)  # 30 px get 24
    assert config.transform.resize == ShortestSide(800, 800)
    assert planned(facts(AERIAL, GPU)).choices[0].why == "small objects have 8 px in whole images, and 24 px in tiles"
    photos = planned(facts(replace(AERIAL, sides=(0.05, 0.1, 0.3)), GPU)).config
    assert photos.tiles is None  # small objects have 40 px


def test_a_short_run_gets_smaller_tiles_or_none_and_says_so() -> None:
    drone = replace(AERIAL, size=(1080, 1920), sides=(0.02, 0.03, 0.05), val_images=5)
    config = planned(facts(drone, minutes=10)).config
    assert config.tiles == Tiles(576, 576, 0.1, background_fraction=0.25)
    assert config.transform.resize == ShortestSide(640, 640)
    shorter = planned(facts(drone, minutes=4)).config
    assert shorter.tiles is not None
    assert (shorter.tiles.width, shorter.transform.resize) == (374, ShortestSide(416, 416))
    none = planned(facts(AERIAL, minutes=10))
    assert none.config.tiles is None
    assert (none.choices[0].key, none.choices[0].why) == (
        "data.tiles",
        "small objects have 4 px, but the time allows no tiles",
    )


def test_a_short_run_on_photos_gets_no_tiles() -> None:
    few_pixels = replace(PHOTOS, sides=(0.09, 0.2, 0.4))
    config = planned(facts(few_pixels, minutes=2)).config
    assert config.transform.resize == ShortestSide(192, 256)  # small objects have 17 px; 43 in larger images
    assert config.tiles is None
    assert planned(facts(few_pixels, minutes=1)).config.tiles is None
    assert all(one.key != "data.tiles" for one in planned(facts(few_pixels, minutes=1)).choices)


def test_no_tiles_where_they_would_cut_large_objects_or_the_user_gave_a_size() -> None:
    assert planned(facts(replace(AERIAL, sides=(0.01, 0.1, 0.3)), GPU)).config.tiles is None
    assert planned(facts(AERIAL, GPU), "transform.resize.size=640").config.tiles is None
    assert planned(facts(AERIAL, GPU), "data.tiles={height: 512, width: 512}").config.tiles == Tiles(512, 512)


def test_strips_stay_within_the_pixels_of_the_device() -> None:
    strips = replace(PHOTOS, size=(64, 1024), elongation=16.0)
    assert planned(facts(strips)).config.transform.resize == ShortestSide(96, 1536)
    assert "transform.resize" in changed(strips)


def test_fitted_anchors_are_a_choice_of_strides_and_shapes_alone() -> None:
    shapes = [[[10, 20]], [[30, 40]], [[50, 60]]]
    fitted = AnchorGenerator(strides=(8, 16, 32), shapes=shapes)  # type: ignore[arg-type]
    plan = planned(replace(facts(), fit=lambda config: fitted))
    (chosen,) = [one for one in plan.choices if one.key == "anchors"]
    assert chosen.value == {"kind": "AnchorGenerator", "strides": [8, 16, 32], "shapes": shapes}
    assert isinstance(plan.config.anchors, AnchorGenerator)
    assert plan.config.anchors.level_shapes == fitted.level_shapes
    assert short_value(chosen.value) == "AnchorGenerator strides 8 16 32, shapes 10 20 30 40 50 60"


def test_large_objects_get_coarse_levels() -> None:
    large = replace(PHOTOS, sides=(0.3, 0.6, 1.1))
    assert changed(large) == {"detector.pyramid", "anchors"}
    config = planned(facts(large)).config
    assert isinstance(config.anchors, AnchorGenerator)
    assert config.anchors.strides == (8, 16, 32, 64)


def test_a_gpu_gets_a_larger_network_and_more_workers() -> None:
    keys = {"detector.backbone", "detector.head", "detector.pyramid", "train.batch_size", "train.workers"}
    assert changed(machine=GPU) == {*keys, "transform.augment"}  # the photos are seen more often
    config = planned(facts(machine=GPU)).config
    assert isinstance(config.detector.backbone, TorchvisionBackbone)
    assert (config.detector.backbone.name, config.train.batch_size, config.train.workers) == ("resnet50", 16, 8)


def test_little_memory_lowers_the_batch() -> None:
    assert changed(machine=replace(CPU, memory=4 * GIB)) == {"train.batch_size"}
    assert planned(facts(machine=replace(CPU, memory=4 * GIB))).config.train.batch_size == 4
    assert planned(facts(machine=replace(CPU, memory=GIB))).config.train.batch_size == 1


def test_one_minute_gets_smaller_images_and_a_short_warm_up() -> None:
    assert changed(minutes=1) == {"transform.resize", "train.warmup"}
    assert planned(facts(minutes=1)).config.transform.resize == ShortestSide(128, 192)
    assert planned(facts(minutes=2)).config.transform.resize == ShortestSide(192, 256)


def test_half_a_minute_gets_smaller_batches_too() -> None:
    assert changed(minutes=0.5) == {"transform.resize", "train.batch_size", "train.warmup"}
    assert planned(facts(minutes=0.5)).config.train.batch_size == 4
    assert planned(facts(replace(PHOTOS, images=24), minutes=0.5)).config.train.batch_size == 3
    assert planned(facts(minutes=0.5), "train.gradient_accumulation=8").config.train.batch_size == 8


def test_without_weights_a_small_network_starts_from_random_ones() -> None:
    assert changed(pretrained=False) == {"detector.backbone", "train.optimizer"}
    assert isinstance(planned(facts(pretrained=False)).config.detector.backbone, ResidualBackbone)


def test_a_localizer_gets_images_of_one_size() -> None:
    plan = planned(facts(replace(PHOTOS, one_object=True)), "task=localization", "localizer={}")
    assert plan.config.transform.resize == Letterbox(256, 352)
    portraits = replace(PHOTOS, one_object=True, size=(640, 480))
    assert planned(facts(portraits), "task=localization", "localizer={}").config.transform.resize == Letterbox(352, 256)


def test_what_is_given_stays() -> None:
    plan = planned(facts(), "train.batch_size=5", "transform.resize={kind: Letterbox, height: 128, width: 128}")
    assert plan.config.train.batch_size == 5
    assert plan.config.transform.resize.__class__.__name__ == "Letterbox"
    assert not {"train.batch_size", "transform.resize"} & {one.key for one in plan.choices}


def test_part_of_a_group_that_is_given_joins_what_is_chosen() -> None:
    config = planned(facts(), "detector.backbone.weights=mine.pth", "transform.augment.vertical_flip=0.5").config
    assert isinstance(config.detector.backbone, TorchvisionBackbone)
    assert (config.detector.backbone.weights, config.detector.backbone.name) == ("mine.pth", "mobilenet_v2")
    assert (config.transform.augment.vertical_flip, config.transform.augment.horizontal_flip) == (0.5, 0.5)


def test_the_table_leaves_out_what_is_given() -> None:
    plan = planned(facts(), "transform.resize.size=640")
    (choice,) = [one for one in plan.choices if one.key == "transform.resize"]
    assert choice.value == {"kind": "ShortestSide", "max_size": 864}
    assert plan.config.transform.resize == ShortestSide(640, 864)
    repeated = make_plan(PlanRequest(to_plain(plan.config), "plan"), facts())
    assert (repeated.choices, repeated.config) == ((), plan.config)


def test_a_given_longest_side_bounds_the_shorter_one() -> None:
    assert planned(facts(), "transform.resize.max_size=300").config.transform.resize == ShortestSide(224, 300)


def test_one_object_an_image_names_the_other_task() -> None:
    single = facts(replace(PHOTOS, one_object=True))
    assert "task=localization" in planned(single).hint
    assert not planned(single, "task=localization").hint
    assert not planned(facts()).hint


def test_random_weights_are_given_to_the_same_network() -> None:
    backbone = planned(facts(pretrained=False), "detector.backbone.weights=none").config.detector.backbone
    assert backbone == TorchvisionBackbone(weights="none")


def test_other_heads_get_a_pyramid() -> None:
    overrides = ("detector.head.kind=LevelHead", "loss.classification.kind=HardNegativeLoss")
    assert planned(facts(), *overrides).config.detector.pyramid.channels == 96


def test_every_process_gets_an_image() -> None:
    plan = planned(replace(facts(replace(PHOTOS, images=24)), processes=4))
    assert (plan.config.train.batch_size, plan.config.train.workers) == (4, 1)


@pytest.mark.parametrize("word", ["train.batch_size=auto", "detector={backbone: auto}"])
def test_auto_beside_data_is_chosen_like_the_rest(tmp_path: Path, word: str) -> None:
    request = read_request(tmp_path, [word, "train.seed=3"])[1]
    assert request is not None
    assert (request.keys, request.config.train.seed) == (None, 3)


def test_a_plan_previews_what_a_config_with_auto_trains(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("data: photos\ntrain: {batch_size: auto}\n")
    request = read_request(tmp_path / "mine.yaml", [], plan=True)[1]
    assert request is not None
    assert request.keys == ("train.batch_size",)


def test_the_folder_of_a_plan_is_no_data(tmp_path: Path) -> None:
    for name in ("config.yaml", "environment.json"):
        (tmp_path / name).touch()
    with pytest.raises(InputError, match="folder of a plan"):
        read_request(tmp_path, [])


def test_auto_chooses_one_key_and_leaves_the_others(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("data: photos\ntrain: {batch_size: auto, validate_every: auto}\n")
    config, request = read_request(tmp_path / "mine.yaml", ["transform.resize=auto"])
    assert request is not None
    assert request.keys == ("train.batch_size", "transform.resize")
    plan = make_plan(request, facts(replace(PHOTOS, images=24)))
    assert {one.key for one in plan.choices} == {"train.batch_size", "transform.resize"}
    assert plan.config == replace(
        config,
        transform=replace(config.transform, resize=plan.config.transform.resize),
        train=replace(config.train, batch_size=3),
    )


def test_a_config_without_auto_needs_no_plan(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("data: photos\n")
    config, request = read_request(tmp_path / "mine.yaml", ["train.seed=3"])
    assert request is None
    assert config == read_config(tmp_path / "mine.yaml", ["train.seed=3"])
    assert read_request(None, []) == (Config(), None)
    with pytest.raises(InputError, match="nonsense"):
        read_request(tmp_path / "mine.yaml", ["nonsense=auto"])


def test_settings_of_an_earlier_run_are_kept_and_the_rest_is_chosen(tmp_path: Path) -> None:
    kept = {
        "data": {"kind": "LabelData", "path": "old", "max_pixels": 9_000_000, "val_fraction": 0.3},
        "anchors": {"kind": "AnchorGenerator", "strides": [8, 16, 32], "scales": [3.0], "height_to_width": [1.0]},
        "detector": {"backbone": {"kind": "ResidualBackbone", "first_stride": 8}, "weights": "runs/old/best.pt"},
        "transform": {"resize": {"kind": "ShortestSide", "size": 224, "max_size": 320}},
    }
    request = read_request(tmp_path, [], kept=kept)[1]
    assert request is not None
    plan = make_plan(request, facts(PHOTOS))
    assert plan.config.anchors == request.config.anchors
    assert plan.config.detector.backbone == request.config.detector.backbone
    assert plan.config.detector.weights == "runs/old/best.pt"
    assert plan.config.transform.resize == ShortestSide(224, 320)
    chosen = {one.key for one in plan.choices}
    assert {"train.optimizer", "train.batch_size", "transform.augment"} <= chosen
    assert not {"anchors", "transform.resize", "detector.backbone"} & chosen
    data = plan.config.data
    assert isinstance(data, LabelData)
    assert (data.path, data.max_pixels, data.val_fraction) == (tmp_path, 9_000_000, 0.2)


def test_without_data_those_of_the_earlier_run_are_read_again(tmp_path: Path) -> None:
    kept = {"data": {"kind": "LabelData", "path": "old"}, "detector": {"weights": "runs/old/best.pt"}}
    config, request = read_request(None, [], kept=kept)
    assert request is not None
    assert request.keys is None
    assert isinstance(config.data, LabelData)
    assert config.data.path == Path("old")
    (tmp_path / "mine.yaml").write_text("data: photos\ndetector: {weights: other.pt}\n")
    config, request = read_request(tmp_path / "mine.yaml", [], kept=kept)
    assert request is None
    assert isinstance(config.data, LabelData)
    assert (config.data.path, config.detector.weights) == (Path("photos"), "other.pt")
