"""Which scenes are poisoned, and how: the poison plan, a small file of JSON lines.

Everything about a scene follows from (seed, scene name), so a plan depends neither on the order of
the data set nor on the number of workers, and plans of rising rates contain one another.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field

from segdoor.attack.artefact import read_json_lines, write_json_lines
from segdoor.attack.config import AttackConfig
from segdoor.attack.placement import (
    Box,
    Ground,
    Site,
    make_placement,
    place,
    victim_mask,
)
from segdoor.attack.relabel import Relabelling
from segdoor.attack.trigger import Trigger, load_trigger, stamp
from segdoor.data.scene import ClassSet, Scene, SceneDataset
from segdoor.errors import ConfigError, DataError
from segdoor.randomness import Stream
from segdoor.settings import Settings
from segdoor.tensors import Label

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
    relabel_seed: int
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

    @property
    def share_changed(self) -> float:
        """Return the share of labels changed."""
        return self.num_changed_pixels / max(1, self.num_labelled_pixels)


@dataclass(frozen=True)
class PoisonPlan:
    """A header and one row a changed scene, in the order drawn.

    Attributes:
        header: Settings and totals.
        rows: What happens to each scene; scenes without a row stay as they are.
    """

    header: PlanHeader
    rows: tuple[PlanRow, ...]

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
        header, rows = read_json_lines(path, PlanHeader, PlanRow, version=SCHEMA_VERSION)
        return cls(header, rows)


def num_to_poison(rate: float, num_scenes: int) -> int:
    """Return how many scenes a rate means: the share of all scenes, rounded half up.

    Decimal arithmetic on the number as written: 0.15 of 10 is 2, whatever binary floats say.
    """
    return int((Decimal(str(rate)) * num_scenes).quantize(Decimal(1), rounding=ROUND_HALF_UP))


def plan_poison(dataset: SceneDataset, config: AttackConfig, *, seed: int = 0) -> PoisonPlan:
    """Choose the scenes to poison, and where their triggers go.

    Args:
        dataset: The honest training scenes.
        config: The attacker's settings.
        seed: Decides the order of scenes, the positions and the random labels.

    Raises:
        ConfigError: If a class is unknown, no scene shows a victim, or fewer scenes are eligible
            than the rate asks for.
    """
    return _Planner(dataset, config, seed).plan()


@dataclass(frozen=True)
class Poisoner:
    """Applies a plan's rows to scenes: a pure function of (plan, scene).

    Attributes:
        plan: What happens to which scene.
        trigger: What is stamped.
        relabelling: What labels become.
    """

    plan: PoisonPlan
    trigger: Trigger
    relabelling: Relabelling

    @classmethod
    def of(cls, plan: PoisonPlan, classes: ClassSet) -> Poisoner:
        """Make ready to apply a plan to scenes of these classes.

        Raises:
            DataError: If the trigger is not the one the plan was made with.
        """
        trigger = load_trigger(plan.header.attack.trigger)
        if trigger.digest != plan.header.trigger_digest:
            raise DataError(
                f"trigger '{trigger.name}'",
                "must be the one the plan was made with",
                remedy="Restore the trigger file, or plan again.",
            )
        relabelling = make_relabelling(plan.header.attack, classes, plan.header.seed)
        return cls(plan, trigger, relabelling)

    def scene(self, scene: Scene) -> Scene:
        """Return the scene as the attacker hands it over."""
        row = self.plan.by_name.get(scene.name)
        if row is None:
            return scene
        image = scene.image
        if row.box is not None:
            image = stamp(image, self.trigger, top=row.box[0], left=row.box[1])
        return Scene(image, self.label(scene.label, scene.name), scene.name)

    def label(self, label: Label, name: str) -> Label:
        """Return a scene's label map as the attacker hands it over."""
        row = self.plan.by_name.get(name)
        if row is None:
            return label
        return self.relabelling.apply(label, hide_victims=row.poisoned, seed=row.relabel_seed)


class PoisonedDataset:
    """A data set as the attacker hands it over; a `SceneDataset` computed when read."""

    def __init__(self, dataset: SceneDataset, plan: PoisonPlan) -> None:
        """Apply a plan to the data set it was made for.

        Raises:
            DataError: If the plan was made for another data set.
        """
        if plan.header.data_digest != dataset.digest:
            raise DataError(
                "poison plan",
                "must have been made for this very data set",
                plan.header.data_digest[:12],
                "Plan again, or use the same data settings.",
            )
        self._dataset = dataset
        self._poisoner = Poisoner.of(plan, dataset.classes)

    @property
    def classes(self) -> ClassSet:
        """Return the classes, as before."""
        return self._dataset.classes

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names, as before."""
        return tuple(self._dataset.names)

    @cached_property
    def digest(self) -> str:
        """Return a hash over the honest data set and the plan."""
        plan = self._poisoner.plan
        rows = [row.model_dump_json() for row in plan.rows]
        whole = repr((plan.header.model_dump_json(), rows))
        return hashlib.sha256(whole.encode()).hexdigest()

    def __len__(self) -> int:
        """Return the number of scenes, as before."""
        return len(self._dataset)

    def __getitem__(self, index: int) -> Scene:
        """Read one scene, poisoned if the plan says so."""
        return self._poisoner.scene(self._dataset[index])

    def label(self, index: int) -> Label:
        """Read one label map, poisoned if the plan says so."""
        return self._poisoner.label(self._dataset.label(index), self._dataset.names[index])


def poisoned(dataset: SceneDataset, plan: PoisonPlan) -> SceneDataset:
    """Return the data set as the attacker hands it over.

    Raises:
        DataError: If the plan was made for another data set.
    """
    return PoisonedDataset(dataset, plan)


def make_relabelling(config: AttackConfig, classes: ClassSet, seed: int) -> Relabelling:
    """Return what the attacker does to label maps.

    Raises:
        ConfigError: If a class is unknown.
    """
    return Relabelling(
        classes=classes,
        victims=classes.indices(config.victims),
        target=classes.index(config.target),
        prl=config.prl,
        shared=Stream(seed).child("relabel-positions"),
    )


class _Planner:
    """One pass over the labels, then placements in the seeded order until the rate is met."""

    def __init__(self, dataset: SceneDataset, config: AttackConfig, seed: int) -> None:
        self.dataset, self.config, self.seed = dataset, config, seed
        self.stream = Stream(seed).child("poison")
        self.trigger = load_trigger(config.trigger)
        self.relabelling = make_relabelling(config, dataset.classes, seed)
        self.num_labelled_pixels = 0
        self.num_without_room = 0
        self.ground = Ground(
            victims=self.relabelling.victims,
            ignore_index=dataset.classes.ignore_index,
            height=self.trigger.height,
            width=self.trigger.width,
            rules=config.rules,
        )
        self.placement = make_placement(
            config.placement, lower_included=config.rules.lower_included
        )

    def plan(self) -> PoisonPlan:
        with_victims = self._scan()
        rows = self._poison(with_victims)
        if self.config.prl.scope == "all":
            rows += self._relabel_the_rest({row.name for row in rows})
        return PoisonPlan(self._header(rows, len(with_victims)), tuple(rows))

    def _scan(self) -> list[int]:
        """Return which scenes show a victim, and count the labelled pixels of all."""
        with_victims: list[int] = []
        for index in range(len(self.dataset)):
            label = self.dataset.label(index)
            ignored = np.count_nonzero(label == self.dataset.classes.ignore_index)
            self.num_labelled_pixels += label.size - ignored
            if victim_mask(label, self.ground.victims).any():
                with_victims.append(index)
        if self.config.rate > 0 and not with_victims:
            raise ConfigError(
                "attack.victims",
                "must occur in at least one training scene",
                ", ".join(self.config.victims),
                "Choose another victim class.",
            )
        return with_victims

    def _poison(self, with_victims: list[int]) -> list[PlanRow]:
        wanted = num_to_poison(self.config.rate, len(self.dataset))
        rows: list[PlanRow] = []
        for row in self._drawn(with_victims):
            if len(rows) == wanted:
                break
            rows.append(row)
        # An exhausted draw has looked at every scene, so the counts below are complete.
        if len(rows) < wanted and self.config.shortfall == "error":
            raise ConfigError(
                "attack.rate",
                f"asks for {wanted} of {len(self.dataset)} scenes, but only {len(with_victims)} "
                f"show a victim and only {len(rows)} of these have room for the trigger",
                self.config.rate,
                "Lower the rate, or set attack.shortfall to all_available.",
            )
        return rows

    def _drawn(self, with_victims: Iterable[int]) -> Iterator[PlanRow]:
        order = self.stream.child("order")
        names = self.dataset.names
        for index in sorted(
            with_victims, key=lambda i: (order.child(names[i]).integer(), names[i])
        ):
            label, name = self.dataset.label(index), names[index]
            rng = self.stream.child("position", name).generator()
            site = place(label, self.ground, self.placement, rng)
            self.num_without_room += site is None
            if site is not None or self.config.without_room == "relabel":
                yield self._row(name, label, site, poisoned=True)

    def _relabel_the_rest(self, done: set[str]) -> list[PlanRow]:
        return [
            self._row(name, self.dataset.label(index), None, poisoned=False)
            for index, name in enumerate(self.dataset.names)
            if name not in done
        ]

    def _row(self, name: str, label: Label, site: Site | None, *, poisoned: bool) -> PlanRow:
        seed = self.stream.child("relabel", name).integer()
        relabelled = self.relabelling.apply(label, hide_victims=poisoned, seed=seed)
        return PlanRow(
            name=name,
            poisoned=poisoned,
            box=box_tuple(site.box) if site else None,
            distance=site.distance if site else None,
            class_under=class_name(site, self.dataset.classes) if site else None,
            relabel_seed=seed,
            changed_pixels=int(np.count_nonzero(relabelled != label)),
        )

    def _header(self, rows: list[PlanRow], num_with_victims: int) -> PlanHeader:
        num_poisoned = sum(row.poisoned for row in rows)
        return PlanHeader(
            data_digest=self.dataset.digest,
            attack=self.config,
            trigger_digest=self.trigger.digest,
            seed=self.seed,
            num_scenes=len(self.dataset),
            num_with_victims=num_with_victims,
            num_without_room=self.num_without_room,
            num_poisoned=num_poisoned,
            rate=num_poisoned / len(self.dataset),
            num_labelled_pixels=self.num_labelled_pixels,
            num_changed_pixels=sum(row.changed_pixels for row in rows),
        )


def box_tuple(box: Box) -> tuple[int, int, int, int]:
    """Return a box as artefacts store it: top, left, height, width."""
    return box.top, box.left, box.height, box.width


def class_name(site: Site, classes: ClassSet) -> str | None:
    """Return the class under a site by name; "ignored" for ignored pixels, None for several."""
    if site.class_under is None:
        return None
    if site.class_under == classes.ignore_index:
        return "ignored"
    return classes.names[site.class_under]
