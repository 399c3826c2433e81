"""Small label folders as tools write them; the source of each form is cited.

All show the same two photographs: a.jpg of 100 x 80 px with a red and a blue object, and b.jpg of 60 x 90 px with none,
or with one where a tool lists only images with objects.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image

from anchorloc.data import LabeledData

A, B = (100, 80), (60, 90)  # width, height
RED, BLUE = (10.0, 20.0, 40.0, 60.0), (50.0, 8.0, 90.0, 32.0)  # xyxy in a.jpg
RED_TYPE = {"type": "red", "seen": ""}


def photo(path: Path, size: tuple[int, int]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, "gray").save(path)


def text(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")


def ultralytics(root: Path) -> Path:
    """https://docs.ultralytics.com/datasets/detect: path, folders of images, labels/ beside images/, a polygon."""
    photo(root / "images/train/a.jpg", A)
    photo(root / "images/val/b.jpg", B)
    text(root / "data.yaml", "path: .\ntrain: images/train\nval: images/val\nnames:\n  0: blue\n  1: red\n")
    text(root / "labels/train/a.txt", "1 0.25 0.5 0.3 0.5\n0 0.5 0.1 0.9 0.1 0.9 0.4 0.5 0.4\n")
    return root


def roboflow_yolo(root: Path) -> Path:
    """https://docs.roboflow.com/datasets/exporting-data: ../train/images from a data.yaml that lies in the root."""
    photo(root / "train/images/a.jpg", A)
    photo(root / "valid/images/b.jpg", B)
    text(root / "data.yaml", "train: ../train/images\nval: ../valid/images\n\nnc: 2\nnames: ['blue', 'red']\n")
    text(root / "train/labels/a.txt", "1 0.25 0.5 0.3 0.5\n0 0.7 0.25 0.4 0.3")
    text(root / "valid/labels/b.txt", "")
    return root / "data.yaml"


def darknet(root: Path) -> Path:
    """https://docs.cvat.ai/docs/dataset_management/formats/format-yolo: obj.data, and data/ before each path."""
    photo(root / "obj_train_data/a.jpg", A)
    photo(root / "obj_train_data/b.jpg", B)
    text(root / "obj.data", "classes = 2\ntrain = data/train.txt\nnames = data/obj.names\nbackup = backup/\n")
    text(root / "obj.names", "blue\nred\n")
    text(root / "train.txt", "data/obj_train_data/a.jpg\ndata/obj_train_data/b.jpg\n")
    text(root / "obj_train_data/a.txt", "1 0.250000 0.500000 0.300000 0.500000\n0 0.7 0.25 0.4 0.3\n")
    text(root / "obj_train_data/b.txt", "")
    return root


def label_studio_yolo(root: Path) -> Path:
    """https://labelstud.io/guide/export: classes.txt, images/ and labels/."""
    photo(root / "images/a.jpg", A)
    photo(root / "images/b.jpg", B)
    text(root / "classes.txt", "blue\nred\n")
    text(root / "notes.json", '{"categories": [{"id": 0, "name": "blue"}], "info": {}}')
    text(root / "labels/a.txt", "1 0.25 0.5 0.3 0.5\n0 0.7 0.25 0.4 0.3\n")
    return root


def voc(root: Path) -> Path:
    """VOC2012 development kit, section 4: corners from 1, the last pixel included, and lists of the splits."""
    photo(root / "JPEGImages/a.jpg", A)
    photo(root / "JPEGImages/b.jpg", B)
    objects = (
        "<object><name>red</name><pose>Left</pose><truncated>1</truncated><difficult>0</difficult>"
        "<bndbox><xmin>11</xmin><ymin>21</ymin><xmax>40</xmax><ymax>60</ymax></bndbox></object>"
        "<object><name>blue</name><difficult>1</difficult>"
        "<bndbox><xmax>90</xmax><xmin>51</xmin><ymax>32</ymax><ymin>9</ymin></bndbox></object>"
    )
    for name, size, inside in (("a", A, objects), ("b", B, "")):
        text(
            root / f"Annotations/{name}.xml",
            f"<annotation><folder>VOC2012</folder><filename>{name}.jpg</filename><source><image>flickr</image></source>"
            f"<size><width>{size[0]}</width><height>{size[1]}</height><depth>3</depth></size>"
            f"<segmented>0</segmented>{inside}</annotation>",
        )
    text(root / "ImageSets/Main/train.txt", "a\n")
    text(root / "ImageSets/Main/val.txt", "b\n")
    return root


def labelme(root: Path) -> Path:
    """https://github.com/wkentaro/labelme, examples/bbox_detection: a rectangle by two corners, a polygon, a point."""
    for name, size in (("a", A), ("b", B)):
        photo(root / f"{name}.jpg", size)
    shapes: list[dict[str, object]] = [
        {"label": "red", "points": [[40, 60], [10, 20]], "group_id": None, "shape_type": "rectangle", "flags": {}},
        {
            "label": "blue",
            "points": [[50, 8], [90, 8], [90, 32]],
            "group_id": None,
            "shape_type": "polygon",
            "flags": {},
        },
        {"label": "tip", "points": [[5, 5]], "group_id": None, "shape_type": "point", "flags": {}},
    ]
    for name, size, inside in (("a", A, shapes), ("b", B, [])):
        content = {"version": "5.5.0", "flags": {}, "shapes": inside, "imagePath": f"{name}.jpg", "imageData": "AA=="}
        text(root / f"{name}.json", json.dumps(content | {"imageHeight": size[1], "imageWidth": size[0]}))
    return root


def cvat(root: Path) -> Path:
    """https://docs.cvat.ai/docs/dataset_management/formats/format-cvat: images in folders, a box, a polygon, a tag."""
    photo(root / "images/a.jpg", A)
    photo(root / "images/b.jpg", B)
    text(
        root / "annotations.xml",
        '<?xml version="1.0" encoding="utf-8"?><annotations><version>1.1</version><meta><task><id>1</id><labels>'
        "<label><name>blue</name></label><label><name>red</name></label></labels></task></meta>"
        '<image id="0" name="a.jpg" width="100" height="80"><tag label="day" source="manual"/>'
        '<box label="red" source="manual" occluded="0" xtl="10.00" ytl="20.00" xbr="40.00" ybr="60.00" z_order="0"/>'
        '<polygon label="blue" occluded="0" points="50.00,8.00;90.00,8.00;90.00,32.00" z_order="0"/></image>'
        '<image id="1" name="b.jpg" width="60" height="90"></image></annotations>',
    )
    return root


def retinanet_csv(root: Path) -> Path:
    """https://github.com/fizyr/keras-retinanet#csv-datasets: no header, an image without objects with empty cells."""
    photo(root / "img/a.jpg", A)
    photo(root / "img/b.jpg", B)
    text(root / "labels.csv", "img/a.jpg,10,20,40,60,red\nimg/a.jpg,50,8,90,32,blue\nimg/b.jpg,,,,,\n")
    return root / "labels.csv"


def tensorflow_csv(root: Path) -> Path:
    """https://github.com/datitran/raccoon_dataset, xml_to_csv.py: a header, and images without objects left out."""
    photo(root / "a.jpg", A)
    head = "filename,width,height,class,xmin,ymin,xmax,ymax\n"
    text(root / "labels.csv", f"{head}a.jpg,100,80,red,10,20,40,60\na.jpg,100,80,blue,50,8,90,32\n")
    return root


def coco(names: tuple[str, str] = ("a.jpg", "b.jpg"), first: int = 1) -> dict[str, list[dict[str, Any]]]:
    """Return a COCO document with ids from `first`; https://cocodataset.org/#format-data."""
    images = [
        {"id": first + place, "file_name": name, "width": size[0], "height": size[1]}
        for place, (name, size) in enumerate(zip(names, (A, B), strict=True))
    ]
    annotations = [
        {
            "id": place + 1,
            "image_id": first,
            "category_id": category,
            "bbox": [left, top, right - left, bottom - top],
            "area": (right - left) * (bottom - top),
            "iscrowd": 0,
        }
        for place, (category, (left, top, right, bottom)) in enumerate(((first + 1, RED), (first, BLUE)))
    ]
    categories = [{"id": first, "name": "blue"}, {"id": first + 1, "name": "red"}]
    return {"images": images, "annotations": annotations, "categories": categories}


def roboflow_coco(root: Path) -> Path:
    """https://docs.roboflow.com/datasets/exporting-data: _annotations.coco.json beside the images of each split."""
    for split, name, size in (("train", "a.jpg", A), ("valid", "b.jpg", B)):
        photo(root / split / name, size)
        document = coco()
        kept = 0 if split == "train" else 1
        document["images"] = [document["images"][kept]]
        document["annotations"] = document["annotations"] if split == "train" else []
        text(root / split / "_annotations.coco.json", json.dumps(document))
    return root


def cvat_coco(root: Path) -> Path:
    """https://docs.cvat.ai/docs/dataset_management/formats/format-coco: annotations/instances_SUBSET.json."""
    photo(root / "images/default/a.jpg", A)
    photo(root / "images/default/b.jpg", B)
    text(root / "annotations/instances_default.json", json.dumps(coco()))
    return root


def label_studio_coco(root: Path) -> Path:
    """https://labelstud.io/guide/export: result.json, ids from 0, file names with backslashes (label-studio#7294)."""
    photo(root / "images/a.jpg", A)
    photo(root / "images/b.jpg", B)
    text(root / "result.json", json.dumps(coco(("images\\a.jpg", "images\\b.jpg"), first=0)))
    return root


def lvis(root: Path) -> Path:
    """https://www.lvisdataset.org/dataset: coco_url in place of file_name, and no iscrowd."""
    photo(root / "val2017/a.jpg", A)
    photo(root / "val2017/b.jpg", B)
    document = coco()
    for image in document["images"]:
        image["coco_url"] = f"http://images.cocodataset.org/val2017/{image.pop('file_name')}"
    for annotation in document["annotations"]:
        del annotation["iscrowd"]
    text(root / "lvis_v1_val.json", json.dumps(document))
    return root / "lvis_v1_val.json"


def via_coco(root: Path) -> Path:
    """https://gitlab.com/vgg/via, the export to COCO: image ids as texts, one flat polygon, no box."""
    photo(root / "a.jpg", A)
    photo(root / "b.jpg", B)
    document = coco()
    first, second = document["annotations"]
    first["image_id"] = second["image_id"] = "1"
    del second["bbox"]
    second["segmentation"] = [50, 8, 90, 8, 90, 32]
    text(root / "via_export_coco.json", json.dumps(document))
    return root / "via_export_coco.json"


def coco_annotator(root: Path) -> Path:
    """https://github.com/jsbroks/coco-annotator, webserver/util/coco_util.py: iscrowd as false, keys of its own."""
    photo(root / "a.jpg", A)
    photo(root / "b.jpg", B)
    document = coco()
    for image in document["images"]:
        image |= {"dataset_id": 4, "category_ids": [1, 2], "path": f"/datasets/photos/{image['file_name']}"}
        image |= {"annotated": True, "annotating": [], "num_annotations": 2, "metadata": {}, "milliseconds": 900}
        image |= {"regenerate_thumbnail": False, "events": []}
    for annotation in document["annotations"]:
        annotation |= {"iscrowd": False, "isbbox": False, "color": "#0051c9", "metadata": {}, "dataset_id": 4}
        left, top, width, height = annotation["bbox"]
        corners = [left, top, left + width, top, left + width, top + height, left, top + height]
        annotation |= {"segmentation": [corners], "creator": "system", "width": 100, "height": 80}
    for category in document["categories"]:
        category |= {"supercategory": "", "color": "#e01f3c", "metadata": {}, "creator": "admin", "keypoint_colors": []}
    text(root / "photos.json", json.dumps(document))
    return root / "photos.json"


def via_regions() -> list[dict[str, Any]]:
    """Return the regions of a.jpg: a rectangle, a polygon and a point."""
    polygon = {"name": "polygon", "all_points_x": [50, 90, 90], "all_points_y": [8, 8, 32]}
    return [
        {
            "shape_attributes": {"name": "rect", "x": 10, "y": 20, "width": 30, "height": 40},
            "region_attributes": RED_TYPE,
        },
        {"shape_attributes": polygon, "region_attributes": {"type": "blue", "seen": "yes"}},
        {"shape_attributes": {"name": "point", "cx": 5, "cy": 5}, "region_attributes": RED_TYPE},
    ]


def via_project(root: Path) -> Path:
    """https://gitlab.com/vgg/via, via-2.x.y/CodeDoc.md: a project, and its images by name and size in bytes."""
    photo(root / "a.jpg", A)
    photo(root / "b.jpg", B)
    images = {
        "a.jpg1234": {"filename": "a.jpg", "size": 1234, "regions": via_regions(), "file_attributes": {}},
        "b.jpg567": {"filename": "b.jpg", "size": 567, "regions": [], "file_attributes": {}},
    }
    options = {"type": "dropdown", "options": {"red": "", "blue": ""}, "default_options": {}, "description": ""}
    content = {
        "_via_settings": {
            "core": {"buffer_size": 18, "filepath": {}, "default_filepath": ""},
            "project": {"name": "p"},
        },
        "_via_img_metadata": images,
        "_via_attributes": {"region": {"type": options}, "file": {}},
        "_via_data_format_version": "2.0.10",
        "_via_image_id_list": list(images),
    }
    text(root / "via_project.json", json.dumps(content))
    return root


def via_splits(root: Path) -> Path:
    """https://github.com/matterport/Mask_RCNN, samples/balloon: via_region_data.json in train and val; VIA 1's keys."""
    for split, name, size in (("train", "a.jpg", A), ("val", "b.jpg", B)):
        photo(root / split / name, size)
        regions = dict(enumerate(via_regions())) if split == "train" else {}
        image = {"fileref": "", "size": 9, "filename": name, "base64_img_data": "", "file_attributes": {}}
        text(root / split / "via_region_data.json", json.dumps({f"{name}9": image | {"regions": regions}}))
    return root


def via_csv(root: Path) -> Path:
    """https://gitlab.com/vgg/via, the annotations as CSV: one line a region, and one for an image without any."""
    photo(root / "a.jpg", A)
    photo(root / "b.jpg", B)
    lines = ["filename,file_size,file_attributes,region_count,region_id,region_shape_attributes,region_attributes"]
    for number, region in enumerate(via_regions()):
        cells = [json.dumps(region[key]).replace('"', '""') for key in ("shape_attributes", "region_attributes")]
        lines.append(f'a.jpg,1234,"{{}}",3,{number},"{cells[0]}","{cells[1]}"')
    lines.append('b.jpg,567,"{}",0,0,"{}","{}"')
    text(root / "via_export_csv.csv", "\n".join(lines))
    return root / "via_export_csv.csv"


def vott_assets() -> dict[str, dict[str, Any]]:
    """Return the images of a project by their ids, with their regions."""
    assets: dict[str, dict[str, Any]] = {}
    for place, (name, (width, height)) in enumerate((("a.jpg", A), ("b.jpg", B))):
        size = {"width": width, "height": height}
        asset = {"format": "jpg", "id": f"0{place}", "name": name, "path": f"file:C:/photos/{name}", "size": size}
        assets[f"0{place}"] = {"asset": asset | {"state": 2 - place, "type": 1}, "regions": [], "version": "2.2.0"}
    for category, kind, (left, top, right, bottom) in (("red", "RECTANGLE", RED), ("blue", "POLYGON", BLUE)):
        box = {"left": left, "top": top, "width": right - left, "height": bottom - top}
        points = [{"x": left, "y": top}, {"x": right, "y": top}, {"x": right, "y": bottom}]
        region = {"id": category, "type": kind, "tags": [category], "boundingBox": box, "points": points}
        assets["00"]["regions"].append(region)
    return assets


def vott_export(root: Path) -> Path:
    """https://github.com/microsoft/VoTT, src/providers/export/vottJson.ts: one file, and the images beside it."""
    photo(root / "vott-json-export/a.jpg", A)
    photo(root / "vott-json-export/b.jpg", B)
    tags = [{"name": "red", "color": "#5db300"}, {"name": "blue", "color": "#e81123"}]
    content = {"name": "photos", "securityToken": "t", "tags": tags, "version": "2.2.0", "assets": vott_assets()}
    text(root / "vott-json-export/photos-export.json", json.dumps(content, indent=4))
    return root


def vott_project(root: Path) -> Path:
    """https://github.com/microsoft/VoTT, src/models/applicationState.ts: a .vott file, and a file for each image."""
    photo(root / "a.jpg", A)
    photo(root / "b.jpg", B)
    assets = vott_assets()
    tags = [{"name": "red", "color": "#5db300"}, {"name": "blue", "color": "#e81123"}]
    listed = {key: item["asset"] for key, item in assets.items()}
    text(root / "photos.vott", json.dumps({"name": "photos", "tags": tags, "version": "2.2.0", "assets": listed}))
    for key, item in assets.items():
        text(root / f"{key}-asset.json", json.dumps(item))
    return root


def azure_lines(root: Path) -> Path:
    """https://learn.microsoft.com/azure/machine-learning/reference-automl-images-schema: shares, and sizes "100px"."""
    lines: dict[str, list[str]] = {"train": [], "validation": []}
    for split, name, (width, height) in (("train", "a.jpg", A), ("validation", "b.jpg", B)):
        photo(root / "images" / name, (width, height))
        labels = [
            {"label": category, "topX": x1 / width, "topY": y1 / height, "bottomX": x2 / width, "bottomY": y2 / height}
            for category, (x1, y1, x2, y2) in (("red", RED), ("blue", BLUE))
            if name == "a.jpg"
        ]
        details = {"format": "jpg", "width": f"{width}px", "height": f"{height}px"}
        content = {"image_url": f"AmlDatastore://images/{name}", "image_details": details, "label": labels}
        lines[split].append(json.dumps(content))
    for split, some in lines.items():
        text(root / f"{split}_annotations.jsonl", "\n".join(some) + "\n")
    return root


FOLDERS: dict[str, tuple[Callable[[Path], Path], str]] = {  # name: (what writes it, what is said of it)
    "ultralytics": (ultralytics, "Ultralytics YOLO: 2 classes, 1 train, 1 val images"),
    "roboflow-yolo": (roboflow_yolo, "Ultralytics YOLO: 2 classes, 1 train, 1 val images"),
    "darknet": (darknet, "Ultralytics YOLO: 2 classes, 2 train images"),
    "label-studio-yolo": (label_studio_yolo, "Ultralytics YOLO: 2 classes, 2 images"),
    "voc": (voc, "Pascal VOC: 2 classes, 1 train, 1 val images"),
    "labelme": (labelme, "LabelMe: 2 classes, 2 images"),
    "cvat": (cvat, "CVAT: 2 classes, 2 images"),
    "retinanet-csv": (retinanet_csv, "CSV: 2 classes, 2 images"),
    "tensorflow-csv": (tensorflow_csv, "CSV: 2 classes, 1 image"),
    "roboflow-coco": (roboflow_coco, "COCO: 2 classes, 1 train, 1 val images"),
    "cvat-coco": (cvat_coco, "COCO: 2 classes, 2 images"),
    "label-studio-coco": (label_studio_coco, "COCO: 2 classes, 2 images"),
    "lvis": (lvis, "COCO: 2 classes, 2 images"),
    "via-coco": (via_coco, "COCO: 2 classes, 2 images"),
    "coco-annotator": (coco_annotator, "COCO: 2 classes, 2 images"),
    "via-project": (via_project, "VIA: 2 classes, 2 images"),
    "via-splits": (via_splits, "VIA: 2 classes, 1 train, 1 val images"),
    "via-csv": (via_csv, "VIA: 2 classes, 2 images"),
    "vott-export": (vott_export, "VoTT: 2 classes, 2 images"),
    "vott-project": (vott_project, "VoTT: 2 classes, 2 images"),
    "azure-lines": (azure_lines, "Azure: 2 classes, 1 train, 1 val images"),
}


def boxes_by_name(data: LabeledData) -> dict[str, list[tuple[str, list[float]]]]:
    """Return the class and the xyxy box of each object, by the last part of the image's name."""
    found: dict[str, list[tuple[str, list[float]]]] = {}
    for labels in data.splits.values():
        names = {category["id"]: category["name"] for category in labels.document["categories"]}
        files = {image["id"]: image["file_name"].rpartition("/")[2] for image in labels.document["images"]}
        for name in files.values():
            found[name] = []
        for annotation in labels.document["annotations"]:
            x, y, width, height = annotation["bbox"]
            box = [x, y, x + width, y + height]
            found[files[annotation["image_id"]]].append((names[annotation["category_id"]], box))
    return found
