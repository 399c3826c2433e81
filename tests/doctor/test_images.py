"""What the doctor finds in image files, and between train and val."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from anchorloc.data import CocoSource, read_annotations
from anchorloc.data.images import read_image
from anchorloc.doctor import Diagnosis, Rule, diagnose, read_document, repair, write_json_rows
from anchorloc.doctor.conversions import fit_to_files
from anchorloc.doctor.duplicate_images import MAX_DISTANCE, ImageHash, difference_hash, similar_pairs
from anchorloc.errors import InputError
from tests.data.data_sets import write_document
from tests.doctor.doctor_cases import keys

SIZE = (48, 64)  # (height, width)


def noise(seed: int, size: tuple[int, int] = SIZE) -> Image.Image:
    """A picture with structure at every scale."""
    random = np.random.default_rng(seed)
    coarse = Image.fromarray(random.integers(0, 256, (12, 16, 3), dtype=np.uint8)).resize(size[::-1])
    return Image.fromarray(
        (np.asarray(coarse, np.int16) + random.integers(-9, 9, (*size, 3))).clip(0, 255).astype("u1")
    )


def listing(names: list[str], **sizes: tuple[int, int]) -> dict[str, Any]:
    """One image and one box for each name."""
    images = [
        {"id": row, "file_name": name, "height": sizes.get(Path(name).stem, SIZE)[0],
         "width": sizes.get(Path(name).stem, SIZE)[1]}
        for row, name in enumerate(names, start=1)
    ]  # fmt: skip
    annotations = [
        {"id": row, "image_id": row, "category_id": 1, "bbox": [row, 5, 20, 20], "area": 400, "iscrowd": 0}
        for row in range(1, len(names) + 1)
    ]
    return {"images": images, "categories": [{"id": 1, "name": "thing"}], "annotations": annotations}


def found(diagnosis: Diagnosis) -> dict[str, list[tuple[str, str]]]:
    """Return by rule the file_name and value of each case."""
    return {
        rule.key: [(case.document.file_name(case.list_name, case.row), case.value) for case in cases]
        for rule, cases in diagnosis.findings.ordered()
    }


@pytest.fixture
def odd(tmp_path: Path) -> Path:
    """A folder of image files with one oddity each, and annotations of them."""
    folder = tmp_path / "images"
    folder.mkdir()
    exif = Image.Exif()
    exif[0x0112] = 6
    for seed, name in enumerate(("fine.png", "other.png", "spare.png")):
        noise(seed).save(folder / name)
    noise(5, (64, 48)).save(folder / "turned.jpg", exif=exif)
    noise(6).save(folder / "tagged.jpg", exif=exif)
    noise(7, (480, 640)).save(folder / "cut.jpg")
    (folder / "cut.jpg").write_bytes((folder / "cut.jpg").read_bytes()[:5000])
    (folder / "page.jpg").write_text("<html>")
    (folder / "link.png").symlink_to(__file__)
    noise(8).convert("CMYK").save(folder / "cmyk.jpg")
    Image.fromarray(np.full(SIZE, 40000, np.uint16)).save(folder / "deep.png")
    Image.fromarray(np.ones(SIZE, np.float32)).save(folder / "float.tif")
    noise(9).save(folder / "png.jpg", format="PNG")
    noise(10).save(folder / "phone.jpg", format="MPO", save_all=True, append_images=[noise(11)])
    shutil.copy(folder / "fine.png", folder / "copy.png")
    shutil.copy(folder / "fine.png", folder / ".hidden.png")  # is not reported as unlisted
    names = ["fine.png", "other.png", "turned.jpg", "tagged.jpg", "cut.jpg", "page.jpg", "link.png", "gone.png",
             "cmyk.jpg", "deep.png", "float.tif", "png.jpg", "copy.png", "phone.jpg"]  # fmt: skip
    write_document(tmp_path / "a.json", listing(names, other=(40, 60), cut=(480, 640)))
    return tmp_path


EXPECTED = {
    "no-file": [("link.png", "is a link to"), ("gone.png", "does not exist")],
    "unreadable": [("cut.jpg", "truncated"), ("page.jpg", "is not an image")],
    "needs-setting": [("float.tif", "floating-point pixels of unknown range; set data.window")],
    "size-differs": [("other.png", "64 x 48 px, declared 60 x 40")],
    "same-bytes": [("copy.png", "same as image 1 (fine.png)")],
    "orientation": [
        ("turned.jpg", "orientation 6 is applied (data.orientation=auto)"),
        ("tagged.jpg", "orientation 6 is not applied: the stored size is the declared one"),
    ],
    "odd-mode": [("cmyk.jpg", "CMYK"), ("deep.png", "16-bit gray")],
    "odd-format": [("png.jpg", "PNG named .jpg")],
    "unlisted": [("", "spare.png")],
}


@pytest.mark.parametrize("decode", [False, True])
def test_each_oddity_of_a_file_is_found(odd: Path, decode: bool) -> None:
    expected = {key: list(cases) for key, cases in EXPECTED.items()}
    if decode:
        expected["uniform-image"] = [("deep.png", "red 156, green 156, blue 156")]
    cases = found(diagnose([read_document(odd / "a.json", odd / "images")], decode=decode))
    assert cases.keys() == expected.keys()
    for key, wanted in expected.items():
        assert [name for name, _ in cases[key]] == [name for name, _ in wanted]
        for (_, value), (_, fragment) in zip(cases[key], wanted, strict=True):
            assert fragment in value


def test_a_jpeg_that_lacks_only_its_end_is_kept(tmp_path: Path) -> None:
    noise(3, SIZE).save(tmp_path / "cut.jpg")
    (tmp_path / "cut.jpg").write_bytes((tmp_path / "cut.jpg").read_bytes()[:-2])
    write_document(tmp_path / "a.json", listing(["cut.jpg"]))
    for decode in (False, True):
        assert found(diagnose([read_document(tmp_path / "a.json", tmp_path)], decode=decode)) == {
            "cut-off": [("cut.jpg", "read without its last rows")]
        }


def test_decoding_opens_each_file_once_more_than_its_header(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.fromarray(np.arange(SIZE[0] * SIZE[1], dtype=np.uint16).reshape(SIZE)).save(tmp_path / "deep.png")
    noise(3, SIZE).save(tmp_path / "cut.jpg")
    (tmp_path / "cut.jpg").write_bytes((tmp_path / "cut.jpg").read_bytes()[:-2])
    write_document(tmp_path / "a.json", listing(["deep.png", "cut.jpg"]))
    opened: list[str] = []
    open_file = Image.open

    def open_and_count(file: Any, **options: Any) -> Image.Image:
        opened.append(Path(getattr(file, "name", "completed")).name)
        return open_file(file, **options)

    monkeypatch.setattr(Image, "open", open_and_count)
    diagnosis = diagnose([read_document(tmp_path / "a.json", tmp_path)], decode=True)
    assert keys(diagnosis) >= {"few-levels", "cut-off"}
    assert sorted(opened) == ["completed", "cut.jpg", "cut.jpg", "deep.png", "deep.png"]


def test_a_set_fixed_with_its_images_passes_the_checks_of_training(odd: Path) -> None:
    diagnosis = diagnose([read_document(odd / "a.json", odd / "images", whole=True)], decode=True)
    with pytest.raises(InputError, match=r"cannot be fixed: 2 images whose file cannot be read \(first: image 5 \(cut"):
        repair(diagnosis, 8, True)
    fixed, counts = repair(diagnosis, 8, True, drop_missing=True)
    write_json_rows(odd / "b.json", fixed.documents[0].content)
    source = CocoSource(**vars(read_annotations(odd / "b.json")), folder=odd / "images")
    assert len(source) == 9
    source.check_images()
    for index in range(len(source)):
        assert source.image(index).shape == (*source.size(index), 3)
    assert counts[Rule.SIZE_DIFFERS.title, "size taken from the file"] == 1
    assert counts["annotation of a removed image", "removed"] == 5


def test_labels_drawn_on_another_copy_are_neither_moved_nor_removed(tmp_path: Path) -> None:
    """A shrunk and an enlarged copy of the annotated image: with the size of the file the boxes would lie elsewhere."""
    noise(0, (24, 32)).save(tmp_path / "small.png")
    noise(1, (96, 128)).save(tmp_path / "large.png")
    content = listing(["small.png", "large.png"])
    content["annotations"][0].update(bbox=[30, 20, 30, 25], area=750)
    path = write_document(tmp_path / "a.json", content)
    diagnosis = diagnose([read_document(path, tmp_path, whole=True)])
    with pytest.raises(
        InputError, match=r"declared size differs from its file \(first.*\); --fix takes the file's size if boxes fit"
    ):
        repair(diagnosis, 8, False)
    sizes = {file.row: file.size for file in diagnosis.files[0]}
    scaled, count = fit_to_files(diagnosis.documents[0], diagnosis.tables[0], sizes)
    assert count == 2
    assert [(item["width"], item["height"]) for item in scaled.items("images")] == [(32, 24), (128, 96)]
    assert [item["bbox"] for item in scaled.items("annotations")] == [[15, 10, 15, 12.5], [4, 10, 40, 40]]
    assert keys(diagnose([scaled])) == set()


def test_damaged_files_keep_their_labels_unless_their_removal_is_asked_for(tmp_path: Path) -> None:
    for name in ("a.jpg", "b.jpg"):
        noise(0, (480, 640)).save(tmp_path / name)
    (tmp_path / "a.jpg").write_bytes((tmp_path / "a.jpg").read_bytes()[:5000])
    content = listing(["a.jpg", "b.jpg"], a=(480, 640), b=(480, 640))
    content["images"][0]["id"] = 1.0
    path = write_document(tmp_path / "a.json", content)
    diagnosis = diagnose([read_document(path, tmp_path, whole=True)], decode=True)
    with pytest.raises(InputError, match=r"1 image whose file cannot be read \(image 1 \(a.jpg\): .*--drop-missing"):
        repair(diagnosis, 8, True)
    fixed, counts = repair(diagnosis, 8, True, drop_missing=True)
    assert counts[Rule.UNREADABLE.title, "removed"] == 1
    assert counts.examples[Rule.UNREADABLE.title, "removed"] == "image 1 (a.jpg)"
    assert [image["file_name"] for image in fixed.documents[0].items("images")] == ["b.jpg"]


def test_a_file_that_is_listed_twice_is_no_copy(tmp_path: Path) -> None:
    noise(0).save(tmp_path / "a.png")
    path = write_document(tmp_path / "a.json", listing(["a.png", "a.png"]))
    assert keys(diagnose([read_document(path, tmp_path)])) == {"same-file-name"}


def write_splits(root: Path, train: list[str], val: list[str]) -> Diagnosis:
    documents = [
        read_document(write_document(root / f"{split}.json", listing(names)), root / split)
        for split, names in (("train", train), ("val", val))
    ]
    return diagnose(documents, decode=True)


def test_leaks_are_found_by_bytes_and_suspected_by_looks(tmp_path: Path) -> None:
    for split in ("train", "val"):
        (tmp_path / split).mkdir()
    for seed in range(4):
        noise(seed, (240, 320)).resize(SIZE[::-1]).save(tmp_path / "train" / f"t{seed}.png")
    shutil.copy(tmp_path / "train" / "t2.png", tmp_path / "val" / "v0.png")
    noise(3, (240, 320)).resize(SIZE[::-1]).save(tmp_path / "val" / "v1.jpg", quality=60)
    noise(9, (240, 320)).resize(SIZE[::-1]).save(tmp_path / "val" / "t0.png")  # another picture under a name of train
    cases = found(write_splits(tmp_path, [f"t{seed}.png" for seed in range(4)], ["v0.png", "v1.jpg", "t0.png"]))
    assert cases["leak"] == [("v0.png", "same as image 3 (t2.png)")]
    assert [name for name, _ in cases["looks-leaked"]] == ["v1.jpg"]
    assert "like image 4 (t3.png)" in cases["looks-leaked"][0][1]
    assert "shared-file-name" not in cases  # the files were compared
    assert len(cases["shared-id"]) == 3


def test_without_folders_names_of_train_in_val_are_found(tmp_path: Path) -> None:
    contents = listing(["a.png", "b.png"]), listing(["c.png", "b.png"])
    contents[1]["categories"] = [{"id": 1, "name": "THING"}]
    documents = [
        read_document(write_document(tmp_path / f"{row}.json", content)) for row, content in enumerate(contents)
    ]
    cases = found(diagnose(documents))
    assert cases["shared-file-name"] == [("b.png", "in train too")]
    assert [value for _, value in cases["categories-differ"]] == [
        "'thing', but 'THING' in val",
        "'THING', but 'thing' in train",
    ]


def test_classes_of_two_splits_are_compared_by_name(tmp_path: Path) -> None:
    def cases(train: list[Any], val: list[Any]) -> dict[str, list[str]]:
        documents = []
        for split, categories in (("train", train), ("test", val)):
            content = listing([f"{split}.png"]) | {"categories": [{"id": id, "name": name} for id, name in categories]}
            content["annotations"][0]["category_id"] = categories[0][0]
            documents.append(replace(read_document(write_document(tmp_path / f"{split}.json", content)), split=split))
        rules = ("categories-differ", "other-ids", "absent-from-val", "absent-from-train")
        return {
            rule: [value for _, value in some] for rule, some in found(diagnose(documents)).items() if rule in rules
        }

    assert cases([(1, "cat"), (2, "dog")], [(1, "cat"), (2, "dog")]) == {}
    assert cases([(1, "cat"), (2, "dog")], [(2, "cat"), (1, "dog")]) == {
        "other-ids": [
            "'cat', but with id 2 in test",
            "'dog', but with id 1 in test",
            "'cat', but with id 1 in train",
            "'dog', but with id 2 in train",
        ]
    }
    assert cases([(1, "cat"), (2, "dog")], [(1, "dog"), (2, "owl")]) == {
        "categories-differ": ["'cat', not in test", "'owl', not in train"],
        "other-ids": ["'dog', but with id 1 in test", "'dog', but with id 2 in train"],
        "absent-from-train": ["'dog': 1 box"],
    }
    doubled = [(1, "cat"), (2, "cat")]
    assert cases(doubled, doubled) == {}
    several = "'cat', the name of several categories"
    assert cases(doubled, [(1, "cat")]) == {"categories-differ": [several] * 3}


def test_classes_that_only_one_split_has_boxes_of(tmp_path: Path) -> None:
    contents = [listing(["a.png"]), listing(["b.png"])]
    for content, category in zip(contents, (1, 2), strict=True):
        content["categories"] = [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}, {"id": 3, "name": "owl"}]
        content["annotations"][0]["category_id"] = category
    documents = [
        read_document(write_document(tmp_path / f"{row}.json", content)) for row, content in enumerate(contents)
    ]
    cases = found(diagnose(documents))
    assert cases["absent-from-val"] == [("", "'cat': 1 box")]
    assert cases["absent-from-train"] == [("", "'dog': 1 box")]


def test_hashes_are_compared_bit_by_bit() -> None:
    random = np.random.default_rng(0)
    bits = random.random((40, 256)) < 0.4
    bits[20:30] = bits[:10] ^ (random.random((10, 256)) < 0.035)
    bits[39] = bits[38] = False  # uniform, hence not compared
    hashes = [ImageHash(np.packbits(row).view(np.uint64)) for row in bits]
    rows, columns, distances = similar_pairs(hashes[:20] + hashes[38:39], hashes[20:])
    wanted = {
        (row, column): int((bits[row] ^ bits[20 + column]).sum())
        for row in range(20) for column in range(20) if (bits[row] ^ bits[20 + column]).sum() <= MAX_DISTANCE
    }  # fmt: skip
    assert dict(zip(zip(rows.tolist(), columns.tolist(), strict=True), distances.tolist(), strict=True)) == wanted
    assert 3 <= len(wanted) <= 10
    assert [len(part) for part in similar_pairs([], hashes)] == [0, 0, 0]


def test_real_images_differ_and_their_copies_do_not(real_data: Path, tmp_path: Path) -> None:
    """No two of the images of fruits are taken for one; nine of ten shrunk and recompressed ones are recognized."""
    images = [read_image(path) for path in sorted((real_data / "fruits" / "images").iterdir())[::6]]
    hashes = [difference_hash(image) for image in images]
    rows, columns, _ = similar_pairs(hashes, hashes)
    assert (rows == columns).all()
    copies = []
    for image in images:
        height, width, _ = image.shape
        Image.fromarray(image).resize((width // 2, height // 2)).save(tmp_path / "copy.jpg", quality=60)
        copies.append(difference_hash(read_image(tmp_path / "copy.jpg")))
    rows, columns, _ = similar_pairs(hashes, copies)
    assert (rows == columns).all()
    assert len(rows) >= 0.9 * sum(not one.uniform for one in hashes)


@pytest.mark.parametrize(("name", "modes", "formats"), [("bccd", 0, 0), ("fruits", 29, 37), ("coco128", 1, 0)])
def test_the_doctor_finds_the_anomalies_on_record(name: str, modes: int, formats: int, real_data: Path) -> None:
    root = real_data / name
    record = json.loads((root / "annotations" / "anomalies.json").read_text())["items"]
    record = [item for item in record if (root / "images" / item["image"]).exists()]  # most of coco128 are absent
    which = "_permissive" if name == "coco128" else ""
    paths = [root / "annotations" / f"instances_{split}{which}.json" for split in ("train", "val")]
    diagnosis = diagnose([read_document(path, root / "images") for path in paths])
    cases = found(diagnosis)
    assert sorted(cases.get("odd-mode", [])) == sorted(
        (i["image"], i["value"]) for i in record if i["kind"] == "image_mode"
    )
    assert sorted(name for name, _ in cases.get("odd-format", [])) == sorted(
        i["image"] for i in record if i["kind"] == "image_format"
    )
    assert (len(cases.get("odd-mode", [])), len(cases.get("odd-format", []))) == (modes, formats)
    assert not keys(diagnosis) & {"leak", "same-bytes", "unreadable", "no-file", "size-differs"}


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    path = write_document(tmp_path / "a.json", listing(["a.png"]))
    with pytest.raises(InputError, match=r"the images folder .*nowhere does not exist"):
        read_document(path, tmp_path / "nowhere")
