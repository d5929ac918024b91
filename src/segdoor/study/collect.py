"""From the records of runs to the record of a study."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from segdoor.attack.config import PlacementConfig
from segdoor.attack.exam import EVERYWHERE, exam_placements
from segdoor.attack.triggers.sticker import Sticker
from segdoor.attack.triggers.trigger import Trigger
from segdoor.record import (
    RATE_REACHED,
    AxisValue,
    ClaimCell,
    ExperimentRecord,
    Figure,
    StudyRecord,
    StudyRun,
    name_in_paper,
)
from segdoor.study.claims import Claim, Role, bands, load_claims
from segdoor.study.expand import PlannedRun, Point, distinct, usual_q
from segdoor.study.judging import judge
from segdoor.study.plan import StudyPlan
from segdoor.study.repairs import study_row
from segdoor.study.results import Measured, Quantity, Results, clean_of
from segdoor.study.state import Digests, RunState, state_of

_Figures = Iterator[tuple[Quantity, Figure]]
_ALWAYS_TOLD = ("network", "method", "rate", "victims", "target", "trigger", "q_as")
_ROLES: tuple[Role, ...] = ("nearest", "near", "far1", "far2")


def collect(plan: StudyPlan, digests: Digests | None = None) -> StudyRecord:
    """Return the record of a study, from whatever of its runs is there.

    It follows from the files alone: the same runs give the same record, in whatever order and
    however often interrupted they were made.

    Args:
        plan: The study.
        digests: Of the scenes as they are now; not compared if None.
    """
    states = {run.key: state_of(plan, run, digests) for run in distinct(plan.runs)}
    figures = _figures(plan, states)
    stands_for, scaled = plan.preset.stands_for, _scaled(plan)
    usual = usual_q(plan.reading, stands_for)
    results = Results(figures, grid_of(plan.runs), stands_for, usual, "number", scaled)
    return StudyRecord(
        name=plan.name,
        preset=plan.preset_name,
        title=plan.study.title,
        reading=plan.reading,
        axes=_axes(plan.runs),
        seeds=plan.seeds,
        scaled=scaled,
        changes=plan.changes,
        settings_version=plan.version,
        runs=tuple(_run(run, states[run.key]) for run in plan.runs),
        cells=tuple(_cells(plan, figures, _reached(plan, states))),
        verdicts=judge(
            results, plan.study.claims, reading=plan.reading, countings=plan.preset.q_as
        ),
    )


def grid_of(runs: Iterable[PlannedRun]) -> dict[Point, set[str]]:
    """Return every point of a study, and the repairs asked for there by the paper's names."""
    grid: defaultdict[Point, set[str]] = defaultdict(set)
    for run in runs:
        grid[run.point].update(run.repairs)
    return dict(grid)


def exam_roles(run: PlannedRun) -> dict[Role, str]:
    """Return the names that a run's exams have in its record, by their place in the paper.

    Triggers on victim pixels, and those over the whole image, have one exam, which is compared with
    both of the near band.
    """
    names = [name for name in _placements(run) if name != "anywhere"]
    if len(names) == 1:
        return dict.fromkeys(("nearest", "near"), names[0])
    return dict(zip(_ROLES, names, strict=False))


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
    if done is None or abs(done.rate - run.point.rate) * done.num_scenes < 1:
        return None
    return done.rate


def _reached(plan: StudyPlan, states: Mapping[str, RunState]) -> dict[str, float]:
    """Return the rates reached that differ from those asked for, by the runs' keys."""
    found = {run.key: _rate_reached(run, states[run.key].record) for run in plan.runs}
    return {key: rate for key, rate in found.items() if rate is not None}


def _axes(runs: Sequence[PlannedRun]) -> dict[str, tuple[AxisValue, ...]]:
    """Return every axis with its values in the order of the grid."""
    return {
        axis: tuple(dict.fromkeys(getattr(run.point, axis) for run in runs))
        for axis in Point.model_fields
    }


def _scaled(plan: StudyPlan) -> dict[str, str]:
    """Return what was run for what the paper has, where they differ."""
    told: dict[str, str] = {}
    bands_here = bands(plan.preset.stands_for)
    for run in plan.runs:
        point, attack = run.point, run.config.attack
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
    return placement.lower, placement.upper


def _differs(paper: str, here: str) -> bool:
    return here.removesuffix(" px") not in {paper, *paper.split()}


def _figures(plan: StudyPlan, states: Mapping[str, RunState]) -> dict[Quantity, Measured]:
    figures: defaultdict[Quantity, Measured] = defaultdict(Measured)
    for run in plan.runs:
        record = states[run.key].record
        if record is None:
            continue
        for quantity, value in (*_of_run(run, record), *_of_repairs(run, record)):
            # All runs of a seed share one clean victim: the first to tell of it is enough.
            if value is not None and run.seed not in figures[quantity].values:
                figures[quantity].values[run.seed] = value
                figures[quantity].keys[run.seed] = run.key
    return {quantity: measured for quantity, measured in figures.items() if measured.values}


def _of_run(run: PlannedRun, record: ExperimentRecord) -> _Figures:
    clean = clean_of(run.point)
    yield Quantity(run.point, None, None, "CBA"), record.scores.cba
    if record.controls.clean_victim is not None:
        yield Quantity(clean, None, None, "CBA"), record.controls.clean_victim.cba.value
    for role, name in exam_roles(run).items():
        exam = record.scores.exams.get(name)
        if exam is None:
            continue
        yield Quantity(run.point, None, role, "ASR"), exam.asr.value
        yield Quantity(run.point, None, role, "PBA"), exam.pba.value
        yield Quantity(clean, None, role, "ASR"), exam.asr_clean_victim
        yield Quantity(clean, None, role, "PBA"), exam.pba_clean_victim


def _of_repairs(run: PlannedRun, record: ExperimentRecord) -> _Figures:
    for of_paper, here in run.repairs.items():
        row = study_row(record, here)
        if row is None:
            continue
        yield Quantity(run.point, of_paper, None, "CBA"), row.poisoned_after.cba.value
        for role, name in exam_roles(run).items():
            exam = row.poisoned_after.exams.get(name)
            if exam is not None:
                yield Quantity(run.point, of_paper, role, "ASR"), exam.asr.value
                yield Quantity(run.point, of_paper, role, "PBA"), exam.pba.value


def _cells(
    plan: StudyPlan, figures: Mapping[Quantity, Measured], reached: Mapping[str, float]
) -> Iterator[ClaimCell]:
    """Yield the paper's numbers that runs of the study measure, each exam's figure beside it."""
    varied = [axis for axis, values in _axes(plan.runs).items() if len(values) > 1]
    for claim, doubt in load_claims():
        if claim.table not in plan.study.tables or claim.dataset != plan.preset.stands_for:
            continue
        for quantity, run in measured_by(plan, claim):
            measured = figures.get(quantity)
            labels = _labels(claim, quantity.point, varied)
            keys = measured.runs if measured else ()
            if claim.method != "clean" and reached.keys() & set(keys):
                rates = (reached.get(key, quantity.point.rate) for key in keys)
                labels[RATE_REACHED] = round(statistics.fmean(rates), 4)
            yield ClaimCell(
                table=claim.table,
                labels=labels,
                metric=claim.metric,
                paper=claim.value,
                doubted=doubt,
                exam=exam_roles(run)[quantity.role] if quantity.role else None,
                measured=measured.spread if measured else None,
                runs=keys,
            )


def measured_by(plan: StudyPlan, claim: Claim) -> list[tuple[Quantity, PlannedRun]]:
    """Return what measures a number of the paper: figures, each with a run that gives it."""
    usual = usual_q(plan.reading, plan.preset.stands_for)
    found: dict[Quantity, PlannedRun] = {}
    for run in plan.runs:
        point = clean_of(run.point) if claim.method == "clean" else run.point
        done = claim.repair is None or claim.repair in run.repairs
        if done and claim.is_of(point, usual):
            for role in claim.roles:
                found.setdefault(Quantity(point, claim.repair, role, claim.metric), run)
    return list(found.items())


def _labels(claim: Claim, point: Point, varied: Collection[str]) -> dict[str, AxisValue]:
    """Return what a number is of: the axes under their names in the runs, and the paper's words."""
    axes = point.model_dump(include={*_ALWAYS_TOLD, *varied})
    told = {"distance": claim.distance, "variation": claim.variation}
    return {
        **{name: value for name, value in axes.items() if value is not None},
        **{name: text for name, text in told.items() if text},
    }
