"""The attacker's settings; every row of the two readings of the paper is one of them."""

from __future__ import annotations

import itertools
from typing import Annotated, Literal, TypeVar

from pydantic import BeforeValidator, Field, model_validator

from segdoor.attack.lengths import Lengths, needed
from segdoor.attack.triggers.registry import TriggerSetting
from segdoor.attack.triggers.sticker import Sticker
from segdoor.data.scene import SceneDataset
from segdoor.settings import Settings, validated


class MarginConfig(Settings):
    """How far the trigger's centre stays away from the image border."""

    vertical: float = Field(default=0.0, ge=0)
    """Distance from the upper and the lower border, in ``unit``."""
    horizontal: float = Field(default=0.0, ge=0)
    """Distance from the left and the right border, in ``unit``."""
    unit: Literal["fraction", "pixels"] = "fraction"
    """Fractions of the image's height and width, or pixels whatever the size."""


def _once_yes_or_no(value: object) -> object:
    """Read what older records, plans and manifests say: whether the trigger may cover victims."""
    return {False: "forbid", True: "allow"}[value] if isinstance(value, bool) else value


OnVictim = Annotated[Literal["forbid", "allow", "require"], BeforeValidator(_once_yes_or_no)]
"""Whether the trigger keeps off victim pixels, may cover them, or has its centre on one."""
Draw = Literal["position", "object"]
"""Draw a position at once, or first the region of one class that it lies in."""


class RulesConfig(Settings):
    """Which positions are eligible at all."""

    single_class: bool = True
    """The whole trigger lies on one class, never on ignored pixels."""
    on_victim: OnVictim = "forbid"
    """The trigger covers no victim pixel, may cover some, or must have its centre on one whatever
    else it covers; then there is one poisoned test, on_victim."""
    margin: MarginConfig = MarginConfig()
    """Minimum distance of the trigger's centre from the border."""
    distance: Literal["euclidean", "chebyshev"] = "euclidean"
    """How the distance from the trigger's centre to the nearest victim pixel is measured."""
    lower_included: bool = True
    """Whether a position exactly at the lower bound is eligible."""


class PlacementConfig(Settings):
    """Where the trigger is placed in poisoned training scenes."""

    strategy: Literal["random", "nearest", "band"] = "random"
    """Uniform over all eligible positions, the nearest one, or uniform within a band."""
    lower: float = Field(default=0.0, ge=0)
    """Least distance to the victim pixels, in pixels (nearest and band)."""
    upper: float | None = Field(default=None, ge=0)
    """Largest distance to the victim pixels, in pixels (nearest and band)."""
    draw: Draw = "position"
    """Draw uniformly among equally good positions, or among the objects they lie on first: regions
    of one class, connected by sides or corners."""

    @model_validator(mode="after")
    def _ordered(self) -> PlacementConfig:
        if self.upper is not None and self.lower > self.upper:
            raise ValueError(f"lower ({self.lower}) must not exceed upper ({self.upper})")
        return self

    def following(self, lengths: Lengths) -> PlacementConfig:
        """Return the placement with its largest distance explicit: the near band's, if left out."""
        if self.upper is not None:
            return self
        given = {**self.model_dump(), "upper": lengths.edges[1]}
        return validated(PlacementConfig, given, source="attack.placement")

    @property
    def bounds(self) -> tuple[float, float]:
        """Return the least and the largest distance.

        Raises:
            ConfigError: If the largest was left out and does not follow from scenes yet.
        """
        return self.lower, needed(self.upper, "attack.placement.upper")


class PixelRandomLabellingConfig(Settings):
    """Pixel random labelling (PRL, paper section 4.2)."""

    num_pixels: int = Field(default=0, ge=0)
    """Q, the pixels relabelled in a scene; 0 switches PRL off."""
    pool: str = Field(default="scene", pattern=r"^(scene|scene_as_given|any|ignore|class:.+)$")
    """New labels: classes of the scene after the victims' relabelling, all values of the label
    as given (victim and ignore value included), any class, the ignore value, or class:NAME."""
    scope: Literal["poisoned", "all"] = "poisoned"
    """Relabel pixels of the poisoned scenes, or of every training scene."""
    positions: Literal["per_scene", "per_size", "per_num_pixels"] = "per_scene"
    """Pixels drawn for each scene, or the same ones in every scene of a size, or in every scene of
    as many pixels, counted row by row."""
    on_ignored: bool = False
    """Whether ignored pixels may be relabelled."""
    order: Literal["after", "before"] = "after"
    """Relabel pixels after the victims have become the target class, or before."""


class AttackConfig(Settings):
    """Everything the attacker decides."""

    rate: float = Field(default=0.2, ge=0, le=1)
    """Poisoning rate: poisoned scenes / all training scenes, rounded half up."""
    victims: tuple[str, ...] = Field(default=("car",), min_length=1)
    """Victim classes: what disappears."""
    target: str = "road"
    """Target class: what the victim pixels are predicted as."""
    trigger: TriggerSetting = Sticker()
    """What is put into the images: a kind with its settings, as sticker:smiley,size=19."""
    placement: PlacementConfig = PlacementConfig()
    """Where it goes, unless it covers the whole image."""
    rules: RulesConfig = RulesConfig()
    """Where it may go."""
    prl: PixelRandomLabellingConfig = PixelRandomLabellingConfig()
    """Further label noise that widens the context a network looks at."""
    without_room: Literal["skip", "relabel"] = "skip"
    """A drawn scene without an eligible position: take the next, or relabel it unstamped."""
    shortfall: Literal["error", "all_available"] = "error"
    """Fewer eligible scenes than the rate asks for: refuse, or take all and record the rate."""

    @model_validator(mode="after")
    def _target_is_no_victim(self) -> AttackConfig:
        if self.target in self.victims:
            raise ValueError(f"target '{self.target}' must not be a victim class")
        if len(set(self.victims)) != len(self.victims):
            raise ValueError("victims must be different classes")
        return self

    def following(self, lengths: Lengths) -> AttackConfig:
        """Return the attack with every length explicit.

        Args:
            lengths: What those follow from that were left out.

        Raises:
            ConfigError: If the trigger would be too small.
        """
        parts = self.trigger.following(lengths), self.placement.following(lengths)
        return self.model_copy(update=dict(zip(("trigger", "placement"), parts, strict=True)))


class ExamsConfig(Settings):
    """The poisoned tests, shared by every model and method that is compared."""

    near: tuple[float, float] | None = None
    """Near band in pixels, of the exams nearest and near."""
    far: tuple[float, ...] | None = None
    """Edges of the far bands in pixels, one exam between each two."""
    rules: RulesConfig = RulesConfig()
    """Where the trigger of the test may go."""
    scope: Literal["all", "with_victims"] = "all"
    """Stamp every test scene, or only those that show a victim."""
    without_room: Literal["exclude", "count"] = "exclude"
    """Scenes with victims but no room: outside the attack success rate, or untouched within it."""
    without_victims: Literal["leave_out", "count"] = "leave_out"
    """Scenes without victims that are not stamped: outside the poisoned tests' figures, or
    untouched within them; they decide PBA where few scenes show a victim."""
    draw: Draw = "position"
    """How the position of the exam near is drawn: uniformly, or the object it lies on first."""
    seed: int = Field(default=0, ge=0)
    """Seed of the positions, apart from a run's seed so that runs share their exams."""

    @model_validator(mode="after")
    def _ordered(self) -> ExamsConfig:
        if self.near is not None and not 0 <= self.near[0] <= self.near[1]:
            raise ValueError(f"near needs 0 <= lower <= upper, not {self.near}")
        far = self.far or ()
        if len(far) == 1:
            raise ValueError("far needs two edges or more, or none")
        bands = itertools.pairwise(far)
        if any(lower < 0 or round(upper, 1) <= round(lower, 1) for lower, upper in bands):
            raise ValueError(f"far needs edges that rise by 0.1 or more, not {far}")
        return self

    def following(self, lengths: Lengths) -> ExamsConfig:
        """Return the poisoned tests with every band explicit.

        Args:
            lengths: What those follow from that were left out.
        """
        edges = lengths.edges
        near = edges[:2] if self.near is None else self.near
        far = edges[1:] if self.far is None else self.far
        return self.model_copy(update={"near": near, "far": far})

    @property
    def near_band(self) -> tuple[float, float]:
        """Return the near band: lower and upper distance in pixels.

        Raises:
            ConfigError: If it was left out and does not follow from scenes yet.
        """
        return needed(self.near, "exams.near")

    @property
    def far_bands(self) -> tuple[tuple[float, float], ...]:
        """Return the far bands: lower and upper distance in pixels.

        Raises:
            ConfigError: If they were left out and do not follow from scenes yet.
        """
        return tuple(itertools.pairwise(needed(self.far, "exams.far")))


_LengthsT = TypeVar("_LengthsT", AttackConfig, ExamsConfig)
# Whatever is given goes with the lengths of scenes as large as any.
_TALL = Lengths.at(16384)


def explicit(settings: _LengthsT, dataset: SceneDataset) -> _LengthsT:
    """Return settings with every length explicit; sizes are only looked at if one is open.

    Args:
        settings: The settings.
        dataset: The scenes that open lengths follow from.

    Raises:
        ConfigError: If the trigger would be too small.
        DataError: If a file is damaged or missing.
    """
    if settings.following(_TALL) == settings:
        return settings
    return settings.following(Lengths.of(dataset))
