"""A part of the user's own whose code was not, or cannot be, imported."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from typing import Any, NoReturn

from anchorloc.data.image_settings import ImageSettings
from anchorloc.data.tiles import Tiles
from anchorloc.errors import InputError


@dataclass(frozen=True)
class UnimportedPart:
    """The settings of a part of the user's own, whose code nobody has allowed to import, or which cannot be imported.

    A checkpoint opens with it: what does not need the part works, and what needs it is refused in a sentence.
    """

    key: str  # dotted key of the setting
    kind: str  # package.module.Class
    text: str  # the settings, as JSON
    problem: str = ""  # why its code cannot be imported though it may be

    @property
    def plain(self) -> dict[str, Any]:
        """The settings as in YAML."""
        return {"kind": self.kind, **json.loads(self.text)}

    @property
    def image_settings(self) -> ImageSettings:
        """How a data set of the user's own reads images, which prediction needs too."""
        saved = {name: tuple(one) if isinstance(one, list) else one for name, one in self.plain.items()}
        values: dict[str, Any] = {one.name: saved[one.name] for one in fields(ImageSettings) if one.name in saved}
        return ImageSettings(**values)

    @property
    def tiles(self) -> Tiles | None:
        """The tiles that the network gets, if the data set of the user's own has this setting."""
        saved = self.plain.get("tiles")
        if not isinstance(saved, dict) or saved.keys() != {one.name for one in fields(Tiles)}:
            return None
        return Tiles(**saved)

    def refuse(self) -> NoReturn:
        """Raise InputError: the part is needed."""
        raise InputError(
            self.problem
            or f"{self.key}.kind={self.kind} is Python code, which is imported only if you allow it; give "
            "--allow-import (in Python allow_import=True)"
        )

    def __call__(self, *_: object, **__: object) -> NoReturn:
        self.refuse()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # copying and pickling look for these
            raise AttributeError(name)
        self.refuse()
