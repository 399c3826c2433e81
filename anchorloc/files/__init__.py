"""Read files and say what is wrong with them; write whole files; make folders."""

from anchorloc.files.content import (
    MAX_JSON_BYTES,
    collector_paused,
    digest,
    exists,
    read_bytes,
    read_json,
    read_text,
    refuse_missing,
    unpacked_size,
)
from anchorloc.files.output import (
    default_output,
    is_temporary,
    keep_as,
    make_default_folder,
    make_folder,
    new_folder,
    refuse_existing,
    refuse_filled,
    write_bytes,
    write_errors,
    write_json,
    write_text,
)
from anchorloc.files.portable_names import folded_name, portable_name
from anchorloc.files.signatures import foreign_content

__all__ = [
    "MAX_JSON_BYTES",
    "collector_paused",
    "default_output",
    "digest",
    "exists",
    "folded_name",
    "foreign_content",
    "is_temporary",
    "keep_as",
    "make_default_folder",
    "make_folder",
    "new_folder",
    "portable_name",
    "read_bytes",
    "read_json",
    "read_text",
    "refuse_existing",
    "refuse_filled",
    "refuse_missing",
    "unpacked_size",
    "write_bytes",
    "write_errors",
    "write_json",
    "write_text",
]
