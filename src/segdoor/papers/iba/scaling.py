"""What replaces the paper's tests, lengths, numbers and classes here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from segdoor.attack.planned_tests import PlannedTest, planned_tests
from segdoor.attack.triggers.sticker import Sticker
from segdoor.attack.triggers.trigger import Trigger
from segdoor.papers.iba.claims import Role, bands
from segdoor.papers.iba.config import Preset
from segdoor.papers.iba.units import Point
from segdoor.record import name_in_paper
from segdoor.study.expand import PlannedRun

_FAR: tuple[Role, ...] = ("far1", "far2")


def roles_of_tests(run: PlannedRun) -> dict[str, str]:
    """Return the names that a run's poisoned tests have in its record, by their place in the paper.

    Triggers on victim pixels, and those over the whole image, have one poisoned test, which is
    compared with both of the near band.
    """
    return {role: test.name for role, test in _tests(run).items()}


def scaled(runs: Sequence[PlannedRun], preset: Preset) -> dict[str, str]:
    """Return the values run here for the paper's, where they differ."""
    told: dict[str, str] = {}
    bands_here = bands(preset.stands_for)
    for run in runs:
        point, attack = cast("Point", run.point), run.config.attack
        told[name_in_paper("network", point.network)] = run.config.network.name
        told[name_in_paper("trigger", point.trigger)] = _told(attack.trigger)
        if point.q is not None:
            told[name_in_paper("q", point.q, point.q_as)] = str(attack.num_scattered)
        for name, here in zip(point.victims.split("+"), attack.victims, strict=True):
            told[name_in_paper("victims", name)] = here
        told[name_in_paper("target", point.target)] = attack.target
        for role, test in _tests(run).items():
            if test.placement.bounds is not None:
                lower, upper = test.placement.bounds
                here = f"{round(lower, 1):g}-{round(upper, 1):g} px"
                told[name_in_paper("distance", bands_here[role])] = here
        told.update(run.repairs)
    return {paper: here for paper, here in told.items() if _differs(paper, here)}


def _tests(run: PlannedRun) -> dict[Role, PlannedTest]:
    """Return a run's poisoned tests by their place in the paper."""
    config, trigger = run.config, run.config.attack.trigger
    tests = planned_tests(config.tests, trigger.extent, in_scene=trigger.in_scene)
    if len(tests) == 1:
        return {"nearest": tests[0], "near": tests[0]}
    found: dict[Role, PlannedTest] = {}
    far = iter(_FAR)
    for test in tests:
        if test.role in {"nearest", "near"}:
            found[cast("Role", test.role)] = test
        elif test.role == "far" and (place := next(far, None)):
            found[place] = test
    return found


def _told(trigger: Trigger) -> str:
    return f"{trigger.size} px" if isinstance(trigger, Sticker) else str(trigger)


def _differs(paper: str, here: str) -> bool:
    return here.removesuffix(" px") not in {paper, *paper.split()}
