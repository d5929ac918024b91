"""A sticker: a small picture stamped at one place, as in the paper."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field, model_validator

from segdoor.attack.lengths import Lengths, needed
from segdoor.attack.site import Box, Extent
from segdoor.attack.triggers.trigger import Trigger
from segdoor.data.pictures import read_rgba
from segdoor.data.scene import Scene
from segdoor.errors import ConfigError
from segdoor.files import name_problem
from segdoor.plugins import Introduction
from segdoor.settings import ReadingInfo, Telling
from segdoor.stickers import DRAWINGS, check_drawing, draw, faded, fitted, stamp
from segdoor.tensors import Image, Rgba


@dataclass(frozen=True, eq=False)
class _Drawn:
    """Pixels that take no part when settings are compared."""

    rgba: Rgba


class Sticker(Trigger):
    """A small picture, built in or from a file, stamped at one place."""

    kind: ClassVar[str] = "sticker"
    main: ClassVar[str | None] = "name"
    introduction: ClassVar[Introduction] = Introduction(
        source="IBA paper, section 3.1 and figure 2; Gu et al., BadNets (2017)",
        does="Stamps a small image at one position, which the placement chooses.",
        needs="Room near the victims in enough scenes: a position on a single class, unless the "
        "rules allow others.",
        fails="A network hardly sees it below about 4 pixels, and augmentation may crop it.",
    )

    name: str = Field(default="smiley", examples=["blossom"])
    """A built-in sticker: windmill, bullseye, checkerboard, blossom or smiley."""
    file: Path | None = None
    """An image file to stamp instead (RGBA; its alpha is used); the name is then ignored."""
    size: int | None = Field(default=None, ge=1, le=2048)
    """Longer side of the trigger in pixels; default: scaled with the scenes' height, 55 for 512
    rows."""
    opacity: float = Field(default=1.0, gt=0, le=1)
    """1 hides the scene below; with less it shows through (alpha blending)."""

    @model_validator(mode="after")
    def _is_there(self, info: ReadingInfo) -> Sticker:
        telling = Telling.of(info.context)
        if self.file is None:
            option = telling.culprit("attack.trigger.name")
            if self.name not in DRAWINGS and (Path(self.name).suffix or "/" in self.name):
                raise _no_name(self.name, option)
            check_drawing(self.name, option=option)
        return self

    def following(self, lengths: Lengths) -> Sticker:
        """Return the sticker with an explicit size."""
        if self.size is not None:
            return self
        if lengths.trigger < lengths.least:
            raise ConfigError(
                "attack.trigger.size",
                f"must be given where it would follow as less than {lengths.least} pixels",
                f"{lengths.trigger} from scenes of {lengths.height} rows",
                "Give it, or take larger scenes.",
            )
        return self.model_copy(update={"size": lengths.trigger})

    def located(self) -> Sticker:
        """Return the sticker with its file named from the root."""
        if self.file is None:
            return self
        located = self.file.absolute()
        strange = name_problem(located)
        if strange is not None:
            raise strange
        return self.model_copy(update={"file": located})

    @property
    def rgba(self) -> Rgba:
        """Return its pixels with straight alpha; the opacity is already part of the alpha.

        They are drawn or read once, so that a file that changes later changes nothing.

        Raises:
            ConfigError: If there is no built-in sticker of that name, or nothing of it could be
                seen.
            DataError: If the file is not a readable picture.
        """
        return self._drawn.rgba

    @property
    def extent(self) -> Extent:
        """Return its height and width in pixels."""
        return self.rgba.shape[0], self.rgba.shape[1]

    @property
    def title(self) -> str:
        """Return the built-in sticker's name, or the file's."""
        return self.name if self.file is None else self.file.stem

    @property
    def whole_image(self) -> bool:
        """Return that it has a place."""
        return False

    @property
    def digest(self) -> str:
        """Return a hash of the pixels: two stickers are the same if and only if theirs are."""
        return hashlib.sha256(repr(self.rgba.shape).encode() + self.rgba.tobytes()).hexdigest()

    def apply(self, scene: Scene, box: Box) -> Image:
        """Return the image with the sticker blended over it."""
        return stamp(scene.image, self.rgba, top=box.top, left=box.left)

    def siblings(self) -> tuple[Sticker, ...]:
        """Return the other built-in stickers at the same size and opacity."""
        alike = Sticker(size=self.size, opacity=self.opacity)
        others = [
            alike.model_copy(update={"name": name}) for name in DRAWINGS if name != self.title
        ]
        if self.extent == (self.size, self.size):
            return tuple(others)
        # Built-in stickers are square; a picture file may not be.
        return tuple(CutSticker(**vars(other), left=self.extent) for other in others)

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Sticker:
        """Return a copy, perhaps with other settings; what was drawn stays behind."""
        copy = super().model_copy(update=update, deep=deep)
        vars(copy).pop("_drawn", None)
        return copy

    @cached_property
    def _drawn(self) -> _Drawn:
        return _Drawn(self._pixels())

    def _pixels(self) -> Rgba:
        size = needed(self.size, "attack.trigger.size")
        rgba = (
            draw(self.name, size, option="attack.trigger.name")
            if self.file is None
            else fitted(read_rgba(self.file), size)
        )
        return faded(rgba, self.opacity, option="attack.trigger")


def _no_name(given: str, option: str) -> ConfigError:
    """Return that a picture's path stands where names of built-in stickers do."""
    rule, advice = "must be a built-in sticker", f"For a picture write {given} alone."
    if not Path(given).is_file():
        rule, advice = f"{rule} or a picture: there is no such file", "Check the path."
    return ConfigError(option, rule, given, f"{advice} Built-in: {', '.join(DRAWINGS)}.")


class CutSticker(Sticker):
    """The upper left part of a sticker: a control for pictures that are not square."""

    left: Extent
    """Height and width in pixels of what is left."""

    def _pixels(self) -> Rgba:
        height, width = self.left
        return super()._pixels()[:height, :width].copy()
