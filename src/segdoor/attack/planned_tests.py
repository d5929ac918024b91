"""Which poisoned tests there are, and the trigger's place in every scene of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from segdoor.attack.config import PoisonedTestsConfig, explicit
from segdoor.attack.placements.band import Band
from segdoor.attack.placements.nearest import Nearest
from segdoor.attack.placements.placement import Placement
from segdoor.attack.placements.random import Random
from segdoor.attack.placing import EligiblePlaces, PositionRules
from segdoor.attack.poisoned_test import (
    PoisonedTest,
    PoisonedTestHeader,
    PoisonedTestRow,
    counts_of,
)
from segdoor.attack.site import Box, Extent
from segdoor.attack.triggers.trigger import Trigger
from segdoor.data.checked import checked
from segdoor.data.scene import SceneDataset
from segdoor.errors import ConfigError
from segdoor.randomness import Stream
from segdoor.record import Role

# A distance that decides nothing, as files of tests have always had it.
_ANYWHERE = Random(upper=15.0)


@dataclass(frozen=True)
class PlannedTest:
    """A poisoned test before its scenes are known."""

    name: str
    role: Role
    placement: Placement


def planned_tests(
    config: PoisonedTestsConfig, trigger_size: Extent | None, *, in_scene: bool = False
) -> tuple[PlannedTest, ...]:
    """Return the default set of poisoned tests: nearest, near, one a far band, anywhere.

    A trigger over the whole image has one alone, everywhere: it has no place. So has one that must
    lie on victim pixels, on_victim: every position has distance 0. And so has one that is a part of
    scenes, present.
    """
    if in_scene:
        return (PlannedTest("present", "present", _ANYWHERE),)
    if trigger_size is None:
        return (PlannedTest("everywhere", "everywhere", _ANYWHERE),)
    if config.rules.on_victim == "require":
        return (PlannedTest("on_victim", "on_victim", _ANYWHERE),)
    lower, upper = config.near_band
    return (
        PlannedTest("nearest", "nearest", Nearest(lower=lower, upper=upper)),
        PlannedTest("near", "near", Band(lower=lower, upper=upper, draw=config.draw)),
        *(_far(lower, upper) for lower, upper in config.far_bands),
        PlannedTest("anywhere", "anywhere", _ANYWHERE),
    )


def _far(lower: float, upper: float) -> PlannedTest:
    # Random draws follow from the name, so that it stays, digits and all.
    name = f"far_{round(lower, 1):g}_{round(upper, 1):g}"
    return PlannedTest(name, "far", Band(lower=lower, upper=upper))


def plan_tests(
    dataset: SceneDataset,
    config: PoisonedTestsConfig,
    *,
    victims: tuple[str, ...],
    trigger_size: Extent | None,
    trigger: Trigger | None = None,
) -> list[PoisonedTest]:
    """Choose the trigger's position in every test scene, for each poisoned test of the default set.

    Args:
        dataset: The clean test scenes.
        config: Bands, rules, scope and seed; bands left out follow from the scenes' height.
        victims: Names of the victim classes.
        trigger_size: Height and width of the trigger in pixels, its extent; None if it covers the
            whole image.
        trigger: The trigger, needed if it is a part of scenes: these are then its scenes.

    Raises:
        ConfigError: If a class is unknown, no test scene shows a victim, or none has room.
        DataError: If the data set is not as a `SceneDataset` must be.
    """
    dataset = checked(dataset)
    config = explicit(config, dataset)
    limits = PositionRules(
        victims=dataset.classes.indices(victims, option="attack.victims"),
        ignore_index=dataset.classes.ignore_index,
        extent=trigger_size,
        rules=config.rules,
    )
    in_scene = trigger is not None and trigger.in_scene
    if trigger is not None and in_scene:
        limits = replace(limits, carried=partial(trigger.carried_by, classes=dataset.classes))
    planned = planned_tests(config, trigger_size, in_scene=in_scene)
    rows: dict[str, list[PoisonedTestRow]] = {test.name: [] for test in planned}
    for index, scene in enumerate(dataset.names):
        places = EligiblePlaces(
            dataset.label(index), limits, lambda index=index: dataset[index].image
        )
        if places.has_victims or config.scope == "all":
            for test in planned:
                rows[test.name].append(_row(dataset, config, places, scene, test))
    tests = [
        PoisonedTest(
            _header(dataset, config, limits, test, rows[test.name]), tuple(rows[test.name])
        )
        for test in planned
    ]
    _check_shown(tests, limits, trigger if in_scene else None)
    return tests


def _check_shown(
    tests: Sequence[PoisonedTest], limits: PositionRules, part: Trigger | None
) -> None:
    """Refuse tests without victims, or without a trigger.

    Args:
        tests: The tests.
        limits: Where triggers may go.
        part: The trigger, if it is a part of scenes.
    """
    header = tests[0].header
    if header.num_with_victims == 0:
        raise ConfigError(
            "attack.victims",
            "must occur in at least one test scene",
            ", ".join(header.victims),
            "Choose another victim class.",
        )
    if any(test.triggered for test in tests):
        return
    if part is not None:
        raise ConfigError(
            "attack.trigger", "must be in at least one test scene", part, "Choose another class."
        )
    raise ConfigError(
        "attack.trigger.size",
        "must leave room for the trigger in at least one test scene",
        limits.in_words,
        "Use a smaller trigger, or switch off tests.rules.single_class.",
    )


def shown_by(dataset: SceneDataset, test: PoisonedTest, trigger: Trigger) -> PoisonedTest:
    """Return a test of a trigger that is a part of scenes with the scenes that hold another.

    Args:
        dataset: The clean test scenes.
        test: The test; its scenes and their victims stay.
        trigger: The other trigger, a part of scenes as well.
    """
    rows: list[PoisonedTestRow] = []
    indices = {name: index for index, name in enumerate(dataset.names)}
    for row in test.rows:
        label = dataset.label(indices[row.name])
        there = trigger.carried_by(label, dataset.classes)
        box = Box.whole(label.shape).as_tuple if there else None
        rows.append(row.model_copy(update={"box": box}))
    header = test.header.model_copy(update=counts_of(rows))
    return PoisonedTest(header, tuple(rows))


def _row(
    dataset: SceneDataset,
    config: PoisonedTestsConfig,
    places: EligiblePlaces,
    scene: str,
    test: PlannedTest,
) -> PoisonedTestRow:
    # Streams keep the name that they were first given, and with it what they draw.
    rng = Stream(config.seed).child("exam", test.name, scene).generator()
    site = places.choose(test.placement, rng)
    return PoisonedTestRow(
        name=scene,
        has_victims=places.has_victims,
        box=site.box.as_tuple if site else None,
        distance=site.distance if site else None,
        class_under=site.class_name(dataset.classes) if site else None,
    )


def _header(
    dataset: SceneDataset,
    config: PoisonedTestsConfig,
    limits: PositionRules,
    test: PlannedTest,
    rows: Sequence[PoisonedTestRow],
) -> PoisonedTestHeader:
    counts = counts_of(rows)
    return PoisonedTestHeader(
        name=test.name,
        role=test.role,
        data_digest=dataset.digest,
        victims=tuple(dataset.classes.names[victim] for victim in limits.victims),
        trigger_size=limits.extent,
        placement=test.placement,
        tests=config,
        num_scenes=len(dataset),
        num_with_victims=counts["num_with_victims"],
        num_triggered=counts["num_triggered"],
        num_triggered_with_victims=counts["num_triggered_with_victims"],
        num_without_room=counts["num_without_room"],
    )
