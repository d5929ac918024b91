"""A repair of both models, beside an oracle that chooses its threshold by the attack."""

from __future__ import annotations

import time
from collections.abc import Mapping

from torch import nn

from segdoor.data.subset import Subset, evenly
from segdoor.defense.clean import clean_scenes
from segdoor.defense.repairs.repair import Passes, Repair, RepairContext, Repaired
from segdoor.errors import ConfigError
from segdoor.experiment.bench.case import Case
from segdoor.experiment.bench.figures import effects
from segdoor.experiment.bench.kept import Step
from segdoor.experiment.bench.methods import access_of
from segdoor.experiment.bench.rows import NO_CLEAN_MODEL, Rows
from segdoor.experiment.examination import examine_models
from segdoor.experiment.models import IN_WORDS
from segdoor.experiment.repair import Operation, Repairer
from segdoor.record import RepairRecord
from segdoor.record.defense import RepairEntry
from segdoor.record.measured import CostRecord, EffectsRecord, Measurement, RowKind
from segdoor.scores.tables import TableSet, load_tables
from segdoor.scores.usefulness import LIMITS
from segdoor.victim.training.fingerprint import weights_digest

_AS_DRAWN = "each patch stays as it was drawn"
_TRIED = 7
"""So many thresholds an oracle tries, evenly spread over the repair's sweep."""


def measure_repair(method: Repair, rows: Rows, repairer: Repairer) -> None:
    """Measure a repair; its row in the run's record is that of `segdoor repair`.

    Raises:
        ConfigError: If the network cannot be changed.
    """
    case = rows.case
    operation = Operation(method, method.resolved(case.recipe), case.seed)

    def row() -> RepairRecord:
        if not operation.is_done(case.folder, repairer.record):
            repairer.repair([operation])
        return next(made for made in repairer.record.repairs if operation.made(made))

    def after() -> Mapping[str, TableSet]:
        return load_tables(case.folder / operation.place / "tables.npz")

    rows.own(lambda: _own(method, rows, row(), after()))
    missing = None if "clean" in case.models else NO_CLEAN_MODEL
    rows.control("clean model", lambda: _row("clean model", rows, row(), after()), missing)
    control = operation.explicit.with_random_patches
    if control is not None:
        rows.control("random patch", lambda: _random_patch(control, rows))
    if method.strength is not None and case.options.oracle:
        sweep = None if method.sweep else f"{method.kind} names no values of its threshold to try"
        rows.control("oracle", lambda: _Oracle(method, rows).row(), sweep)


def _own(method: Repair, rows: Rows, row: RepairRecord, after: Mapping[str, TableSet]) -> Step:
    measured = _row("method", rows, row, after)
    entry = RepairEntry(
        plugin=str(method),
        settings=row.settings,
        does=method.introduction.does,
        cost=measured.cost,
    )
    return Step(measured=measured, entry=entry)


def _row(
    kind: RowKind, rows: Rows, row: RepairRecord, after: Mapping[str, TableSet]
) -> Measurement:
    name = "poisoned" if kind == "method" else "clean"
    own = kind == "method"
    return Measurement(
        row=kind,
        of=f"the {IN_WORDS[name]}",
        remarks=row.remarks if own else row.remarks_clean,
        effects=effects(name, rows.case.before, after, rows.case),
        cost=_cost(row, rows) if own else None,
    )


def _cost(row: RepairRecord, rows: Rows) -> CostRecord:
    return CostRecord(
        seconds=row.seconds, forward=row.forward, backward=row.backward,
        clean_scenes=row.num_clean_scenes, access=access_of(rows.method),
    )  # fmt: skip


def _random_patch(control: Repair, rows: Rows) -> Measurement:
    start = time.perf_counter()
    made = _repaired(control, rows.case)
    seconds, passes = round(time.perf_counter() - start, 3), made.passes or Passes()
    cost = CostRecord(
        seconds=seconds, forward=passes.forward, backward=passes.backward,
        clean_scenes=len(_clean(control, rows.case)), access=access_of(control),
    )  # fmt: skip
    return Measurement(
        row="random patch", of="the backdoored model", remarks=(*made.remarks, _AS_DRAWN),
        effects=_effects(made.model, rows.case), cost=cost,
    )  # fmt: skip


def _clean(repair: Repair, case: Case) -> Subset:
    return clean_scenes(case.train, repair.share, seed=case.seed)


def _repaired(repair: Repair, case: Case) -> Repaired:
    context = RepairContext(
        network=case.network, recipe=case.recipe, seed=case.seed, observer=case.log
    )
    return repair(case.models["poisoned"], _clean(repair, case), context)


def _effects(model: nn.Module, case: Case) -> EffectsRecord:
    after = examine_models(case.config, {"poisoned": model}, case.tests, case.log)
    return effects("poisoned", case.before, after, case)


class _Oracle:
    """Chooses the threshold that leaves least of the attack: nobody who defends can do that."""

    def __init__(self, method: Repair, rows: Rows) -> None:
        self.rows, self.case = rows, rows.case
        self.method = method.resolved(self.case.recipe)
        self.values = evenly(method.sweep, _TRIED)

    def row(self) -> Measurement:
        start, best = time.perf_counter(), None
        known: dict[str, tuple[float, EffectsRecord]] = {}
        self.case.log.begin("oracle", len(self.values))
        for value in self.values:
            model = self._repaired(value)
            digest = weights_digest(model)
            if digest not in known:
                known[digest] = value, _effects(model, self.case)
            self.case.log.advance()
        best = min(known.values(), key=lambda found: _left(found[1]))
        told = f"{self.method.strength} {best[0]:g}, the best of {len(self.values)} by its true ASR"
        cost = CostRecord(
            seconds=round(time.perf_counter() - start, 3), forward=None, backward=None,
            clean_scenes=len(_clean(self.method, self.case)), access=("the attack",),
        )  # fmt: skip
        of = "the backdoored model"
        return Measurement(row="oracle", of=of, remarks=(told,), effects=best[1], cost=cost)

    def _repaired(self, value: float) -> nn.Module:
        name = self.method.strength or ""
        settings = {**self.method.model_dump(), name: value}
        return _repaired(type(self.method).model_validate(settings), self.case).model


def _left(found: EffectsRecord) -> tuple[bool, float]:
    """Return what of the attack is left; what ruins the network comes last."""
    ruined = (found.cba_kept.value or 0.0) < LIMITS.cba_kept
    return ruined, found.after.tests[found.worst_test].asr.value or 0.0


def check_learns(case: Case, *, learns: bool) -> None:
    """Refuse to repair a network whose weights cannot be changed.

    Raises:
        ConfigError: If it is such.
    """
    if not learns:
        raise ConfigError(
            "repair",
            "needs a network whose weights can be changed",
            case.config.network.name,
            "Repair the model that it was exported from.",
        )
