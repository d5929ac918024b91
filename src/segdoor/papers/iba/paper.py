"""The paper object for studies."""

from __future__ import annotations

from pathlib import Path

from segdoor.papers.iba.config import Preset, Study
from segdoor.papers.iba.earlier import NEWEST, settings_before
from segdoor.papers.iba.orderings import ORDERINGS
from segdoor.papers.iba.reading import READING
from segdoor.papers.iba.reported import reported
from segdoor.papers.iba.scaling import roles_of_tests, scaled
from segdoor.papers.iba.units import places
from segdoor.study.paper import Paper

IBA = Paper(
    name="iba",
    files=Path(__file__).parent / "studies",
    study=Study,
    preset=Preset,
    places=places,
    reported=reported,
    orderings=ORDERINGS,
    tables=tuple(str(number) for number in range(1, 13)),
    tests=roles_of_tests,
    scaled=scaled,
    layer=READING,
    newest=NEWEST,
    before=settings_before,
)
"""Influencer Backdoor Attack on Semantic Segmentation (ICLR 2024)."""
