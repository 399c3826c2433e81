"""Every rule that the doctor checks: how severe a breach is, its title and what to do."""

from __future__ import annotations

from enum import Enum

from anchorloc.data.coco_fields import MAX_COORDINATE
from anchorloc.text import plural


class Severity(Enum):
    """How severe a finding is; the value is its heading."""

    ERROR = "errors: correct these before training"
    WARNING = "warnings: these distort training or scoring"
    INFORMATION = "notes"


_ERROR, _WARNING, _INFO = Severity
_REMOVE = "correct or remove them; --fix removes them"
_REFERENCE = 'correct them; --fix reads "2" as 2, names as ids, removes the rest'
_OUT_OF_TRAINING = "not trained on, but scored as a miss; --fix removes them"


class Rule(Enum):
    """One rule. The key identifies it in JSON and CSV; the title is a noun phrase whose first word takes the plural."""

    def __init__(self, key: str, severity: Severity, title: str, advice: str) -> None:
        self.key, self.severity, self.title, self.advice = key, severity, title, advice

    def counted(self, count: int) -> str:
        """Return the title, in the plural unless `count` is 1."""
        return self.title if count == 1 else plural(self.title)

    # fmt: off
    CRASHED_CHECK = ("crashed-check", _ERROR,
        "check that crashed, so that its findings are missing",
        "a bug of anchorloc: please report this line; the other checks ran")
    NOT_JSON = ("not-json", _ERROR,
        "file with NaN or Infinity, which JSON does not allow",
        "--fix removes such boxes, and writes null elsewhere but in masks")
    NO_IMAGES = ("no-images", _ERROR,
        "file without images", "list the images, each with id, file_name, width and height")
    NO_LIST = ("no-list", _ERROR,
        "list, missing or not a JSON array", "add the list, even if it is empty: []")
    NO_CATEGORIES = ("no-categories", _ERROR,
        "file without categories", "list the classes, each with id and name")
    BAD_ITEM = ("bad-item", _ERROR,
        "item other than a JSON object", _REMOVE)
    BAD_ID = ("bad-id", _ERROR,
        "id, missing or neither an integer nor a string", "use integers or strings; --fix renumbers or removes")
    MIXED_IDS = ("mixed-ids", _ERROR,
        "list with both numbers and strings as ids", "use one type; --fix renumbers the items and their references")
    SAME_IMAGE_ID = ("same-image-id", _ERROR,
        "image with the id of another image", "--fix keeps one if file_name is the same, else removes all of that id")
    SAME_CATEGORY_ID = ("same-category-id", _ERROR,
        "category with the id of another category",
        "--fix keeps one if the name is the same, else removes all of that id")
    SAME_ANNOTATION_ID = ("same-annotation-id", _ERROR,
        "annotation with the id of another annotation", "make ids unique; --fix renumbers all annotations")
    BAD_CATEGORY_NAME = ("bad-category-name", _ERROR,
        "category without a name", "add a name; --fix writes a number as its text, else the id")
    BAD_FILE_NAME = ("bad-file-name", _ERROR,
        "image whose file_name is missing or leaves the images folder",
        "--fix finds the file with --images; --drop-missing removes the image")
    BAD_SIZE = ("bad-size", _ERROR,
        "image whose width or height is missing or invalid",
        "--fix reads them from the files; give --images")
    BAD_BOX = ("bad-box", _ERROR,
        "annotation whose bbox is not four numbers", "--fix takes the box of the polygon, or removes the annotation")
    ODD_BOX = ("odd-box", _ERROR,
        "box of other numbers than x, y, width, height",
        "--fix reads other forms of these; --drop-boxes removes the rest")
    FAR_BOX = ("far-box", _ERROR,
        f"box that is not finite or goes beyond {MAX_COORDINATE:,.0f} px", _REMOVE)
    NEGATIVE_BOX = ("negative-box", _ERROR,
        "box with negative width or height", "--fix takes it from the other corner if inside, else removes it")
    UNKNOWN_IMAGE = ("unknown-image", _ERROR,
        "annotation whose image_id is not listed", _REFERENCE)
    UNKNOWN_CATEGORY = ("unknown-category", _ERROR,
        "annotation whose category_id is not listed", _REFERENCE)
    BAD_AREA = ("bad-area", _ERROR,
        "annotation with an invalid area", "--fix writes width x height")
    BAD_CROWD = ("bad-crowd", _ERROR,
        "annotation whose iscrowd is not 0 or 1", "correct it; --fix writes 1 for '1' and 'true', else 0")
    IGNORE_FLAG = ("ignore-flag", _ERROR,
        "annotation with ignore set but not iscrowd", "pycocotools silently drops ignore; --fix sets iscrowd to 1")
    NO_FILE = ("no-file", _ERROR,
        "image without a file in the images folder",
        "add them; --fix finds other spellings, --drop-missing removes images")
    NO_ACCESS = ("no-access", _ERROR,
        "image whose file may be there but cannot be opened",
        "change its permissions, or set LC_ALL=C.UTF-8; --fix never removes it")
    UNREADABLE = ("unreadable", _ERROR,
        "image whose file cannot be read", "replace the files, or remove the images by --fix OUT --drop-missing")
    NEEDS_SETTING = ("needs-setting", _ERROR,
        "image readable only with a setting", "give the setting that the case names, or --fix OUT --drop-missing")
    FOREIGN_FORMAT = ("foreign-format", _ERROR,
        "image in a format that is not read", "convert the files to JPEG or PNG, or --fix OUT --drop-missing")
    SIZE_DIFFERS = ("size-differs", _ERROR,
        "image whose declared size differs from its file",
        "--fix takes the file's size if boxes fit; --fix-resized scales them")
    OTHER_READING = ("other-reading", _ERROR,
        "image declared in the size of its other EXIF reading",
        "--fix takes the size as read if more boxes fit; else drop the setting")
    CATEGORIES_DIFFER = ("categories-differ", _ERROR,
        "category that only train or only val has", "give both files classes of the same names, each name once")
    LIKE_NORMALIZED = ("like-normalized", _ERROR,
        "file whose boxes look normalized to 0..1", "check some boxes; if so, --fix OUT --fix-shares converts them")

    LIKE_XYXY = ("like-xyxy", _WARNING,
        "file whose boxes look like x1, y1, x2, y2", "check some boxes; if so, --fix OUT --fix-xyxy converts them")
    LIKE_CENTERS = ("like-centers", _WARNING,
        "file whose boxes look like center x, center y, width, height",
        "check some boxes; if so, --fix OUT --fix-centers converts them")
    SWAPPED_SIZES = ("swapped-sizes", _WARNING,
        "file whose boxes fit if width and height are exchanged",
        "check some boxes; if so, --fix OUT --fix-swapped exchanges them")
    OTHER_SCALE = ("other-scale", _WARNING,
        "file whose boxes seem to be drawn on larger images",
        "check some boxes; if so, --fix OUT --fix-scale FACTOR divides them")
    SAME_CATEGORY_NAME = ("same-category-name", _WARNING,
        "category with the name of another category", "they count as two classes; merge them, or rename one")
    ALIKE_NAME = ("alike-name", _WARNING,
        "category whose name is another's but for blanks or letter case",
        "they count as two classes; merge them, or give them clearer names")
    NOTHING_TO_LEARN = ("nothing-to-learn", _WARNING,
        "file without a box to train on", "training refuses the file; annotate some objects")
    MANY_CROWDS = ("many-crowds", _WARNING,
        "file with more crowd regions than objects",
        "they are neither learned nor scored; set iscrowd to 0 for objects")
    CUT_OFF = ("cut-off", _WARNING,
        "image whose file lacks its end", "it is read without its last rows; replace the file")
    EMPTY_BOX = ("empty-box", _WARNING,
        "box with zero width or height", _OUT_OF_TRAINING)
    OUTSIDE_BOX = ("outside-box", _WARNING,
        "box entirely outside the image", _OUT_OF_TRAINING)
    PARTLY_OUTSIDE = ("partly-outside", _WARNING,
        "box partly outside the image", "no detection extends beyond the image; --fix clips the box")
    REPEATED_BOX = ("repeated-box", _WARNING,
        "box repeating another of the same class (IoU ≥ 0.95)",
        "NMS keeps one, the other counts as missed; remove one annotation")
    TWO_CLASSES = ("two-classes", _WARNING,
        "box repeating a box of another class (IoU ≥ 0.95)", "unless this is intended, keep only the right class")
    FAR_POLYGON = ("far-polygon", _WARNING,
        "box far from the polygon of its object (IoU < 0.5)", "compare both with the image; only one of them is right")
    COPIED_BOX = ("copied-box", _WARNING,
        "box with the same numbers in many images",
        "check some: a tool may have copied it, or the camera does not move")
    SMALL_BOX = ("small-box", _WARNING,
        "box smaller than the stride in width and height",
        "enlarge the images or use a finer level; --stride sets the limit")
    ID_ZERO = ("id-zero", _WARNING,
        "annotation with id 0", "pycocotools never matches it; anchorloc and --fix renumber it")
    NO_ANNOTATION_ID = ("no-annotation-id", _WARNING,
        "annotation without an id", "pycocotools needs one; --fix numbers all annotations")
    NO_CROWD = ("no-crowd", _WARNING,
        "annotation without iscrowd", "pycocotools needs it; --fix writes 0")
    NO_AREA = ("no-area", _WARNING,
        "annotation without area", "pycocotools needs it; --fix writes width x height")
    AREA_DIFFERS = ("area-differs", _WARNING,
        "annotation whose area contradicts its box",
        "AP by size uses it; --fix writes width x height if there is no mask")
    NO_SIZE = ("no-size", _WARNING,
        "image without width and height", "other tools need them; --fix writes the size of the file")
    COPIED_LABELS = ("copied-labels", _WARNING,
        "image with exactly the labels of another image", "check both images; a tool may have copied the labels")
    SAME_FILE_NAME = ("same-file-name", _WARNING,
        "image with the file_name of another image", "each entry has only some of the boxes: merge them")
    SAME_BYTES = ("same-bytes", _WARNING,
        "image byte-identical to another of its split", "keep one, with the boxes of both")
    UNIFORM_IMAGE = ("uniform-image", _WARNING,
        "image of a single color", "replace the file; boxes in it show nothing")
    ORIENTATION = ("orientation", _WARNING,
        "image with an EXIF orientation", "not every tool applies it; data.orientation decides for anchorloc")
    FEW_LEVELS = ("few-levels", _WARNING,
        "image of which few gray levels are left", "give data.window=[LOW,HIGH], or window the images to 8 bits")
    HIDDEN_BY_ALPHA = ("hidden-by-alpha", _WARNING,
        "image that its alpha hides, mostly or wholly", "data.bands=[1,2,3] ignores alpha")
    UNUSED_BANDS = ("unused-bands", _WARNING,
        "image with more bands than are read", "data.bands=[R,G,B] chooses others, counted from 1")
    SEVERAL_PAGES = ("several-pages", _WARNING,
        "file with several pages or frames", "the first is read; save the others as files of their own")
    FOREIGN_FILE = ("foreign-file", _WARNING,
        "file in the images folder in a format that is not read", "convert it to JPEG or PNG, or move it away")
    LEAK = ("leak", _WARNING,
        "image of val byte-identical to one of train", "it inflates the score; remove it from train or val")
    LOOKS_LEAKED = ("looks-leaked", _WARNING,
        "image of val similar to one of train", "it may be a leak; compare the two images")
    SHARED_FILE_NAME = ("shared-file-name", _WARNING,
        "image of val with a file_name of train", "give --images to compare the files")
    ABSENT_FROM_VAL = ("absent-from-val", _WARNING,
        "class of train without a box in val", "its AP is n/a; split again")
    ABSENT_FROM_TRAIN = ("absent-from-train", _WARNING,
        "class of val without a box in train", "its AP will be 0; split again")
    CLASS_SHARE = ("class-share", _WARNING,
        "class at least twice or half as frequent in val as in train",
        "val does not measure what train teaches; split again")

    ROOT_CATEGORY = ("root-category", _INFO,
        "root category of a Roboflow export, which is no class",
        "--fix OUT --drop-root or data.drop_root=true leaves it out")
    NO_BOX = ("no-box", _INFO,
        "class without a box", "its AP is n/a")
    RARE_CLASS = ("rare-class", _INFO,
        "class with under 10% of the boxes of the largest class",
        "look at AP per class, or set train.sampling")
    EMPTY_IMAGE = ("empty-image", _INFO,
        "image without a box", "trained on as background")
    ALIKE_FILE_NAME = ("alike-file-name", _INFO,
        "image whose file_name is another's but for letter case or Unicode form",
        "one file on Windows and macOS; rename one of them")
    CROWDED_IMAGE = ("crowded-image", _INFO,
        "image with over 10 times as many boxes as the median",
        "check it; scoring takes the best 100 detections of an image")
    THIN_IMAGE = ("thin-image", _INFO,
        "image with one side at least 5 times the other",
        "its objects shrink with the long side; data.tiles cuts it")
    THIN_BOX = ("thin-box", _INFO,
        "box with one side at least 10 times the other", "few anchors fit it; see `anchorloc lab report`")
    WHOLE_IMAGE = ("whole-image", _INFO,
        "box over 95% of the image", "check that it is an object and not the image")
    ODD_MODE = ("odd-mode", _INFO,
        "image other than 8-bit RGB", "converted when read; see docs/images.md")
    ODD_FORMAT = ("odd-format", _INFO,
        "file whose format differs from its suffix", "read by content")
    UNLISTED = ("unlisted", _INFO,
        "file in the images folder that no image names", "not used")
    OTHER_IDS = ("other-ids", _INFO,
        "category with another id in val than in train", "the classes are matched by name")
    SHARED_ID = ("shared-id", _INFO,
        "image of val with an image id of train", "make ids unique before you merge the files")
    # fmt: on
