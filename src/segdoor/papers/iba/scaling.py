"""What stands here for the paper's tests, lengths, numbers and classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

from segdoor.attack.config import PlacementConfig
from segdoor.attack.exam import EVERYWHERE, exam_placements
from segdoor.attack.triggers.sticker import Sticker
from segdoor.attack.triggers.trigger import Trigger
from segdoor.papers.iba.claims import Role, bands
from segdoor.papers.iba.config import Preset
from segdoor.papers.iba.units import Point
from segdoor.record import name_in_paper
from segdoor.study.expand import PlannedRun

_ROLES: tuple[Role, ...] = ("nearest", "near", "far1", "far2")


def exam_roles(run: PlannedRun) -> dict[str, str]:
    """Return the names that a run's exams have in its record, by their place in the paper.

    Triggers on victim pixels, and those over the whole image, have one exam, which is compared with
    both of the near band.
    """
    names = [name for name in _placements(run) if name != "anywhere"]
    if len(names) == 1:
        return dict.fromkeys(("nearest", "near"), names[0])
    return dict(zip(_ROLES, names, strict=False))


def scaled(runs: Sequence[PlannedRun], preset: Preset) -> dict[str, str]:
    """Return what was run for what the paper has, where they differ.

    Args:
        runs: Runs of a study.
        preset: What they are made on.
    """
    told: dict[str, str] = {}
    bands_here = bands(preset.stands_for)
    for run in runs:
        point, attack = cast("Point", run.point), run.config.attack
        told[name_in_paper("network", point.network)] = run.config.network.name
        told[name_in_paper("trigger", point.trigger)] = _told(attack.trigger)
        if point.q is not None:
            told[name_in_paper("q", point.q, point.q_as)] = str(attack.prl.num_pixels)
        for name, here in zip(point.victims.split("+"), attack.victims, strict=True):
            told[name_in_paper("victims", name)] = here
        told[name_in_paper("target", point.target)] = attack.target
        for role, name in exam_roles(run).items():
            if name in {"on_victim", EVERYWHERE}:  # No band decides where its triggers go.
                continue
            lower, upper = _edges(run, name)
            here = f"{round(lower, 1):g}-{round(upper, 1):g} px"
            told[name_in_paper("distance", bands_here[role])] = here
        told.update(run.repairs)
    return {paper: here for paper, here in told.items() if _differs(paper, here)}


def _placements(run: PlannedRun) -> Mapping[str, PlacementConfig]:
    return exam_placements(run.config.exams, run.config.attack.trigger.extent)


def _told(trigger: Trigger) -> str:
    return f"{trigger.size} px" if isinstance(trigger, Sticker) else str(trigger)


def _edges(run: PlannedRun, exam: str) -> tuple[float, float]:
    placement = _placements(run)[exam]
    return placement.bounds


def _differs(paper: str, here: str) -> bool:
    return here.removesuffix(" px") not in {paper, *paper.split()}
