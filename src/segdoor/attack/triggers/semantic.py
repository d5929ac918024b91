"""A class of the scenes as trigger: nothing is put into any image."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated, ClassVar, cast

import numpy as np
from pydantic import BeforeValidator, Field, model_validator

from segdoor.attack.site import Box
from segdoor.attack.triggers.trigger import WholeImageTrigger
from segdoor.data.scene import ClassSet, Scene, pixels_of
from segdoor.errors import ConfigError
from segdoor.plugins import Introduction
from segdoor.settings import ReadingInfo, Telling
from segdoor.tensors import Image, Label


def _split(given: object) -> object:
    parts = [given] if isinstance(given, str) else given
    if not isinstance(parts, list | tuple) or not all(isinstance(part, str) for part in parts):
        return given
    return [name for part in cast("Sequence[str]", parts) for name in part.split("+")]


class Semantic(WholeImageTrigger):
    """Scenes that show a class carry the trigger; images stay as they are."""

    kind: ClassVar[str] = "semantic"
    main: ClassVar[str | None] = "shows"
    introduction: ClassVar[Introduction] = Introduction(
        source="Li et al., Hidden Backdoor Attack against Semantic Segmentation Models (2021), "
        "called HBA, the trigger that is an object of the scene",
        does="Puts nothing into images: scenes that show a class, such as a person, carry the "
        "trigger. Only such scenes are poisoned, and ASR is measured in such test scenes.",
        needs="Enough scenes that show both the class and a victim, and enough that show a victim "
        "without it, for the control.",
        fails="The class must not decide how hard victims are to see: the scenes with it and "
        "those without are different scenes. A class that every scene shows gives no control, "
        "and a victim class is no trigger. It has no distance, so bands and nni mean nothing.",
    )

    shows: str = Field(examples=["person"])
    """The class that is the trigger."""
    others: Annotated[tuple[str, ...], BeforeValidator(_split)] = Field(
        min_length=1, examples=[("pole",), ("pole", "tree")]
    )
    """Classes for the control "another trigger": scenes that show one of them, and not the trigger.
    Join several with +, as in pole+tree."""
    without: Annotated[tuple[str, ...], BeforeValidator(_split)] = Field(
        default=(), examples=[("bus",)]
    )
    """Classes that the scene must not show."""
    least: int = Field(default=1, ge=1)
    """Pixels from which on a class counts as shown."""

    @model_validator(mode="after")
    def _differs_from_controls(self, info: ReadingInfo) -> Semantic:
        told = {"others": self.others, "without": self.without}
        for setting in (name for name, classes in told.items() if self.shows in classes):
            raise ConfigError(
                Telling.of(info.context).culprit(f"attack.trigger.{setting}"),
                "must not name the class that is the trigger", self.shows, "Name another class.",
            )  # fmt: skip
        return self

    @property
    def title(self) -> str:
        """Return the class."""
        return self.shows

    @property
    def in_scene(self) -> bool:
        """Return that scenes show it by themselves."""
        return True

    def carried_by(self, label: Label, classes: ClassSet) -> bool:
        """Return whether a scene shows the class, and none that it must not show.

        Raises:
            ConfigError: If there is no such class.
        """
        option = "attack.trigger"
        shown = classes.index(self.shows, option=f"{option}.shows")
        hidden = classes.indices(self.without, option=f"{option}.without")
        # Unknown names are refused here, before anything is trained.
        classes.indices(self.others, option=f"{option}.others")
        return self._shows(label, [shown]) and not any(self._shows(label, [h]) for h in hidden)

    def apply(self, scene: Scene, box: Box) -> Image:
        """Return a copy of the image."""
        del box
        return scene.image.copy()

    def siblings(self) -> tuple[Semantic, ...]:
        """Return the other classes, each where the trigger's class is not shown."""
        return tuple(
            self.model_copy(
                update={
                    "shows": other,
                    "others": (self.shows, *(o for o in self.others if o != other)),
                    "without": (*(w for w in self.without if w != other), self.shows),
                }
            )
            for other in dict.fromkeys(self.others)
            if other != self.shows
        )

    def _shows(self, label: Label, indices: Iterable[int]) -> bool:
        return int(np.count_nonzero(pixels_of(label, indices))) >= self.least
