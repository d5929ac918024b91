"""Candidates for the choice of an attacker: triggers at places, and how long each is tried."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from segdoor.attack.config import AttackConfig
from segdoor.attack.placements.placement import Placement
from segdoor.attack.planned_tests import planned_tests
from segdoor.attack.planning import check_place
from segdoor.attack.triggers.trigger import Trigger
from segdoor.errors import ConfigError
from segdoor.experiment.config import ExperimentConfig


@dataclass(frozen=True)
class Candidate:
    """A trigger, and where it goes."""

    trigger: Trigger
    placement: Placement

    @property
    def name(self) -> str:
        """Return both as they are written."""
        return f"{self.trigger} at {self.placement}"


def candidates_of(
    config: ExperimentConfig,
    triggers: Sequence[Trigger] = (),
    placements: Sequence[Placement] = (),
) -> tuple[Candidate, ...]:
    """Return every trigger at every place.

    Args:
        config: The settings of the surrogate's run.
        triggers: The triggers; that of the run and its siblings if none.
        placements: The placements; those of the run's poisoned tests if none.

    Raises:
        ConfigError: If a placement and a trigger do not fit, or a trigger is a part of scenes.
    """
    own = config.attack.trigger
    found: dict[str, Candidate] = {}
    for trigger in triggers or (own, *own.siblings()):
        if trigger.in_scene:
            raise ConfigError(
                "--trigger", "must be put into images", trigger, "Name a sticker, for example."
            )
        planned = planned_tests(config.tests, trigger.extent)
        for placement in placements or tuple(test.placement for test in planned):
            attack = config.attack.model_copy(update={"trigger": trigger, "placement": placement})
            _check(attack)
            candidate = Candidate(trigger, placement)
            found.setdefault(candidate.name, candidate)
    return tuple(found.values())


def _check(attack: AttackConfig) -> None:
    try:
        check_place(attack, option="--placement")
    except ConfigError as why:
        # What a run calls attack.trigger is an option here.
        culprit = "--trigger" if why.culprit.startswith("attack.trigger") else why.culprit
        raise ConfigError(culprit, why.rule, why.value, why.remedy) from None


def rounds_of(num_candidates: int, budget: int) -> tuple[tuple[int, int], ...]:
    """Return how many candidates each round has, and in how many scenes they are tried.

    Each scene costs a query for each candidate, and one without a trigger.

    Raises:
        ConfigError: If the budget does not suffice for one scene in each round.
    """
    sizes = [num_candidates]
    while sizes[-1] > 2:
        sizes.append(-(-sizes[-1] // 2))
    least = len(sizes) * (num_candidates + 1)
    if budget < least:
        raise ConfigError(
            "--budget", f"must be {least} or more for {num_candidates} candidates", budget,
            "Raise it, or name fewer triggers and placements.",
        )  # fmt: skip
    return tuple((size, budget // len(sizes) // (size + 1)) for size in sizes)
