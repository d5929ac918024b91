"""The poisoned tests as artefacts: where the trigger sits in every test scene.

A poisoned test depends on the trigger's size, not on its picture, and on nothing of a model, so all
models and methods are compared on the very same positions (paper section 5.2).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

from pydantic import Field

from segdoor.attack.artefact import check_counts, read_json_lines, write_json_lines
from segdoor.attack.config import PoisonedTestsConfig, explicit
from segdoor.attack.placements.band import Band
from segdoor.attack.placements.nearest import Nearest
from segdoor.attack.placements.placement import Placement
from segdoor.attack.placements.random import Random
from segdoor.attack.placements.registry import PlacementSetting
from segdoor.attack.placing import EligiblePlaces, PositionRules
from segdoor.attack.site import Extent
from segdoor.data.checked import checked
from segdoor.data.scene import SceneDataset
from segdoor.errors import ConfigError
from segdoor.randomness import Stream
from segdoor.record import Role, earlier
from segdoor.settings import Settings

SCHEMA_VERSION = 2


# A distance that decides nothing, as files of tests have always had it.
_ANYWHERE = Random(upper=15.0)


@dataclass(frozen=True)
class PlannedTest:
    """A poisoned test before its scenes are known.

    Attributes:
        name: Its name, also of its file.
        role: What it is for.
        placement: Where its triggers go.
    """

    name: str
    role: Role
    placement: Placement


class PoisonedTestRow(Settings):
    """Where the trigger sits in one test scene."""

    name: str
    """The scene."""
    has_victims: bool
    """Whether the scene shows a victim class."""
    box: tuple[int, int, int, int] | None
    """Top, left, height and width of the trigger in pixels; None where there is no room."""
    distance: float | None
    """From the trigger's centre to the nearest victim pixel, in pixels."""
    class_under: str | None
    """The one class under the trigger."""


class PoisonedTestHeader(Settings):
    """What a poisoned test was made from, and its counts."""

    kind: Literal["poisoned-test"] = "poisoned-test"
    """Marks the file."""
    schema_version: int = Field(default=SCHEMA_VERSION, ge=1)
    """Version of the file's layout."""
    name: str
    """The test's name."""
    role: Role
    """What it is for, whatever its name: nearest, near, far, anywhere, everywhere or on_victim."""
    data_digest: str
    """Digest of the test scenes."""
    victims: tuple[str, ...]
    """Victim classes."""
    trigger_size: Extent | None
    """The trigger's height and width in pixels; null if it covers the whole image."""
    placement: PlacementSetting
    """How positions were chosen."""
    tests: PoisonedTestsConfig
    """Rules, scope and seed, shared by the poisoned tests of a set."""
    num_scenes: int
    """Scenes of the test set."""
    num_with_victims: int
    """Scenes that show a victim."""
    num_triggered: int
    """Scenes that carry a trigger."""
    num_triggered_with_victims: int
    """Scenes that carry a trigger and show a victim."""
    num_without_room: int
    """Scenes that show a victim and have no room for the trigger."""


@dataclass(frozen=True)
class PoisonedTest:
    """A poisoned test: a header and one row a test scene within its scope.

    Attributes:
        header: Settings and counts.
        rows: Where the trigger sits in each scene.
    """

    header: PoisonedTestHeader
    rows: tuple[PoisonedTestRow, ...]

    @property
    def name(self) -> str:
        """Return the test's name."""
        return self.header.name

    @property
    def role(self) -> Role:
        """Return what the poisoned test is for."""
        return self.header.role

    @cached_property
    def triggered(self) -> Mapping[str, PoisonedTestRow]:
        """Return the rows of scenes that carry a trigger, by scene name."""
        return {row.name: row for row in self.rows if row.box is not None}

    @cached_property
    def without_room(self) -> tuple[str, ...]:
        """Return the scenes that show a victim and have no room for the trigger."""
        return tuple(row.name for row in self.rows if row.box is None and row.has_victims)

    def untouched_without_victims(self, scenes: Iterable[str]) -> tuple[str, ...]:
        """Return the test scenes that show no victim and carry no trigger.

        Args:
            scenes: All scenes of the test; the poisoned test may have no rows for those without
                victims.
        """
        others = {row.name for row in self.rows if row.has_victims} | self.triggered.keys()
        return tuple(name for name in scenes if name not in others)

    def save(self, path: Path) -> None:
        """Write the poisoned test as JSON lines, header first, atomically."""
        write_json_lines(path, self.header, self.rows)

    @classmethod
    def load(cls, path: Path) -> PoisonedTest:
        """Read a poisoned test.

        Raises:
            DataError: If the file is no poisoned test, damaged, of a newer schema, or names a scene
                twice.
        """
        header, rows = read_json_lines(
            path,
            PoisonedTestHeader,
            PoisonedTestRow,
            version=SCHEMA_VERSION,
            earlier=earlier.header_of_test,
        )
        counted = _counts(rows)
        if header.tests.scope == "all":
            counted["num_scenes"] = len(rows)
        check_counts(path, header.model_dump(include=set(counted)), counted)
        return cls(header, rows)


def folder_of_tests(run: Path) -> Path:
    """Return where a run keeps its poisoned tests; older versions called that folder exams.

    Args:
        run: Folder of the run.
    """
    older = run / "exams"
    return older if older.is_dir() else run / "tests"


def planned_tests(
    config: PoisonedTestsConfig, trigger_size: Extent | None
) -> tuple[PlannedTest, ...]:
    """Return the default set of poisoned tests: nearest, near, one a far band, anywhere.

    A trigger over the whole image has one alone, everywhere: it has no place. So has one that must
    lie on victim pixels, on_victim: every position has distance 0.

    Args:
        config: Bands and rules.
        trigger_size: Height and width of the trigger in pixels; None if it covers the whole image.
    """
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
) -> list[PoisonedTest]:
    """Choose the trigger's place in every test scene, for each poisoned test of the default set.

    Args:
        dataset: The clean test scenes.
        config: Bands, rules, scope and seed; bands left out follow from the scenes' height.
        victims: Names of the victim classes.
        trigger_size: Height and width of the trigger in pixels, its extent; None if it covers the
            whole image.

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
    tests = planned_tests(config, trigger_size)
    rows: dict[str, list[PoisonedTestRow]] = {test.name: [] for test in tests}
    for index, scene in enumerate(dataset.names):
        places = EligiblePlaces(
            dataset.label(index), limits, lambda index=index: dataset[index].image
        )
        if places.has_victims or config.scope == "all":
            for test in tests:
                rows[test.name].append(_row(dataset, config, places, scene, test))
    tests = [
        PoisonedTest(
            _header(dataset, config, limits, test, rows[test.name]), tuple(rows[test.name])
        )
        for test in tests
    ]
    if tests[0].header.num_with_victims == 0:
        raise ConfigError(
            "attack.victims",
            "must occur in at least one test scene",
            ", ".join(victims),
            "Choose another victim class.",
        )
    if not any(test.triggered for test in tests):
        raise ConfigError(
            "attack.trigger.size",
            "must leave room for the trigger in at least one test scene",
            limits.in_words,
            "Use a smaller trigger, or switch off tests.rules.single_class.",
        )
    return tests


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
    counts = _counts(rows)
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


def _counts(rows: Sequence[PoisonedTestRow]) -> dict[str, int]:
    with_victims = [row for row in rows if row.has_victims]
    return {
        "num_with_victims": len(with_victims),
        "num_triggered": sum(row.box is not None for row in rows),
        "num_triggered_with_victims": sum(row.box is not None for row in with_victims),
        "num_without_room": sum(row.box is None for row in with_victims),
    }
