"""Which scenes are poisoned, and how: the poison plan, a small file of JSON lines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

from pydantic import Field

from segdoor.attack.artefact import check_counts, read_json_lines, write_json_lines
from segdoor.attack.config import AttackConfig
from segdoor.attack.triggers.trigger import Trigger
from segdoor.record import earlier
from segdoor.settings import Settings

SCHEMA_VERSION = 1


class PlanRow(Settings):
    """What happens to one scene."""

    name: str
    """The scene."""
    poisoned: bool
    """Victims become the target class; otherwise only pixels are relabelled at random."""
    box: tuple[int, int, int, int] | None
    """Top, left, height and width of the trigger in pixels; None if nothing is stamped."""
    distance: float | None
    """From the trigger's centre to the nearest victim pixel, in pixels."""
    class_under: str | None
    """The one class under the trigger; None if there are several or nothing is stamped."""
    relabel_seed: int = Field(ge=0)
    """Seed of the pixels that are relabelled at random."""
    changed_pixels: int
    """Number of pixels whose label changes."""


class PlanHeader(Settings):
    """What a plan was made from, and its totals."""

    kind: Literal["poison-plan"] = "poison-plan"
    """Marks the file."""
    schema_version: int = Field(default=SCHEMA_VERSION, ge=1)
    """Version of the file's layout."""
    data_digest: str
    """Digest of the data set the plan was made for."""
    attack: AttackConfig
    """The attacker's settings."""
    trigger_digest: str
    """Digest of the trigger's pixels."""
    seed: int
    """Seed of all random choices."""
    num_scenes: int
    """All training scenes: the denominator of the rate."""
    num_with_victims: int
    """Scenes that show a victim class."""
    num_without_room: int
    """Scenes that were drawn and had no eligible position for the trigger."""
    num_poisoned: int
    """Scenes whose victims are relabelled."""
    rate: float
    """The rate reached: poisoned scenes / all training scenes."""
    num_labelled_pixels: int
    """Pixels of the data set that are not ignored."""
    num_changed_pixels: int
    """Pixels whose label changes."""
    share_changed: float
    """Share of labels changed: changed pixels / pixels that are not ignored."""


@dataclass(frozen=True)
class PoisonPlan:
    """A poison plan: a header and one row for each changed scene, in the order drawn."""

    header: PlanHeader
    rows: tuple[PlanRow, ...]

    @property
    def trigger(self) -> Trigger:
        """Return the trigger with all its settings explicit."""
        return self.header.attack.trigger

    @cached_property
    def by_name(self) -> Mapping[str, PlanRow]:
        """Return the rows by scene name."""
        return {row.name: row for row in self.rows}

    def save(self, path: Path) -> None:
        """Write the plan as JSON lines, header first, atomically."""
        write_json_lines(path, self.header, self.rows)

    @classmethod
    def load(cls, path: Path) -> PoisonPlan:
        """Read a plan.

        Raises:
            DataError: If the file is no plan, damaged, of a newer schema, or names a scene twice.
        """
        header, rows = read_json_lines(
            path, PlanHeader, PlanRow, version=SCHEMA_VERSION, earlier=earlier.plan_header
        )
        counted = {
            "num_poisoned": sum(row.poisoned for row in rows),
            "num_changed_pixels": sum(row.changed_pixels for row in rows),
        }
        check_counts(path, header.model_dump(include=set(counted)), counted)
        return cls(header, rows)
