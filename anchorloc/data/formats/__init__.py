"""Labels in the formats of other tools, read as COCO documents and written from them."""

from anchorloc.data.formats.labels import LabeledData, Labels
from anchorloc.data.formats.reading import READERS, find_kind, is_coco_file, read
from anchorloc.data.formats.writing import WRITERS, write

__all__ = ["READERS", "WRITERS", "LabeledData", "Labels", "find_kind", "is_coco_file", "read", "write"]
