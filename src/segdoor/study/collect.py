"""From the records of runs to the record of a study."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterator, Mapping

from segdoor.record import (
    RATE_REACHED,
    ClaimCell,
    ExperimentRecord,
    StudyRecord,
    StudyRun,
)
from segdoor.study.expand import PlannedRun, distinct
from segdoor.study.figures import Found, Quantity, SeedFigures, grid_of
from segdoor.study.judging import judge
from segdoor.study.measured import Measured, measured
from segdoor.study.plan import StudyPlan
from segdoor.study.state import Digests, RunState, state_of


def collect(plan: StudyPlan, digests: Digests | None = None) -> StudyRecord:
    """Return the record of a study, from its finished runs.

    It depends only on the files: the same runs give the same record, in any order and however
    often they were interrupted.
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
        for found in measured(plan.paper, run, plan.folder(run), record):
            # All runs of a seed share one clean model: the first with its figures is enough.
            if run.seed not in figures[found.quantity].values:
                _add(figures[found.quantity], run, found)
    return dict(figures)


def _add(figures: SeedFigures, run: PlannedRun, found: Measured) -> None:
    figures.add(run.seed, run.key, found.figure)
    if found.without_trigger is not None:
        figures.without_trigger = figures.without_trigger or SeedFigures()
        figures.without_trigger.add(run.seed, run.key, found.without_trigger)


def _cells(plan: StudyPlan, found: Found, reached: Mapping[str, float]) -> Iterator[ClaimCell]:
    """Yield the paper's numbers that runs of the study measure, each beside its poisoned test's."""
    rates = {run.key: run.config.attack.rate for run in plan.runs} | dict(reached)
    for number in plan.paper.reported(found):
        quantity, labels = number.quantity, dict(number.labels)
        here = found.figures.get(quantity)
        keys = here.runs if here else ()
        # A clean model is not on the grid: it has no rate.
        if quantity.point in found.grid and reached.keys() & set(keys):
            labels[RATE_REACHED] = round(statistics.fmean(rates[key] for key in keys), 4)
        yield ClaimCell(
            table=number.table,
            labels=labels,
            metric=quantity.metric,
            paper=number.value,
            doubted=number.doubted,
            test=plan.paper.tests(number.run)[quantity.role] if quantity.role else None,
            measured=here.spread if here else None,
            runs=keys,
        )
