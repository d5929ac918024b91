"""Draw the scenes to poison, and find the place of each trigger.

Everything about a scene follows from (seed, scene name), so a plan depends neither on the order of
the data set nor on the number of workers, and plans of rising rates contain one another.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import ROUND_HALF_UP, Decimal
from itertools import islice

import numpy as np

from segdoor.attack.config import AttackConfig
from segdoor.attack.placement import Ground, Site, make_placement, place, victim_mask
from segdoor.attack.plan import PlanHeader, PlanRow, PoisonPlan
from segdoor.attack.relabel import make_relabelling
from segdoor.attack.trigger import load_trigger
from segdoor.data.scene import SceneDataset
from segdoor.errors import ConfigError
from segdoor.randomness import Stream
from segdoor.tensors import Label


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


class _Planner:
    """One pass over the labels, then placements in the seeded order until the rate is met."""

    def __init__(self, dataset: SceneDataset, config: AttackConfig, seed: int) -> None:
        self.dataset, self.config, self.seed = dataset, config, seed
        self.stream = Stream(seed).child("poison")
        self.trigger = load_trigger(config.trigger)
        self.relabelling = make_relabelling(config, dataset.classes, seed=seed)
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
        if self.config.prl.scope == "all" and self.config.prl.num_pixels:
            rows += self._relabel_the_rest({row.name for row in rows})
        return PoisonPlan(self._header(rows, len(with_victims)), tuple(rows))

    def _scan(self) -> list[int]:
        """Return which scenes show a victim, and count the labelled pixels of all."""
        with_victims: list[int] = []
        for index in range(len(self.dataset)):
            label = self.dataset.label(index)
            ignored = np.count_nonzero(label == self.dataset.classes.ignore_index)
            self.num_labelled_pixels += label.size - int(ignored)
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
        rows = list(islice(self._drawn(with_victims), wanted))
        if with_victims and not rows and wanted:
            raise ConfigError(
                "attack.trigger.size",
                "must leave room for the trigger in at least one scene that shows a victim",
                f"{self.ground.height}x{self.ground.width} pixels",
                "Use a smaller trigger, or widen attack.placement.upper.",
            )
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
            box=site.box.as_tuple if site else None,
            distance=site.distance if site else None,
            class_under=site.class_name(self.dataset.classes) if site else None,
            relabel_seed=seed,
            changed_pixels=int(np.count_nonzero(relabelled != label)),
        )

    def _header(self, rows: list[PlanRow], num_with_victims: int) -> PlanHeader:
        num_poisoned = sum(row.poisoned for row in rows)
        num_changed = sum(row.changed_pixels for row in rows)
        return PlanHeader(
            data_digest=self.dataset.digest,
            attack=_located(self.config),
            trigger_digest=self.trigger.digest,
            seed=self.seed,
            num_scenes=len(self.dataset),
            num_with_victims=num_with_victims,
            num_without_room=self.num_without_room,
            num_poisoned=num_poisoned,
            rate=num_poisoned / len(self.dataset),
            num_labelled_pixels=self.num_labelled_pixels,
            num_changed_pixels=num_changed,
            share_changed=num_changed / max(1, self.num_labelled_pixels),
        )


def _located(config: AttackConfig) -> AttackConfig:
    """Name the trigger's file from the root, so that the plan can be applied from anywhere."""
    if config.trigger.file is None:
        return config
    trigger = config.trigger.model_copy(update={"file": config.trigger.file.absolute()})
    return config.model_copy(update={"trigger": trigger})
