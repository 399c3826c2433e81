"""The tree of settings, and its reading and writing as YAML."""

from anchorloc.config.components import OwnPart, own_parts, to_plain
from anchorloc.config.held_assigner import check_assignment
from anchorloc.config.listing import list_settings
from anchorloc.config.method import AnchorMethod, SingleBoxMethod
from anchorloc.config.own_classes import (
    held_to,
    import_option,
    imports_allowed,
    own_failures,
    refuse_unimported,
    require,
    require_array,
)
from anchorloc.config.reader import (
    config_from_plain,
    read_config,
    read_image_settings,
    read_saved_config,
    to_yaml,
    with_overrides,
)
from anchorloc.config.renamed import translated
from anchorloc.config.settings import MAX_THREADS, Config, TrainSettings
from anchorloc.config.yaml import read_yaml

__all__ = [
    "MAX_THREADS",
    "AnchorMethod",
    "Config",
    "OwnPart",
    "SingleBoxMethod",
    "TrainSettings",
    "check_assignment",
    "config_from_plain",
    "held_to",
    "import_option",
    "imports_allowed",
    "list_settings",
    "own_failures",
    "own_parts",
    "read_config",
    "read_image_settings",
    "read_saved_config",
    "read_yaml",
    "refuse_unimported",
    "require",
    "require_array",
    "to_plain",
    "to_yaml",
    "translated",
    "with_overrides",
]
