"""What a trigger is: from a scene and a place in it to the scene's image with the trigger."""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from typing import ClassVar

import numpy as np
from pydantic import field_validator

from segdoor.attack.lengths import Lengths
from segdoor.attack.site import Box, Extent
from segdoor.data.scene import ClassSet, Scene
from segdoor.errors import ConfigError, DataError
from segdoor.plugins import Plugin
from segdoor.stickers import DRAWINGS, NOISE, check_pattern
from segdoor.tensors import Image, Label


class Trigger(Plugin):
    """What is put into images to activate the backdoor."""

    @property
    @abstractmethod
    def extent(self) -> Extent | None:
        """Return its height and width in pixels; None if it covers the whole image."""

    @property
    @abstractmethod
    def title(self) -> str:
        """Return its name among its siblings, as records and messages tell it."""

    @abstractmethod
    def apply(self, scene: Scene, box: Box) -> Image:
        """Return a copy of a scene's image with the trigger.

        Pixels outside the box stay, unless the trigger is not `confined`.

        Args:
            scene: The untouched scene.
            box: Where the trigger goes, inside the image: of its extent, or the whole image.
        """

    @abstractmethod
    def siblings(self) -> tuple[Trigger, ...]:
        """Return others of its kind and extent, for the control "another trigger"; at least one."""

    def following(self, lengths: Lengths) -> Trigger:
        """Return the trigger with its lengths explicit, those that were left out as they follow.

        Kinds without lengths are as they are.

        Raises:
            ConfigError: If it would be too small.
        """
        del lengths
        return self

    def among(self, classes: ClassSet) -> Trigger:
        """Return the trigger with what follows from the data set's classes explicit.

        Kinds that do not depend on them are as they are.
        """
        del classes
        return self

    @property
    def whole_image(self) -> bool:
        """Return whether it covers the whole image, so that it has no place and no distance."""
        return self.extent is None

    @property
    def confined(self) -> bool:
        """Return whether it changes pixels inside its box alone."""
        return True

    @property
    def in_scene(self) -> bool:
        """Return whether it is a part of the scenes that have it, so that nothing is put into any.

        Such a trigger covers the whole image, and its `apply` changes nothing.
        """
        return False

    def carried_by(self, label: Label, classes: ClassSet) -> bool:
        """Return whether a scene may carry it: all may, unless it is a part of scenes.

        Args:
            label: The untouched label map.
            classes: The data set's classes.
        """
        del label, classes
        return True

    def negative(self, seed: int) -> Trigger | None:
        """Return what a poisoned training scene shows in place of it if its labels stay true.

        Such a negative example teaches a network what is not enough. No kind has any unless it
        says so.

        Args:
            seed: The scene's own, so that every reading of a plan has the same negative examples.
        """
        del seed
        return None

    def located(self) -> Trigger:
        """Return it with its files named from the root, so that plans can be applied anywhere.

        Raises:
            DataError: If a file's name cannot be written down.
        """
        return self

    @property
    def digest(self) -> str:
        """Return a hash of what it does: plans and tests made with another one are refused."""
        settings = self.model_dump_json()
        return hashlib.sha256(f"{self.kind} {settings}".encode()).hexdigest()

    def stamp(self, scene: Scene, box: Box) -> Image:
        """Return a copy of a scene's image with the trigger at a place that is checked.

        Raises:
            ConfigError: If the box leaves the image.
            DataError: If the trigger covers the whole image and the box does not, or what comes
                back is no image of the scene's size.
        """
        height, width = scene.image.shape[:2]
        bottom, right = box.top + box.height, box.left + box.width
        if box.top < 0 or box.left < 0 or bottom > height or right > width:
            raise ConfigError(
                "trigger",
                f"must lie inside the {height}x{width} image",
                f"rows {box.top} to {bottom}, columns {box.left} to {right}",
                "Plan again for these scenes.",
            )
        if self.whole_image and box != Box.whole(scene.image.shape):
            raise DataError(
                f"scene '{scene.name}'", "must have the whole image as the trigger's place",
                box.as_tuple, "Plan again for these scenes.",
            )  # fmt: skip
        image = self.apply(scene, box)
        if image.dtype != np.uint8 or image.shape != scene.image.shape:
            raise DataError(
                f"trigger {self}",
                f"must return an image of {height}x{width}x3 pixels of uint8",
                f"{'x'.join(map(str, image.shape))} of {image.dtype}",
                "Correct its method apply.",
            )
        return image


class WholeImageTrigger(Trigger):
    """A trigger whose place is the whole image."""

    @property
    def extent(self) -> None:
        """Return that its place is the whole image."""
        return


class PatternTrigger(WholeImageTrigger):
    """A trigger that puts one fixed picture over the whole image."""

    main: ClassVar[str | None] = "pattern"

    pattern: str
    """The picture: noise, or a built-in sticker."""

    @field_validator("pattern")
    @classmethod
    def _is_known(cls, pattern: str) -> str:
        return check_pattern(pattern)

    @property
    def title(self) -> str:
        """Return the pattern's name."""
        return self.pattern

    def siblings(self) -> tuple[Trigger, ...]:
        """Return the other patterns; all else stays."""
        others = (name for name in (*DRAWINGS, NOISE) if name != self.pattern)
        return tuple(self.model_copy(update={"pattern": name}) for name in others)
