"""Two numbers, one ordering, and an axis of its own: what a study must be given of a paper."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from segdoor.experiment.config import Reading
from segdoor.study import config, expand
from segdoor.study.comparing import Named, above
from segdoor.study.expand import Place
from segdoor.study.figures import Found, Quantity, SeedFigures
from segdoor.study.judging import WayOfJudging
from segdoor.study.paper import Paper, Reported

PRINTED = {0.1: 0.25, 0.5: 0.75}


class Study(config.Study):
    shares: tuple[float, ...]
    """Poisoning rates, as this paper calls them."""


class Point(expand.Point):
    share: float

    def clean(self) -> Point:
        return Point(share=0.0)


def places(study: Study, preset: config.Preset, reading: Reading) -> Iterator[Place]:
    network = preset.networks["usual"]
    assert network is not None
    for share in study.shares:
        settings = {"attack": {"rate": share}, "network": network.tree()}
        yield Place(Point(share=share), settings)


def asr_at(share: float) -> Quantity:
    return Quantity(Point(share=share), None, "near", "ASR")


def reported(found: Found) -> Iterator[Reported]:
    for run in found.runs:
        share = run.point.model_dump()["share"]
        yield Reported("A", {"share": share}, PRINTED[share], None, asr_at(share), run)


class RisesWithTheShare:
    statement = "ASR rises with the share"

    def ways(self, found: Found) -> Iterator[WayOfJudging]:
        low, high = (
            Named(f"ASR at {share}", found.figures.get(asr_at(share), SeedFigures()))
            for share in PRINTED
        )
        yield WayOfJudging("near the victims", [above(high, low)])


TINY = Paper(
    name="tiny",
    files=Path(__file__).parent / "studies",
    study=Study,
    preset=config.Preset,
    places=places,
    reported=reported,
    orderings={1: RisesWithTheShare()},
    tables=("A",),
)
