"""Runs of the paper's studies, without a folder for them."""

from __future__ import annotations

from segdoor.experiment.config import Reading
from segdoor.papers.iba.config import Preset, Study
from segdoor.papers.iba.earlier import NEWEST
from segdoor.papers.iba.paper import IBA
from segdoor.study.expand import PlannedRun, expand


def planned(
    study: Study, preset: Preset, *, reading: Reading = "paper", version: int = NEWEST
) -> tuple[PlannedRun, ...]:
    places = IBA.places(study, preset, reading)
    before = IBA.before(version, reading, preset.recipe)
    return expand(places, study, preset, IBA.layer, reading=reading, before=before)
