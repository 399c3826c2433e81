"""What the doctor can find: how grave it is, what it is called, and what to do."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from anchorloc.data.coco_fields import MAX_COORDINATE
from anchorloc.text import plural


class Severity(Enum):
    """How grave a kind of finding is; the value is its heading."""

    ERROR = "errors: training refuses these"
    WARNING = "warnings: these bend training or scoring"
    INFORMATION = "information"


@dataclass(frozen=True)
class Kind:
    """One kind of finding."""

    key: str
    severity: Severity
    title: str  # a noun phrase in the singular, whose first word takes the plural
    remedy: str

    def counted(self, count: int) -> str:
        """The title, in the plural unless there is one."""
        return self.title if count == 1 else plural(self.title)


_ERROR, _WARNING, _INFORMATION = Severity
_REMOVED = "correct or remove them; --fix removes them"
_FOLLOWED = 'correct or remove them; --fix takes "2" for 2, and removes the rest'

NOT_JSON = Kind(
    "not-json",
    _ERROR,
    "file with NaN or Infinity, which JSON has no word for",
    "write a number; --fix removes the box",
)
NO_IMAGES = Kind("no-images", _ERROR, "file without any image", "list the images, with id, file_name and size")
NO_LIST = Kind("no-list", _ERROR, "list missing, or not a list", "write it, even if it is empty: []")
NO_CATEGORIES = Kind("no-categories", _ERROR, "file without any category", "list the classes, with id and name")
BAD_ITEM = Kind("bad-item", _ERROR, "item of a list that is no object", _REMOVED)
BAD_ID = Kind(
    "bad-id", _ERROR, "id missing or of a wrong type", "use whole numbers or strings; --fix renumbers or removes"
)
MIXED_IDS = Kind(
    "mixed-ids", _ERROR, "list with numbers and strings for ids", "use one kind; --fix renumbers, references too"
)
SAME_IMAGE_ID = Kind(
    "same-image-id",
    _ERROR,
    "image with the id of another",
    "--fix merges entries of the same file, else removes all of that id",
)
SAME_CATEGORY_ID = Kind(
    "same-category-id",
    _ERROR,
    "category with the id of another",
    "--fix merges entries of the same name, else removes all of that id",
)
SAME_ANNOTATION_ID = Kind(
    "same-annotation-id", _ERROR, "annotation with the id of another", "make ids unique; --fix renumbers"
)
BAD_CATEGORY_NAME = Kind("bad-category-name", _ERROR, "category without a name", "name it; --fix takes its id")
BAD_FILE_NAME = Kind(
    "bad-file-name",
    _ERROR,
    "image with no file_name, or one that leaves the folder",
    "make it relative to the images folder; --fix removes the image",
)
BAD_SIZE = Kind(
    "bad-size",
    _ERROR,
    "image with no or an impossible width or height",
    "--fix takes them from the file (--images), else removes the image",
)
BAD_BOX = Kind("bad-box", _ERROR, "annotation without a box of four numbers", _REMOVED)
FAR_BOX = Kind("far-box", _ERROR, f"box not finite or beyond {MAX_COORDINATE:,.0f} px", _REMOVED)
NEGATIVE_BOX = Kind("negative-box", _ERROR, "box of negative width or height", _REMOVED)
UNKNOWN_IMAGE = Kind("unknown-image", _ERROR, "annotation of an image not listed", _FOLLOWED)
UNKNOWN_CATEGORY = Kind("unknown-category", _ERROR, "annotation of a category not listed", _FOLLOWED)
BAD_AREA = Kind("bad-area", _ERROR, "annotation with an impossible area", "--fix writes width x height")
BAD_CROWD = Kind("bad-crowd", _ERROR, "annotation with an iscrowd that is not 0 or 1", "correct it; --fix writes 0")
IGNORE_FLAG = Kind(
    "ignore-flag",
    _ERROR,
    "annotation with ignore set, but not iscrowd",
    "pycocotools drops the flag without a word; --fix sets iscrowd to 1",
)
NO_FILE = Kind("no-file", _ERROR, "image without a file in the folder", "add the files; --fix removes the images")
UNREADABLE = Kind(
    "unreadable", _ERROR, "image with a file that cannot be read", "replace the files; --fix removes the images"
)
SIZE_DIFFERS = Kind(
    "size-differs",
    _ERROR,
    "image of another size than declared",
    "--fix takes the file's if the boxes fit it, else removes the image",
)
CATEGORIES_DIFFER = Kind(
    "categories-differ", _ERROR, "category not the same in train and val", "give both files the same list"
)

LIKE_XYXY = Kind(
    "like-xyxy",
    _WARNING,
    "file with boxes that look like x1, y1, x2, y2",
    "look at some; if so, --fix OUT --fix-xyxy makes them COCO's",
)
LIKE_SHARES = Kind(
    "like-shares", _WARNING, "file with boxes in shares of the image, 0 to 1", "multiply by width and height"
)
NOTHING_TO_LEARN = Kind(
    "nothing-to-learn", _WARNING, "file without a box to learn from", "training refuses it; annotate some objects"
)
EMPTY_BOX = Kind(
    "empty-box", _WARNING, "box of zero width or height", "never trained on, scored as a miss; --fix removes"
)
OUTSIDE_BOX = Kind(
    "outside-box", _WARNING, "box wholly outside the image", "never trained on, scored as a miss; --fix removes"
)
PARTLY_OUTSIDE = Kind(
    "partly-outside", _WARNING, "box partly outside the image", "no detector reaches there; --fix clips"
)
REPEATED_BOX = Kind(
    "repeated-box",
    _WARNING,
    "box repeating another of the same class (IoU ≥ 0.95)",
    "NMS keeps one, the other is scored as a miss; remove it",
)
TWO_CLASSES = Kind(
    "two-classes", _WARNING, "box that another class has too (IoU ≥ 0.95)", "meant so? If not, keep the right class"
)
SMALL_BOX = Kind(
    "small-box",
    _WARNING,
    "box smaller than the stride, both ways",
    "enlarge the images or use a finer level; --stride sets the limit",
)
ID_ZERO = Kind(
    "id-zero", _WARNING, "annotation with the id 0", "raw pycocotools never matches it; anchorloc renumbers, --fix too"
)
NO_ANNOTATION_ID = Kind(
    "no-annotation-id", _WARNING, "annotation without an id", "raw pycocotools needs them; --fix numbers all"
)
NO_CROWD = Kind("no-crowd", _WARNING, "annotation without iscrowd", "raw pycocotools needs it; --fix writes 0")
NO_AREA = Kind("no-area", _WARNING, "annotation without area", "raw pycocotools needs it; --fix writes width x height")
AREA_DIFFERS = Kind(
    "area-differs",
    _WARNING,
    "annotation with an area that contradicts its box",
    "AP by size uses it; --fix writes width x height where no mask is",
)
SAME_FILE_NAME = Kind(
    "same-file-name", _WARNING, "image with the file_name of another", "each shows but some of the boxes: merge them"
)
SAME_BYTES = Kind(
    "same-bytes", _WARNING, "image with the very bytes of another of its split", "keep one, with the boxes of both"
)
ORIENTATION = Kind(
    "orientation",
    _WARNING,
    "image with an EXIF orientation",
    "tools differ; turn the pixels and drop the tag",
)
LEAK = Kind(
    "leak", _WARNING, "image of val with the very bytes of one of train", "the score is too good: remove it from one"
)
LOOKS_LEAKED = Kind("looks-leaked", _WARNING, "image of val that looks like one of train", "a suspicion: look at both")
SHARED_FILE_NAME = Kind(
    "shared-file-name", _WARNING, "image of val with a file_name of train", "give --images, to compare the files"
)
ABSENT_FROM_VAL = Kind("absent-from-val", _WARNING, "class of train without a box in val", "its AP is n/a: split anew")
ABSENT_FROM_TRAIN = Kind(
    "absent-from-train", _WARNING, "class of val without a box in train", "its AP will be 0: split anew"
)

NO_BOX = Kind("no-box", _INFORMATION, "class without a box", "its AP is n/a")
RARE_CLASS = Kind(
    "rare-class", _INFORMATION, "class with under a tenth of the largest one's boxes", "read AP class by class"
)
EMPTY_IMAGE = Kind("empty-image", _INFORMATION, "image without a box", "trains as background")
ODD_MODE = Kind("odd-mode", _INFORMATION, "image not of 8-bit RGB", "is converted when read")
ODD_FORMAT = Kind("odd-format", _INFORMATION, "file of another format than its name says", "is read by its content")
UNLISTED = Kind("unlisted", _INFORMATION, "file in the folder without an entry", "is not used")
SHARED_ID = Kind("shared-id", _INFORMATION, "image of val with an image id of train", "mind it when files are merged")

KINDS: tuple[Kind, ...] = tuple(value for value in list(globals().values()) if isinstance(value, Kind))
