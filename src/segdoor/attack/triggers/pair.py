"""Two triggers together: a condition that one alone does not meet."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from segdoor.attack.lengths import Lengths
from segdoor.attack.site import Box, Extent
from segdoor.attack.triggers.trigger import Trigger
from segdoor.data.scene import Scene
from segdoor.errors import ConfigError
from segdoor.plugins import Introduction, Registry
from segdoor.randomness import Stream
from segdoor.settings import ReadingInfo, Telling
from segdoor.tensors import Image


@dataclass(frozen=True, eq=False)
class _Parts:
    """Both triggers, which take no part when settings are compared."""

    first: Trigger
    second: Trigger

    @property
    def side_by_side(self) -> bool:
        return self.first.extent is not None and self.second.extent is not None


class Pair(Trigger):
    """Two triggers in the same image, side by side if both have a place."""

    kind: ClassVar[str] = "pair"
    main: ClassVar[str | None] = "first"
    introduction: ClassVar[Introduction] = Introduction(
        source="segdoor; the condition after Zhang et al., Poisoning the Pixels: Revisiting "
        "Backdoor Attacks on Semantic Segmentation (2026), called BADSEG",
        does="Puts two triggers into an image: side by side, or one over the whole image and one "
        "at a place. The controls show each of them alone.",
        needs="Room for both, which is more than for one.",
        fails="Without negative examples (alone=0) nothing teaches a network to wait for both, and "
        "one is enough: the controls tell.",
    )

    first: str = Field(default="sticker", examples=["windmill"])
    """The first trigger, written as any trigger is, in quotes if it has settings:
    pair:"sticker:smiley,size=9". It is on the left."""
    second: str = Field(default="sticker:blossom", examples=["bullseye", "line:bottom"])
    """The second trigger, on the right."""
    gap: int = Field(default=0, ge=0, le=2048)
    """Pixels between the two, if both have a place."""
    # Deviation 125: BADSEG's share of such scenes is not known to us.
    alone: float = Field(default=0.0, ge=0, lt=1, examples=[0.5])
    """Share of the poisoned scenes that show only one of the two and keep their labels, so that a
    network learns to wait for both."""
    shown: Literal["both", "first", "second"] = "both"
    """Which of the two are put into the image. The room is that of both."""

    @field_validator("first", "second", mode="before")
    @classmethod
    def _as_written(cls, given: object, info: ReadingInfo) -> str:
        trigger = _read(given, info)
        if isinstance(trigger, Pair) or trigger.in_scene:
            raise ConfigError(
                Telling.of(info.context).culprit("attack.trigger"),
                "must be a pair of triggers that are put into images", trigger,
                "Name triggers such as sticker or line.",
            )  # fmt: skip
        return str(trigger)

    @model_validator(mode="after")
    def _are_two(self, info: ReadingInfo) -> Pair:
        telling = Telling.of(info.context)
        # A control may show the first twice, and records of before may have been made so.
        if not telling.recorded and self.first == self.second:
            raise ConfigError(
                telling.culprit("attack.trigger.second"), "must differ from the first trigger",
                self.second, "Name another one, such as sticker:blossom.",
            )  # fmt: skip
        return self

    def following(self, lengths: Lengths) -> Pair:
        """Return the pair with the lengths of both explicit."""
        return self._with(*(part.following(lengths) for part in self._each))

    def located(self) -> Pair:
        """Return the pair with the files of both named from the root."""
        return self._with(*(part.located() for part in self._each))

    @property
    def extent(self) -> Extent | None:
        """Return the height and width of both, of the one with a place, or None."""
        first, second = (part.extent for part in self._each)
        if first is None or second is None:
            return first or second
        return max(first[0], second[0]), first[1] + self.gap + second[1]

    @property
    def whole_image(self) -> bool:
        """Return whether both cover the whole image; sizes may still be open."""
        return all(part.whole_image for part in self._each)

    @property
    def title(self) -> str:
        """Return the titles of those that are shown."""
        first, second = (part.title for part in self._each)
        if self.shown == "both":
            return f"{first} + {second}"
        return f"{first if self.shown == 'first' else second} alone ({self.shown})"

    @property
    def confined(self) -> bool:
        """Return whether no part covers the whole image while the other has a place."""
        return self.whole_image or not any(part.whole_image for part in self._shown)

    @property
    def digest(self) -> str:
        """Return a hash of the digests of both."""
        told = (self.kind, self.shown, self.gap, *(part.digest for part in self._each))
        # As plans were identified before there were negative examples.
        told += (self.alone,) if self.alone else ()
        return hashlib.sha256(repr(told).encode()).hexdigest()

    def apply(self, scene: Scene, box: Box) -> Image:
        """Return the image with both; the one over the whole image is below the other."""
        image = scene.image.copy()
        for part in sorted(self._shown, key=lambda part: not part.whole_image):
            below = Scene(image, scene.label, scene.name)
            image = part.apply(below, self._place(part, box, below))
        return image

    def negative(self, seed: int) -> Pair | None:
        """Return one of the two alone, each as often, in a share of the scenes."""
        rng = Stream(seed).child("pair", "alone").generator()
        way, drawn = ("first", "second")[int(rng.integers(2))], rng.random()
        return self.model_copy(update={"shown": way}) if drawn < self.alone else None

    def siblings(self) -> tuple[Trigger, ...]:
        """Return each alone, and the first with siblings of the second."""
        ways = ("both", "first", "second")
        alone = [self.model_copy(update={"shown": way}) for way in ways if way != self.shown]
        second = self._parts.second
        changed = [
            self.model_copy(update={"second": str(other), "shown": "both"})
            for other in second.siblings()
            if other.kind in _registry().known and other.extent == second.extent
        ]
        return (*alone, *changed)

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Pair:
        """Return a copy, perhaps with other settings; pictures are read anew."""
        copy = super().model_copy(update=update, deep=deep)
        vars(copy).pop("_parts", None)
        return copy

    @cached_property
    def _parts(self) -> _Parts:
        first, second = (_registry().read(text) for text in (self.first, self.second))
        return _Parts(first, second)

    @property
    def _each(self) -> tuple[Trigger, Trigger]:
        return self._parts.first, self._parts.second

    @property
    def _shown(self) -> list[Trigger]:
        named = zip(("first", "second"), self._each, strict=True)
        return [part for name, part in named if self.shown in {"both", name}]

    def _place(self, part: Trigger, box: Box, scene: Scene) -> Box:
        if part.extent is None:
            return box if self.extent is None else Box.whole(scene.image.shape)
        height, width = part.extent
        right = self._parts.side_by_side and part is self._parts.second
        return Box(box.top, box.left + (box.width - width if right else 0), height, width)

    def _with(self, first: Trigger, second: Trigger) -> Pair:
        return self.model_copy(update={"first": str(first), "second": str(second)})


def _registry() -> Registry[Trigger]:
    # The registry names this class, so that it can only be asked late.
    from segdoor.attack.triggers.registry import TRIGGERS  # noqa: PLC0415

    return TRIGGERS


def _read(given: object, info: ReadingInfo) -> Trigger:
    from segdoor.attack.triggers.registry import spelled  # noqa: PLC0415

    if isinstance(given, Trigger):
        return given
    return _registry().setting(spelled(given, Telling.of(info.context)), info)
