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
from segdoor.attack.config import PoisonedTestsConfig
from segdoor.attack.placements.registry import PlacementSetting
from segdoor.attack.site import Extent
from segdoor.record import Role, earlier
from segdoor.settings import Settings

SCHEMA_VERSION = 2


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
    """What it is for, whatever its name: nearest, near, far, anywhere, everywhere, on_victim or
    present."""
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
    """A poisoned test: a header and one row for each test scene in its scope."""

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
        counted = counts_of(rows)
        if header.tests.scope == "all":
            counted["num_scenes"] = len(rows)
        check_counts(path, header.model_dump(include=set(counted)), counted)
        return cls(header, rows)


def folder_of_tests(run: Path) -> Path:
    """Return where a run keeps its poisoned tests; older versions called that folder exams."""
    older = run / "exams"
    return older if older.is_dir() else run / "tests"


def counts_of(rows: Sequence[PoisonedTestRow]) -> dict[str, int]:
    """Return the counts that a header holds, by its fields."""
    with_victims = [row for row in rows if row.has_victims]
    return {
        "num_with_victims": len(with_victims),
        "num_triggered": sum(row.box is not None for row in rows),
        "num_triggered_with_victims": sum(row.box is not None for row in with_victims),
        "num_without_room": sum(row.box is None for row in with_victims),
    }
