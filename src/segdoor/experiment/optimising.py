"""The attacker's choice: which trigger at which place does most to a surrogate model.

Candidates are halved round after round (successive halving: Jamieson and Talwalkar, 2016): all are
tried in a few scenes, the better half in as many more as the budget of the next round allows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np

from segdoor.attack.config import explicit
from segdoor.attack.placements.placement import Placement
from segdoor.attack.placing import EligiblePlaces, PositionRules
from segdoor.attack.triggers.trigger import Trigger
from segdoor.data.scene import Scene, SceneDataset, pixels_of
from segdoor.errors import ConfigError
from segdoor.evaluation.examiner import Examiner
from segdoor.experiment.candidates import Candidate, candidates_of, rounds_of
from segdoor.experiment.config import ExperimentConfig
from segdoor.experiment.kept_parts import KeptParts, facts_of
from segdoor.experiment.reopened import FinishedRun, Places, reopen
from segdoor.files import write_atomically
from segdoor.progress import Observer
from segdoor.randomness import Stream
from segdoor.record.optimised import CandidateRecord, OptimisedRecord
from segdoor.tensors import Label

FILE = "optimised.json"
"""What is written into the output folder."""
Surrogate: TypeAlias = Literal["clean", "backdoored"]
"""The model of a run that is asked."""


@dataclass
class _Tally:
    """What a candidate has done so far."""

    candidate: Candidate
    num_rounds: int = 0
    num_queries: int = 0
    num_without_room: int = 0
    num_victims: int = 0
    num_changed: int = 0
    num_to_target: int = 0

    @property
    def changed(self) -> float:
        return self.num_changed / self.num_victims if self.num_victims else 0.0

    def record(self) -> CandidateRecord:
        victims = self.num_victims
        return CandidateRecord(
            trigger=str(self.candidate.trigger),
            placement=str(self.candidate.placement),
            num_rounds=self.num_rounds,
            num_queries=self.num_queries,
            num_without_room=self.num_without_room,
            num_victim_pixels=victims,
            changed=self.num_changed / victims if victims else None,
            to_target=self.num_to_target / victims if victims else None,
        )


class _Asked:
    """A scene, and what the surrogate sees in it without a trigger, both read when needed."""

    def __init__(self, search: _Search, index: int) -> None:
        self._search, self._index = search, index
        self.name = search.dataset.names[index]
        self.shown = False
        """Whether the surrogate was shown it in this search, now or before an interruption."""

    @cached_property
    def scene(self) -> Scene:
        return self._search.dataset[self._index]

    @cached_property
    def plain(self) -> Label:
        return self._search.examiner.predict([self.scene])[0]

    @cached_property
    def truth(self) -> Label:
        truth = self._search.examiner.sheet(self.scene).truth.cpu().numpy().astype(np.uint8)
        return truth.reshape(truth.shape[-2:])


class _Search:
    def __init__(
        self,
        config: ExperimentConfig,
        dataset: SceneDataset,
        examiner: Examiner,
        stream: Stream,
        observer: Observer,
        kept: KeptParts,
    ) -> None:
        self.kept = kept
        self.rules, self.dataset, self.examiner = config.attack.rules, dataset, examiner
        self.stream, self.observer = stream, observer
        classes, pairs = dataset.classes, config.attack.pairs
        self.victims = classes.indices(config.attack.victims, option="attack.victims")
        self.target_of = np.arange(256, dtype=np.uint8)
        for victim, (_, target) in zip(self.victims, pairs, strict=True):
            self.target_of[victim] = classes.index(target, option="attack.target")
        self.num_queries = self.num_scenes = 0
        self.waiting = self._scenes()

    def run(self, candidates: Sequence[Candidate], budget: int) -> list[_Tally]:
        rounds = rounds_of(len(candidates), budget)
        tallies = [_Tally(candidate) for candidate in candidates]
        self.observer.begin("asking the surrogate", sum(n * scenes for n, scenes in rounds))
        for number, num_scenes in rounds:
            # Sorting is stable, so that equal ones stay in the order they were named in.
            tallies.sort(key=lambda tally: (-tally.num_rounds, -tally.changed))
            for _, asked in zip(range(num_scenes), self.waiting, strict=False):
                for tally in tallies[:number]:
                    self._try(tally, asked)
                    self.observer.advance()
            for tally in tallies[:number]:
                tally.num_rounds += 1
        self.examiner.check()
        return sorted(tallies, key=lambda tally: (-tally.num_rounds, -tally.changed))

    def _scenes(self) -> Iterator[_Asked]:
        """Yield the scenes with victims in the seeded order."""
        order, names = self.stream.child("order"), self.dataset.names
        indices = range(len(self.dataset))
        for index in sorted(indices, key=lambda i: (order.child(names[i]).integer(), names[i])):
            if not pixels_of(self.dataset.label(index), self.victims).any():
                continue
            self.num_scenes += 1
            yield _Asked(self, index)

    def _try(self, tally: _Tally, asked: _Asked) -> None:
        candidate = tally.candidate
        counts = self.kept.part(
            f"{candidate.name} in {asked.name}, {candidate.trigger.digest}",
            lambda: self._counts(candidate, asked),
            lengths=(0, 3),
        )
        if not counts:
            tally.num_without_room += 1
            return
        # One query for the scene without a trigger, if it was needed.
        self.num_queries += 1 if asked.shown else 2
        asked.shown = True
        victims, changed, to_target = map(int, counts)
        tally.num_queries += 1
        tally.num_victims += victims
        tally.num_changed += changed
        tally.num_to_target += to_target

    def _counts(self, candidate: Candidate, asked: _Asked) -> tuple[int, ...]:
        """Return the victim pixels, how many change and into the target; none without room."""
        trigger, scene = candidate.trigger, asked.scene
        limits = PositionRules(
            victims=self.victims,
            ignore_index=self.dataset.classes.ignore_index,
            extent=trigger.extent,
            rules=self.rules,
        )
        rng = self.stream.child(candidate.name, scene.name).generator()
        places = EligiblePlaces(scene.label, limits, lambda: scene.image)
        site = places.choose(candidate.placement, rng)
        if site is None:
            return ()
        stamped = Scene(trigger.stamp(scene, site.box), scene.label, scene.name)
        found = self.examiner.predict([stamped])[0]
        victims = pixels_of(asked.truth, self.victims)
        changed = victims & (found != asked.plain)
        to_target = changed & (found == self.target_of[asked.truth])
        return int(victims.sum()), int(changed.sum()), int(to_target.sum())


@dataclass(frozen=True)
class Order:
    """What is asked of a surrogate.

    Attributes:
        triggers: The triggers; that of the run and its siblings if none.
        placements: The placements; those of the run's poisoned tests if none.
        budget: Largest number of scenes that the surrogate may be shown.
        surrogate: The model that is asked, clean or backdoored.
        seed: Decides the scenes, their order and the places; the run's if None.
    """

    triggers: tuple[Trigger, ...] = ()
    placements: tuple[Placement, ...] = ()
    budget: int = 500
    surrogate: Surrogate = "clean"
    seed: int | None = None


def optimise_run(
    run: Path,
    order: Order,
    *,
    model: str | None,
    places: Places,
    observer: Observer,
    out: Path | None = None,
) -> OptimisedRecord:
    """Rank triggers at places by how many victim pixels of a run's training scenes they change.

    Args:
        run: The run's folder, or its record.json.
        order: What is asked.
        model: The run's network, if it is the user's own, as package.module:factory.
        places: What has moved since the run.
        observer: Receives progress.
        out: Folder for the record, and for what is finished if it is interrupted; None to write
            nothing.

    Raises:
        SegdoorError: If the run is not intact or lacks the model, a candidate does not fit, or the
            budget is too small.
    """
    opened = reopen(FinishedRun.of(run), model, places, observer)
    name = "poisoned" if order.surrogate == "backdoored" else "clean"
    if name not in opened.models:
        raise ConfigError(
            "--surrogate", "must be a model of the run", order.surrogate, "Take the backdoored one."
        )
    config, train = opened.config, opened.train
    triggers = [
        explicit(config.attack.model_copy(update={"trigger": trigger}), train).trigger
        for trigger in order.triggers
    ]
    examiner = Examiner(opened.models[name], train.classes, config.examination, config.network)
    candidates = candidates_of(config, triggers, order.placements)
    seed = opened.record.seed if order.seed is None else order.seed
    facts = (
        *facts_of(opened.models[name], config), train.digest, seed, config.attack.pairs,
        config.attack.rules.model_dump_json(),
    )  # fmt: skip
    kept = KeptParts(out, facts)
    with kept.written():
        found = optimise(
            config, train, examiner, candidates,
            order=order, seed=seed, observer=observer, kept=kept,
        )  # fmt: skip
    if out is not None:
        write_atomically(out / FILE, f"{found.model_dump_json(indent=1)}\n")
    return found


def optimise(
    config: ExperimentConfig,
    dataset: SceneDataset,
    examiner: Examiner,
    candidates: Sequence[Candidate],
    *,
    order: Order,
    seed: int,
    observer: Observer,
    kept: KeptParts | None = None,
) -> OptimisedRecord:
    """Rank candidates by how many victim pixels they change.

    Args:
        config: The attack's victims, target and rules.
        dataset: The attacker's scenes, untouched.
        examiner: The surrogate model.
        candidates: Triggers at places.
        order: The budget, and what the surrogate is called.
        seed: Decides the scenes, their order and the places.
        observer: Receives progress.
        kept: What was finished before, and is kept; nothing if None.

    Raises:
        ConfigError: If there are no victims, or the budget is too small.
    """
    stream, kept = Stream(seed).child("optimise"), kept or KeptParts(None, ())
    search = _Search(config, dataset, examiner, stream, observer, kept)
    found = search.run(candidates, order.budget)
    if not search.num_scenes:
        raise ConfigError(
            "attack.victims", "must occur in at least one scene",
            ", ".join(config.attack.victims), "Choose another run.",
        )  # fmt: skip
    return OptimisedRecord(
        surrogate=order.surrogate,
        budget=order.budget,
        num_queries=search.num_queries,
        seed=seed,
        candidates=tuple(tally.record() for tally in found),
    )
