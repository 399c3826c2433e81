"""The tree of settings, and its reading and writing as YAML."""

from anchorloc.config.method import AnchorMethod, SingleBoxMethod
from anchorloc.config.reader import (
    config_from_plain,
    list_settings,
    read_config,
    read_image_settings,
    read_saved_config,
    to_plain,
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
    "SingleBoxMethod",
    "TrainSettings",
    "config_from_plain",
    "list_settings",
    "read_config",
    "read_image_settings",
    "read_saved_config",
    "read_yaml",
    "to_plain",
    "to_yaml",
    "translated",
    "with_overrides",
]
