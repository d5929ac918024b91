"""What methods of a defender found, as it is kept in records."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TypedDict

from segdoor.data.pictures import write_image
from segdoor.data.scene import ClassSet
from segdoor.defense.defense import Cost, Costed, Defense, Evidence
from segdoor.defense.detectors.detector import Alarm, Detector
from segdoor.defense.filters.filter import Filter, Suspicion
from segdoor.defense.purifiers.purifier import Purifier, View
from segdoor.defense.scans.scan import Findings, Scan
from segdoor.record.defense import (
    DetectorEntry,
    EvidenceRecord,
    FilterEntry,
    PurifierEntry,
    ScanEntry,
    SuspectRecord,
)
from segdoor.record.figures import Json
from segdoor.record.measured import CostRecord


def filter_entry(
    method: Filter, done: Costed[Suspicion], classes: ClassSet, *, pictures: Path | None = None
) -> FilterEntry:
    """Return what a filter thinks of a data set as it is kept; pictures need a folder."""
    return FilterEntry(
        **_told(method, done.cost),
        scenes={name: float(score) for name, score in done.found.scores.items()},
        evidence=_evidence(method, done.found.evidence, classes, pictures),
    )


def detector_entry(
    method: Detector,
    done: Costed[tuple[Alarm, ...]],
    names: Sequence[str],
    classes: ClassSet,
    *,
    pictures: Path | None = None,
) -> DetectorEntry:
    """Return what a detector thinks of images as it is kept, see `filter_entry`."""
    found = zip(names, done.found, strict=True)
    evidence = [
        one.model_copy(update={"scene": name})
        for number, (name, alarm) in enumerate(found)
        for one in _evidence(method, alarm.evidence, classes, pictures, f"{number}-")
    ]
    scores = {name: float(a.score) for name, a in zip(names, done.found, strict=True)}
    return DetectorEntry(**_told(method, done.cost), images=scores, evidence=tuple(evidence))


def purifier_entry(
    method: Purifier, done: Sequence[Costed[tuple[View, ...]]], names: Sequence[str]
) -> PurifierEntry:
    """Return what a purifier made of images as it is kept."""
    costs = [each.cost for each in done]
    total = Cost(
        seconds=sum(cost.seconds for cost in costs),
        forward=sum(cost.forward for cost in costs),
        backward=sum(cost.backward for cost in costs),
        clean_scenes=max((cost.clean_scenes for cost in costs), default=0),
    )
    views = {name: len(each.found) for name, each in zip(names, done, strict=True)}
    return PurifierEntry(**_told(method, total), views=views)


def scan_entry(
    method: Scan, done: Costed[Findings], classes: ClassSet, *, pictures: Path | None = None
) -> ScanEntry:
    """Return what a scan thinks of a model as it is kept, see `filter_entry`."""
    found = done.found
    for one in found.suspects:
        method.check_classes({one.target, one.victim or 0}, len(classes))
    suspects = [
        SuspectRecord(
            victim=None if one.victim is None else classes.names[one.victim],
            target=classes.names[one.target],
            score=float(one.score),
            null=tuple(map(float, one.null)),
        )
        for one in found.suspects
    ]
    return ScanEntry(
        **_told(method, done.cost),
        suspects=tuple(suspects),
        backdoored=found.backdoored,
        not_run=found.not_run,
        evidence=_evidence(method, found.evidence, classes, pictures),
    )


class _Told(TypedDict):
    plugin: str
    settings: Json
    does: str
    cost: CostRecord


def _told(method: Defense, cost: Cost) -> _Told:
    return _Told(
        plugin=str(method),
        settings=method.model_dump(mode="json"),
        does=method.introduction.does,
        cost=CostRecord(
            seconds=cost.seconds,
            forward=cost.forward,
            backward=cost.backward,
            clean_scenes=cost.clean_scenes,
            access=tuple(sorted(method.access)),
        ),
    )


def _evidence(
    method: Defense,
    evidence: Iterable[Evidence],
    classes: ClassSet,
    pictures: Path | None,
    of_image: str = "",
) -> tuple[EvidenceRecord, ...]:
    """Return evidence as it is kept, and write its pictures."""
    kept: list[EvidenceRecord] = []
    for number, one in enumerate(evidence):
        method.check_classes(one.classes, len(classes))
        name = None
        if pictures is not None and one.picture is not None:
            # A class of one's own is written package.module:Class.
            name = f"{method.kind.replace(':', '.')}-{of_image}{number}.png"
            write_image(pictures / name, one.picture)
        record = EvidenceRecord(
            says=one.says,
            scene=one.scene,
            box=one.box,
            classes=tuple(classes.names[index] for index in one.classes),
            score=None if one.score is None else float(one.score),
            picture=name,
        )
        kept.append(record)
    return tuple(kept)
