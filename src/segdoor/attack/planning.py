"""Draw the scenes to poison, and find the place of each trigger.

Everything about a scene follows from (seed, scene name), so a plan depends neither on the order of
the data set nor on the number of workers, and plans of rising rates contain one another.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import TypeVar

import numpy as np

from segdoor.attack.config import AttackConfig, explicit
from segdoor.attack.labels.change import attacks_some
from segdoor.attack.place_checks import check_place
from segdoor.attack.placing import PositionRules, Site, place
from segdoor.attack.plan import PlanHeader, PlanRow, PoisonPlan
from segdoor.attack.relabel import Relabelling, make_relabelling, needed_instances
from segdoor.data.checked import filled
from segdoor.data.degenerate import MASKS
from segdoor.data.scene import SceneDataset, pixels_of
from segdoor.errors import ConfigError
from segdoor.progress import Observer, Silent
from segdoor.randomness import Stream
from segdoor.rounding import share_of
from segdoor.tensors import Label
from segdoor.workers import Alone, Workers, parts_of

_SCENES_A_PART = 8

_ResultT = TypeVar("_ResultT")


def num_to_poison(rate: float, num_scenes: int) -> int:
    """Return how many scenes a rate means: the share of all scenes, rounded half up."""
    return share_of(rate, num_scenes)


def plan_poison(
    dataset: SceneDataset,
    config: AttackConfig,
    *,
    seed: int = 0,
    workers: Workers | None = None,
    observer: Observer | None = None,
) -> PoisonPlan:
    """Choose the scenes to poison and the positions of their triggers; reads only label maps.

    Args:
        dataset: The clean training scenes.
        config: The attacker's settings; lengths left out follow from the scenes' height, and the
            plan holds all of them.
        seed: Decides the order of scenes, the positions and the random labels.
        workers: Who reads label maps and places triggers; the caller itself if None.
        observer: Receives every label map read and every scene changed.

    Raises:
        ConfigError: If a class is unknown, no scene shows a victim, or fewer scenes are eligible
            than the rate asks for.
        DataError: If the data set is not as a `SceneDataset` must be.
    """
    dataset = filled(dataset)
    config = explicit(config, dataset).among(dataset.classes).chosen_from(dataset)
    scenes = _Scenes.of(dataset, config, seed)
    return _Planner(scenes, workers or Alone(), observer or Silent()).plan()


@dataclass(frozen=True)
class _Glance:
    """What one look at a label map says.

    Attributes:
        shows_victim: Whether any pixel is of a victim class.
        num_labelled: Pixels that are not ignored.
    """

    shows_victim: bool
    num_labelled: int


@dataclass(frozen=True)
class _Scenes:
    """The work on single scenes: what comes out follows from (seed, scene) alone.

    Attributes:
        dataset: The clean scenes.
        config: The attacker's settings.
        relabelling: What labels become.
        limits: Where triggers may go.
        stream: Of all random choices.
        seed: What the stream began with.
    """

    dataset: SceneDataset
    config: AttackConfig
    relabelling: Relabelling
    limits: PositionRules
    stream: Stream
    seed: int

    @classmethod
    def of(cls, dataset: SceneDataset, config: AttackConfig, seed: int) -> _Scenes:
        check_place(config, option="attack.placement")
        # A copy reads its picture anew: the file may have changed since.
        config = config.model_copy(update={"trigger": config.trigger.model_copy()})
        relabelling = make_relabelling(config, dataset.classes, seed=seed)
        limits = PositionRules(
            victims=relabelling.victims,
            ignore_index=dataset.classes.ignore_index,
            extent=config.trigger.extent,
            rules=config.rules,
            carried=partial(config.trigger.carried_by, classes=dataset.classes),
        )
        stream = Stream(seed).child("poison")
        return cls(dataset, config, relabelling, limits, stream, seed)

    def glance(self, part: Sequence[int]) -> list[_Glance]:
        """Look at some scenes' label maps."""
        return [self._glance(self.dataset.label(index)) for index in part]

    def stamp(self, part: Sequence[int]) -> list[PlanRow | None]:
        """Place triggers in some scenes; None for those that are not poisoned for want of room."""
        return [self._stamp(index) for index in part]

    def scatter(self, part: Sequence[int]) -> list[PlanRow]:
        """Relabel pixels of some scenes at random, and nothing else."""
        return [self._row(index, self.dataset.label(index), None, poisoned=False) for index in part]

    def _glance(self, label: Label) -> _Glance:
        ignored = np.count_nonzero(label == self.limits.ignore_index)
        shows_victim = bool(pixels_of(label, self.limits.victims).any())
        return _Glance(shows_victim, label.size - int(ignored))

    def _stamp(self, index: int) -> PlanRow | None:
        label = self.dataset.label(index)
        rng = self.stream.child("position", self.dataset.names[index]).generator()
        site = place(
            label, self.limits, self.config.placement, rng, lambda: self.dataset[index].image
        )
        if site is None and self.config.without_room == "skip":
            return None
        return self._row(index, label, site, poisoned=True)

    def _row(self, index: int, label: Label, site: Site | None, *, poisoned: bool) -> PlanRow:
        name = self.dataset.names[index]
        seed = self.stream.child("relabel", name).integer()
        relabelled = self.relabelling.apply(
            label,
            poisoned=poisoned and self.config.trigger.negative(seed) is None,
            box=site.box if site else None,
            seed=seed,
            instances=needed_instances(self.config.labels, self.dataset, index),
        )
        return PlanRow(
            name=name,
            poisoned=poisoned,
            box=site.box.as_tuple if site else None,
            distance=site.distance if site else None,
            class_under=site.class_name(self.dataset.classes) if site else None,
            relabel_seed=seed,
            changed_pixels=int(np.count_nonzero(relabelled != label)),
        )


class _Planner:
    """One look at every label map, then placements in the seeded order until the rate is met."""

    def __init__(self, scenes: _Scenes, workers: Workers, observer: Observer) -> None:
        self.scenes, self.workers, self.observer = scenes, workers, observer
        self.dataset, self.config = scenes.dataset, scenes.config
        self.num_labelled_pixels = 0
        self.num_without_room = 0

    def plan(self) -> PoisonPlan:
        with_victims = self._look()
        rows = self._poison(with_victims)
        if any(change.everywhere for change in self.config.labels):
            done = {row.name for row in rows}
            rest = [i for i, name in enumerate(self.dataset.names) if name not in done]
            self.observer.begin("relabelling", len(rest))
            rows += self._done(self.scenes.scatter, rest)
        self._check_changed(rows)
        return PoisonPlan(self._header(rows, len(with_victims)), tuple(rows))

    def _check_changed(self, rows: Sequence[PlanRow]) -> None:
        """Refuse changes that attack some victims of a scene, and found none in any."""
        labels = self.config.labels
        if rows and attacks_some(labels) and not any(row.changed_pixels for row in rows):
            raise ConfigError(
                "attack.labels", "must change a label in at least one poisoned scene",
                ", ".join(map(str, labels)),
                "Raise a distance such as within, or take placement nearest or another class.",
            )  # fmt: skip

    def _done(
        self, work: Callable[[Sequence[int]], list[_ResultT]], indices: Sequence[int]
    ) -> Iterator[_ResultT]:
        """Have work done on scenes, and yield what comes out in their order."""
        for results in self.workers.map(work, parts_of(indices, _SCENES_A_PART)):
            for result in results:
                self.observer.advance()
                yield result

    def _look(self) -> list[int]:
        """Return which scenes show a victim, and count the labelled pixels of all."""
        self.observer.begin("reading label maps", len(self.dataset))
        with_victims: list[int] = []
        for index, seen in enumerate(self._done(self.scenes.glance, range(len(self.dataset)))):
            self.num_labelled_pixels += seen.num_labelled
            if seen.shows_victim:
                with_victims.append(index)
        if self.config.rate > 0 and not with_victims:
            also = f", or correct the label maps: {MASKS}" if len(self.dataset.classes) == 2 else ""
            raise ConfigError(
                "attack.victims", "must occur in at least one training scene",
                ", ".join(self.config.victims), f"Choose another victim class{also}.",
            )  # fmt: skip
        return with_victims

    def _poison(self, with_victims: Sequence[int]) -> list[PlanRow]:
        wanted = num_to_poison(self.config.rate, len(self.dataset))
        rows = self._draw(with_victims, wanted)
        if with_victims and not rows and wanted:
            raise self._no_room()
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

    def _no_room(self) -> ConfigError:
        rule = "in at least one scene that shows a victim"
        if self.config.trigger.in_scene:
            return ConfigError(
                "attack.trigger", f"must be {rule}", self.config.trigger, "Choose another class."
            )
        return ConfigError(
            "attack.trigger.size", f"must leave room for the trigger {rule}",
            self.scenes.limits.in_words,
            "Use a smaller trigger or margin, or widen attack.placement.upper.",
        )  # fmt: skip

    def _draw(self, with_victims: Sequence[int], wanted: int) -> list[PlanRow]:
        """Poison scenes in the seeded order until there are as many as wanted."""
        order, names = self.scenes.stream.child("order"), self.dataset.names
        waiting = iter(
            sorted(with_victims, key=lambda i: (order.child(names[i]).integer(), names[i]))
        )
        self.observer.begin("placing triggers", wanted)
        rows: list[PlanRow] = []
        # No round is larger than what is missing, so no scene is drawn that is not needed.
        while drawn := list(islice(waiting, wanted - len(rows))):
            for row in self._done(self.scenes.stamp, drawn):
                self.num_without_room += row is None or row.box is None
                if row is not None:
                    rows.append(row)
        return rows

    def _header(self, rows: list[PlanRow], num_with_victims: int) -> PlanHeader:
        num_poisoned = sum(row.poisoned for row in rows)
        num_changed = sum(row.changed_pixels for row in rows)
        return PlanHeader(
            data_digest=self.dataset.digest,
            attack=_located(self.config),
            trigger_digest=self.config.trigger.digest,
            seed=self.scenes.seed,
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
    """Name the trigger's files from the root, so that the plan can be applied from anywhere."""
    return config.model_copy(update={"trigger": config.trigger.located()})
