"""The attacker's settings; every row of the two readings of the paper is one of them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Literal, TypeVar, cast

from pydantic import (
    BeforeValidator,
    Field,
    model_validator,
)

from segdoor.attack.labels.change import Pair, chained_targets
from segdoor.attack.labels.hide import Hide
from segdoor.attack.labels.merging import SHORTHAND, check_shorthand, with_shorthand
from segdoor.attack.labels.registry import LabelsSetting, spelled
from segdoor.attack.labels.scatter import Scatter
from segdoor.attack.lengths import Lengths, needed
from segdoor.attack.placements.drawing import Draw
from segdoor.attack.placements.random import Random
from segdoor.attack.placements.registry import PlacementSetting
from segdoor.attack.triggers.registry import TriggerSetting
from segdoor.attack.triggers.sticker import Sticker
from segdoor.data.scene import ClassSet, SceneDataset
from segdoor.errors import ConfigError
from segdoor.record.earlier_labels import attack_with_labels
from segdoor.remedies import RuleError
from segdoor.settings import ReadingInfo, Settings, Telling, validated


class MarginConfig(Settings):
    """How far the trigger's centre stays away from the image border."""

    vertical: float = Field(default=0.0, ge=0)
    """Distance from the upper and lower border, in the given unit."""
    horizontal: float = Field(default=0.0, ge=0)
    """Distance from the left and right border, in the given unit."""
    unit: Literal["fraction", "pixels"] = "fraction"
    """Unit of the margin: a fraction of the image's height and width, or pixels."""


def _once_yes_or_no(value: object) -> object:
    """Read what older records, plans and manifests say: whether the trigger may cover victims."""
    return {False: "forbid", True: "allow"}[value] if isinstance(value, bool) else value


OnVictim = Annotated[Literal["forbid", "allow", "require"], BeforeValidator(_once_yes_or_no)]
"""Whether the trigger must not cover victim pixels, may cover them, or must have its centre on
one."""


class RulesConfig(Settings):
    """Which positions the trigger may take."""

    single_class: bool = True
    """The trigger lies on a single class, and never on ignored pixels."""
    on_victim: OnVictim = "forbid"
    """Whether the trigger must not cover victim pixels, may cover them, or must have its centre on
    one. With require there is only one poisoned test, on_victim."""
    margin: MarginConfig = MarginConfig()
    """Smallest distance of the trigger's centre from the border of the image."""
    distance: Literal["euclidean", "chebyshev"] = "euclidean"
    """How the distance from the trigger's centre to the nearest victim pixel is measured."""
    lower_included: bool = True
    """Whether a position exactly at the lower end of a range of distances counts as inside it."""


class AttackConfig(Settings):
    """Everything that the attacker decides.

    Victims and target may be given without the label changes: they are then those of the first
    change in force with victims and one target, as hide has.
    """

    rate: float = Field(default=0.2, ge=0, le=1)
    """Share of training scenes to poison."""
    trigger: TriggerSetting = Sticker()
    """What is put into the images, such as sticker:smiley,size=19. `segdoor list triggers` shows
    the kinds and their settings."""
    placement: PlacementSetting = Random()
    """Where the trigger goes, such as random, nearest or band:20-30. `segdoor list placements`
    shows the kinds and their settings."""
    labels: LabelsSetting = (Hide(),)
    """How labels change, such as hide:car+person,target=road or scatter:100. Several changes are
    made one after the other. `segdoor list labels` shows the kinds and their settings."""
    rules: RulesConfig = RulesConfig()
    """Where the trigger may go."""
    without_room: Literal["skip", "relabel"] = "skip"
    """What to do with a drawn scene that has no room: draw another, or relabel it without a
    trigger."""
    shortfall: Literal["error", "all_available"] = "error"
    """What to do if too few scenes can be poisoned: stop, or poison all of them and record the rate
    that this gives."""

    if TYPE_CHECKING:
        victims: tuple[str, ...] = ("car",)
        target: str = "road"
    else:

        @property
        def victims(self) -> tuple[str, ...]:
            """Return the victim classes: what disappears."""
            return tuple(victim for victim, _ in self.pairs)

        @property
        def target(self) -> str:
            """Return the target class, of the first victim if there are several."""
            return self.pairs[0][1]

    @property
    def pairs(self) -> tuple[Pair, ...]:
        """Return each victim class with the class that it is to be predicted as."""
        return tuple(pair for change in self.labels for pair in change.pairs)

    @property
    def num_scattered(self) -> int:
        """Return Q, the pixels that get a random label in a scene."""
        return sum(change.num_pixels for change in self.labels if isinstance(change, Scatter))

    @model_validator(mode="wrap")
    @classmethod
    def _read_shorthand(
        cls, given: object, handler: Callable[[object], AttackConfig], info: ReadingInfo
    ) -> AttackConfig:
        if not isinstance(given, Mapping):
            return handler(given)
        tree = _of_today(cast("Mapping[str, object]", given), Telling.of(info.context))
        asked = {name: tree.pop(name) for name in SHORTHAND if name in tree}
        if not asked:
            return handler(tree)
        changes = spelled(tree.get("labels", Hide()), Telling.of(info.context))
        if isinstance(changes, list):
            check_shorthand(changes, asked)
            tree["labels"] = with_shorthand(changes, asked)
        return handler(tree)

    @model_validator(mode="after")
    def _changes_fit(self, info: ReadingInfo) -> AttackConfig:
        victims, problem = self.victims, None
        if not victims:
            told = ", ".join(map(str, self.labels)) or "nothing"
            rule = "must have a change with victims"
            problem = "labels", rule, told, "Add hide, which turns victims into the target."
        elif len(set(victims)) != len(victims):
            told = ", ".join(victims)
            problem = "victims", "must be different classes", told, "Name each in one change alone."
        elif chained := chained_targets(self.labels):
            remedy = "Name another class, or change all pairs at once by remap."
            problem = "target", "must not be a victim class", min(chained), remedy
        elif self.without_room == "relabel" and any(change.by_place for change in self.labels):
            rule = "must be skip where a label change depends on the trigger's place"
            remedy = "Set attack.without_room skip: without a trigger no region is nearest to it."
            problem = "without_room", rule, "relabel", remedy
        if problem is not None:
            setting, rule, found, remedy = problem
            culprit = Telling.of(info.context).culprit(f"attack.{setting}")
            raise ConfigError(culprit, rule, found, remedy)
        return self

    @property
    def attacks_carriers(self) -> bool:
        """Return whether some change attacks the victim that carries the trigger."""
        return any(change.on_victim for change in self.labels)

    def chosen_from(self, scenes: SceneDataset) -> AttackConfig:
        """Return the attack with every class explicit that is chosen from the training scenes.

        Args:
            scenes: The clean training scenes; they are read only if there is something to choose.

        Raises:
            ConfigError: If a class is unknown, or nothing can be chosen.
        """
        labels = tuple(change.chosen_from(scenes) for change in self.labels)
        if labels == self.labels:
            return self
        return validated(AttackConfig, {**dict(self), "labels": labels}, source="")

    def following(self, lengths: Lengths) -> AttackConfig:
        """Return the attack with every length explicit: what was left out follows from ``lengths``.

        Raises:
            ConfigError: If the trigger would be too small.
        """
        parts = {
            "trigger": self.trigger.following(lengths),
            "placement": self.placement.following(lengths),
            "labels": tuple(change.following(lengths) for change in self.labels),
        }
        return self.model_copy(update=parts)

    def among(self, classes: ClassSet) -> AttackConfig:
        """Return the attack with what follows from the data set's classes explicit."""
        return self.model_copy(update={"trigger": self.trigger.among(classes)})


def _of_today(given: Mapping[str, object], telling: Telling) -> dict[str, object]:
    """Return settings as they are said today; what only files of before may say is refused."""
    if telling.recorded:
        return attack_with_labels(dict(given))
    if "prl" not in given:
        return dict(given)
    told = given["prl"]
    count = cast("Mapping[str, object]", told).get("num_pixels") if isinstance(told, dict) else None
    raise ConfigError(
        telling.culprit("attack.prl"), "is now the label change scatter", told,
        f"Write attack.labels: [hide, scatter:{100 if count is None else count}].",
    )  # fmt: skip


class PoisonedTestsConfig(Settings):
    """The poisoned tests, shared by every model and method that is compared."""

    near: tuple[float, float] | None = None
    """Distances in pixels, from and to, of the near tests."""
    far: tuple[float, ...] | None = None
    """Distances in pixels that separate the far tests. There is one test between each two."""
    rules: RulesConfig = RulesConfig()
    """Where the trigger may go in the tests."""
    scope: Literal["all", "with_victims"] = "all"
    """Put the trigger into every test scene, or only into those that show a victim."""
    without_room: Literal["exclude", "count"] = "exclude"
    """Scenes with victims but no room for the trigger: leave them out of the attack success rate,
    or count them without a trigger."""
    without_victims: Literal["leave_out", "count"] = "leave_out"
    """Scenes without victims that get no trigger: leave them out of the poisoned tests, or count
    them without a trigger. They decide PBA where few scenes show a victim."""
    draw: Draw = "position"
    """How a position is drawn in the test near: uniformly among positions, or an object first and
    then a position on it."""
    seed: int = Field(default=0, ge=0)
    """Seed of the test positions. It does not depend on the run's seed, so runs share their
    tests."""

    @model_validator(mode="after")
    def _ordered(self) -> PoisonedTestsConfig:
        if self.near is not None and not 0 <= self.near[0] <= self.near[1]:
            raise RuleError(
                f"near needs 0 <= lower <= upper, not {self.near}", "Give the smaller one first."
            )
        far = self.far or ()
        if len(far) == 1:
            raise RuleError("far needs two edges or more, or none", "Add the end of the band.")
        bands = itertools.pairwise(far)
        if any(lower < 0 or round(upper, 1) <= round(lower, 1) for lower, upper in bands):
            raise RuleError(
                f"far needs edges that rise by 0.1 or more, not {far}",
                "Give them in rising order, such as 15 30 60.",
            )
        return self

    def following(self, lengths: Lengths) -> PoisonedTestsConfig:
        """Return the poisoned tests with every band explicit, as `AttackConfig.following` does."""
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
        return needed(self.near, "tests.near")

    @property
    def far_bands(self) -> tuple[tuple[float, float], ...]:
        """Return the far bands: lower and upper distance in pixels.

        Raises:
            ConfigError: If they were left out and do not follow from scenes yet.
        """
        return tuple(itertools.pairwise(needed(self.far, "tests.far")))


_LengthsT = TypeVar("_LengthsT", AttackConfig, PoisonedTestsConfig)
# Whatever is given goes with the lengths of scenes as large as any.
_TALL = Lengths.at(16384)


def explicit(settings: _LengthsT, dataset: SceneDataset) -> _LengthsT:
    """Return settings with every length explicit; scenes are only looked at if one is open.

    Raises:
        ConfigError: If the trigger would be too small.
        DataError: If a file is damaged or missing.
    """
    if settings.following(_TALL) == settings:
        return settings
    return settings.following(Lengths.of(dataset))
