"""A detector on test scenes with and without the trigger, beside its controls."""

from __future__ import annotations

from collections.abc import Iterator

from torch import nn

from segdoor.data.scene import SceneDataset
from segdoor.data.subset import Subset
from segdoor.defense.defense import Cost, Costed, DefenseContext
from segdoor.defense.detectors.detector import Alarm, Detector
from segdoor.defense.recording import detector_entry
from segdoor.experiment.bench.figures import ranked
from segdoor.experiment.bench.kept import FOLDER, Step
from segdoor.experiment.bench.rows import NO_CLEAN_MODEL, Rows
from segdoor.experiment.logbook import Logbook
from segdoor.record.measured import Measurement, RowKind
from segdoor.tensors import AnyImage


def measure_detector(method: Detector, rows: Rows) -> None:
    """Measure a detector: the same scenes, with and without a trigger, one image at a time."""
    bench = _Bench(method, rows)
    own = rows.own(bench.own)
    rows.control("harmless sticker", lambda: bench.on_stickers(own))
    missing = None if "clean" in rows.case.models else NO_CLEAN_MODEL
    rows.control("clean model", bench.on_clean_model, missing)


class _Bench:
    def __init__(self, method: Detector, rows: Rows) -> None:
        self.method, self.rows, self.case = method, rows, rows.case
        case = rows.case
        self.triggered = case.shown(case.tests.stamped(case.test))
        self.stickered = case.shown(case.tests.with_other(case.test))
        names = set(self.triggered.names)
        benign = case.tests.benign
        self.benign = Subset(benign, [i for i, name in enumerate(benign.names) if name in names])

    def own(self) -> Step:
        model = self.case.models["poisoned"]
        clean, found = self._scored(model, self.benign), self._scored(model, self.triggered)
        measured = self._row("method", found, clean, "the backdoored model")
        entry = detector_entry(
            self.method, Costed(found.found, _sum(clean.cost, found.cost)), self.triggered.names,
            self.benign.classes, pictures=self.case.folder / FOLDER / self.rows.kept.name,
        )  # fmt: skip
        return Step(measured=measured, entry=entry)

    def on_stickers(self, own: Measurement) -> Measurement:
        found = self._scored(self.case.models["poisoned"], self.stickered)
        scores = _by_name(self.stickered, found)
        return Measurement(
            row="harmless sticker", of="the backdoored model", test=self.case.test.name,
            poisoned=scores, clean=own.clean, ranking=ranked(scores, own.clean),
            cost=self.rows.cost(found.cost),
        )  # fmt: skip

    def on_clean_model(self) -> Measurement:
        model = self.case.models["clean"]
        clean, found = self._scored(model, self.benign), self._scored(model, self.triggered)
        return self._row("clean model", found, clean, "the clean model")

    def _scored(self, model: nn.Module, scenes: SceneDataset) -> Costed[tuple[Alarm, ...]]:
        case = self.case
        context = DefenseContext(
            clean=case.clean_scenes(),
            network=case.network,
            recipe=case.recipe,
            seed=case.seed,
            observer=case.log,
        )
        return self.method(model, _images(scenes, case.log), context)

    def _row(
        self,
        row: RowKind,
        found: Costed[tuple[Alarm, ...]],
        clean: Costed[tuple[Alarm, ...]],
        of: str,
    ) -> Measurement:
        high, low = _by_name(self.triggered, found), _by_name(self.benign, clean)
        return Measurement(
            row=row, of=of, test=self.case.test.name, poisoned=high, clean=low,
            ranking=ranked(high, low), cost=self.rows.cost(_sum(found.cost, clean.cost)),
        )  # fmt: skip


def _images(scenes: SceneDataset, log: Logbook) -> Iterator[AnyImage]:
    log.begin("scoring images", len(scenes))
    for index in range(len(scenes)):
        yield scenes[index].image
        log.advance()


def _by_name(scenes: SceneDataset, done: Costed[tuple[Alarm, ...]]) -> dict[str, float]:
    found = zip(scenes.names, done.found, strict=True)
    return {name: float(alarm.score) for name, alarm in found}


def _sum(one: Cost, other: Cost) -> Cost:
    return Cost(
        one.seconds + other.seconds,
        one.forward + other.forward,
        one.backward + other.backward,
        one.clean_scenes,
    )
