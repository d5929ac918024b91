"""A filter on the run's poisoned training set, beside its controls."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from torch import nn

from segdoor.attack.plan import PoisonPlan
from segdoor.attack.planning import plan_poison
from segdoor.attack.poisoned import poisoned
from segdoor.data.scene import SceneDataset
from segdoor.defense.defense import Costed
from segdoor.defense.filters.filter import Filter, FilterContext, Suspicion
from segdoor.defense.recording import filter_entry
from segdoor.experiment.bench.adaptive import adapted
from segdoor.experiment.bench.figures import alarms, ranked
from segdoor.experiment.bench.kept import FOLDER, Step
from segdoor.experiment.bench.on_disk import OnDisk
from segdoor.experiment.bench.retraining import Retraining
from segdoor.experiment.bench.rows import Rows
from segdoor.experiment.bench.stickered import Stickered
from segdoor.randomness import Stream
from segdoor.record.measured import Measurement, RowKind

_WITHOUT_MODEL = "given no model, as none was trained on these scenes"
_THROUGH_CLEAN = "looked through the clean model, which was not trained on these scenes"

_WRITTEN_ANEW = "image and label map of a scene with a sticker were written anew, as poison is"


def measure_filter(method: Filter, plan: PoisonPlan, rows: Rows) -> None:
    """Measure a filter; its scores are of whole scenes.

    Args:
        method: The filter.
        plan: What the attacker did, which the filter never sees.
        rows: Where the measurements go.
    """
    _Bench(method, plan, rows).measure()


class _Bench:
    def __init__(self, method: Filter, plan: PoisonPlan, rows: Rows) -> None:
        self.method, self.plan, self.rows, self.case = method, plan, rows, rows.case
        self.poison = frozenset(row.name for row in plan.rows if row.poisoned)
        self.scenes = poisoned(self.case.train, plan)
        self.stickered = Stickered(self.case.train, plan, self.case.tests.triggers.other)
        self.retraining = Retraining(self.case, self.scenes)
        work = self.case.folder / FOLDER / rows.kept.name / "work" / "files"
        self.files = OnDisk(self.case, plan, work) if "files" in method.access else None

    def measure(self) -> None:
        rows, own = self.rows, self.rows.own(self._own)
        rows.control("random", lambda: self._by_knowledge("random", self._random))
        rows.control("oracle", lambda: self._by_knowledge("oracle", self._oracle))
        rows.control("clean data", lambda: self._on_clean_data(own))
        rows.control("harmless sticker", self._on_stickers)
        if self.case.options.adaptive:
            rows.control("adaptive attack", self._on_adaptive_attack)
        if self.case.options.retrain:
            self._retrain(own)

    def _own(self) -> Step:
        scenes = self.files.poisoned() if self.files else self.scenes
        done = self._scored(scenes, self.case.models["poisoned"], "poisoned-data")
        measured = self._row("method", done.found.scores, self.poison, "the poisoned training set")
        measured = measured.model_copy(update={"cost": self.rows.cost(done.cost)})
        pictures = self.case.folder / FOLDER / self.rows.kept.name
        entry = filter_entry(self.method, done, self.scenes.classes, pictures=pictures)
        return Step(measured=measured, entry=entry)

    def _scored(
        self, scenes: SceneDataset, model: nn.Module | None, what: str
    ) -> Costed[Suspicion]:
        case = self.case
        context = FilterContext(
            # Training scenes would tell what the suspect scenes were before.
            clean=case.clean_scenes(of=case.tests.benign),
            network=case.network,
            recipe=case.recipe,
            seed=case.seed,
            observer=case.log,
            folder=case.folder / FOLDER / self.rows.kept.name / "work" / what,
            model=model,
        )
        return self.method(scenes, context)

    def _row(
        self, row: RowKind, scores: Mapping[str, float], positive: Collection[str], of: str
    ) -> Measurement:
        high = {name: float(score) for name, score in scores.items() if name in positive}
        low = {name: float(score) for name, score in scores.items() if name not in positive}
        found = ranked(high, low)
        why = None if found else "needs scenes of both kinds: all or none are poisoned"
        return Measurement(row=row, of=of, poisoned=high, clean=low, ranking=found, not_run=why)

    def _by_knowledge(self, row: RowKind, scores: Mapping[str, float]) -> Measurement:
        return self._row(row, scores, self.poison, "the poisoned training set")

    @property
    def _random(self) -> dict[str, float]:
        stream = Stream(self.case.seed).child("random filter")
        return {name: stream.child(name).integer() / 2**63 for name in self.scenes.names}

    @property
    def _oracle(self) -> dict[str, float]:
        return {name: float(name in self.poison) for name in self.scenes.names}

    def _on_clean_data(self, own: Measurement) -> Measurement:
        scenes = self.files.clean() if self.files else self.case.train
        done = self._scored(scenes, self.case.models.get("clean"), "clean-data")
        scores = {name: float(score) for name, score in done.found.scores.items()}
        return Measurement(
            row="clean data",
            of="the clean training set",
            clean=scores,
            alarms=alarms(scores, own.clean),
            cost=self.rows.cost(done.cost),
        )

    def _on_stickers(self) -> Measurement:
        model, marked = self.case.models.get("clean"), self.stickered
        scenes = self.files.stickered(marked.sticker) if self.files else marked
        done = self._scored(scenes, model, "stickers")
        of = "the clean training set with a harmless sticker in as many scenes"
        measured = self._row("harmless sticker", done.found.scores, marked.stickered, of)
        looks = self.method.access & {"black box", "white box"}
        remarks = (_THROUGH_CLEAN,) if model is not None and looks else ()
        remarks += (_WRITTEN_ANEW,) if self.files else ()
        return measured.model_copy(update={"cost": self.rows.cost(done.cost), "remarks": remarks})

    def _on_adaptive_attack(self) -> Measurement:
        attack = adapted(self.method, self.plan.header.attack)
        plan = plan_poison(self.case.train, attack.config, seed=self.plan.header.seed)
        done = self._scored(poisoned(self.case.train, plan), None, "adaptive-attack")
        names = frozenset(row.name for row in plan.rows if row.poisoned)
        of = "a training set that was poisoned by an attacker who knows the method"
        measured = self._row("adaptive attack", done.found.scores, names, of)
        update = {"cost": self.rows.cost(done.cost), "remarks": (attack.does, _WITHOUT_MODEL)}
        return measured.model_copy(update=update)

    def _retrain(self, own: Measurement) -> None:
        of_all: dict[RowKind, Mapping[str, float]] = {
            "retrained": {**own.poisoned, **own.clean},
            "retrained, random": self._random,
            "retrained, oracle": self._oracle,
        }
        number = self.case.options.drop or len(self.poison)
        for row, scores in of_all.items():
            self.rows.control(
                row,
                lambda row=row, scores=scores: self.retraining.without(
                    scores, number, row, found_of=self.poison
                ),
                name=f"{row}, {number} left out",
            )
