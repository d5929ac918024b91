"""From the records of runs to the record of a study."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterator, Mapping

from segdoor.record import (
    RATE_REACHED,
    ClaimCell,
    ExperimentRecord,
    Figure,
    StudyRecord,
    StudyRun,
)
from segdoor.study.expand import PlannedRun, distinct
from segdoor.study.figures import Found, Quantity, SeedFigures, grid_of
from segdoor.study.judging import judge
from segdoor.study.plan import StudyPlan
from segdoor.study.repairs import study_row
from segdoor.study.state import Digests, RunState, state_of

_Figures = Iterator[tuple[Quantity, Figure]]


def collect(plan: StudyPlan, digests: Digests | None = None) -> StudyRecord:
    """Return the record of a study, from whatever of its runs is there.

    It follows from the files alone: the same runs give the same record, in whatever order and
    however often interrupted they were made.
    """
    states = {run.key: state_of(plan, run, digests) for run in distinct(plan.runs)}
    figures = _figures(plan, states)
    scaled = plan.paper.scaled(plan.runs, plan.preset)
    found = Found(
        plan.study, plan.preset, plan.reading, plan.runs, figures, grid_of(plan.runs), scaled
    )
    return StudyRecord(
        paper=plan.paper.name,
        num_claims=len(plan.paper.orderings),
        name=plan.name,
        preset=plan.preset_name,
        title=plan.study.title,
        reading=plan.reading,
        axes=found.axes,
        seeds=plan.seeds,
        scaled=scaled,
        changes=plan.changes,
        settings_version=plan.version,
        runs=tuple(_run(run, states[run.key]) for run in plan.runs),
        cells=tuple(_cells(plan, found, _reached(plan, states))),
        verdicts=judge(found, plan.paper.orderings, plan.study.claims),
    )


def _run(run: PlannedRun, state: RunState) -> StudyRun:
    return StudyRun(
        key=run.key,
        axes=run.point.model_dump(),
        seed=run.seed,
        state=state.state,
        error=state.error,
        record=f"runs/{run.key}/record.json" if state.state == "done" else None,
        rate_reached=_rate_reached(run, state.record),
    )


def _rate_reached(run: PlannedRun, record: ExperimentRecord | None) -> float | None:
    """Return the poisoning rate of a run if it differs from the one asked for by a scene."""
    done = record.plan if record else None
    if done is None or abs(done.rate - run.config.attack.rate) * done.num_scenes < 1:
        return None
    return done.rate


def _reached(plan: StudyPlan, states: Mapping[str, RunState]) -> dict[str, float]:
    """Return the rates reached that differ from those asked for, by the runs' keys."""
    found = {run.key: _rate_reached(run, states[run.key].record) for run in plan.runs}
    return {key: rate for key, rate in found.items() if rate is not None}


def _figures(plan: StudyPlan, states: Mapping[str, RunState]) -> dict[Quantity, SeedFigures]:
    figures: defaultdict[Quantity, SeedFigures] = defaultdict(SeedFigures)
    for run in plan.runs:
        record = states[run.key].record
        if record is None:
            continue
        for quantity, value in (*_of_run(plan, run, record), *_of_repairs(plan, run, record)):
            # All runs of a seed share one clean model: the first to tell of it is enough.
            if value is not None and run.seed not in figures[quantity].values:
                figures[quantity].values[run.seed] = value
                figures[quantity].keys[run.seed] = run.key
    return {quantity: measured for quantity, measured in figures.items() if measured.values}


def _of_run(plan: StudyPlan, run: PlannedRun, record: ExperimentRecord) -> _Figures:
    clean = run.point.clean()
    yield Quantity(run.point, None, None, "CBA"), record.scores.cba
    if record.controls.clean_model is not None:
        yield Quantity(clean, None, None, "CBA"), record.controls.clean_model.cba.value
    for role, name in plan.paper.tests(run).items():
        test = record.scores.tests.get(name)
        if test is None:
            continue
        yield Quantity(run.point, None, role, "ASR"), test.asr.value
        yield Quantity(run.point, None, role, "PBA"), test.pba.value
        yield Quantity(clean, None, role, "ASR"), test.asr_clean_model
        yield Quantity(clean, None, role, "PBA"), test.pba_clean_model


def _of_repairs(plan: StudyPlan, run: PlannedRun, record: ExperimentRecord) -> _Figures:
    for of_paper, here in run.repairs.items():
        row = study_row(record, here)
        if row is None:
            continue
        yield Quantity(run.point, of_paper, None, "CBA"), row.poisoned_after.cba.value
        for role, name in plan.paper.tests(run).items():
            test = row.poisoned_after.tests.get(name)
            if test is not None:
                yield Quantity(run.point, of_paper, role, "ASR"), test.asr.value
                yield Quantity(run.point, of_paper, role, "PBA"), test.pba.value


def _cells(plan: StudyPlan, found: Found, reached: Mapping[str, float]) -> Iterator[ClaimCell]:
    """Yield the paper's numbers that runs of the study measure, each beside its poisoned test's."""
    rates = {run.key: run.config.attack.rate for run in plan.runs} | dict(reached)
    for number in plan.paper.reported(found):
        quantity, labels = number.quantity, dict(number.labels)
        measured = found.figures.get(quantity)
        keys = measured.runs if measured else ()
        # The place of a clean model is none of the grid: it has no rate.
        if quantity.point in found.grid and reached.keys() & set(keys):
            labels[RATE_REACHED] = round(statistics.fmean(rates[key] for key in keys), 4)
        yield ClaimCell(
            table=number.table,
            labels=labels,
            metric=quantity.metric,
            paper=number.value,
            doubted=number.doubted,
            test=plan.paper.tests(number.run)[quantity.role] if quantity.role else None,
            measured=measured.spread if measured else None,
            runs=keys,
        )
