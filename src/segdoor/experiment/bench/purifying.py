"""A purifier before both models, in every test."""

from __future__ import annotations

from segdoor.defense.defense import Cost
from segdoor.defense.purifiers.purifier import Purifier
from segdoor.errors import ConfigError
from segdoor.experiment.bench.case import Case
from segdoor.experiment.bench.figures import effects
from segdoor.experiment.bench.kept import Step
from segdoor.experiment.bench.purified import PurifiedExamination, PurifiedTest
from segdoor.experiment.bench.rows import NO_CLEAN_MODEL, Rows
from segdoor.experiment.models import IN_WORDS
from segdoor.record.defense import PurifierEntry
from segdoor.record.measured import CostRecord, Measurement, RowKind
from segdoor.scores.tables import TableSet


def measure_purifier(method: Purifier, rows: Rows) -> None:
    """Measure a purifier.

    Raises:
        ConfigError: If the run counts pixels at another size than that of the images.
    """
    case = rows.case
    if case.config.examination.score_at == "input":
        raise ConfigError(
            "examination.score_at",
            "must be label, for purified images are of their own size",
            "input",
            "Examine the model with score_at label, and defend that run.",
        )
    rows.own(lambda: _own(method, rows))
    missing = None if "clean" in case.models else NO_CLEAN_MODEL
    rows.control(
        "clean model", lambda: _row("clean model", rows, _tests(method, case, "clean")), missing
    )


def _own(method: Purifier, rows: Rows) -> Step:
    tests = _tests(method, rows.case, "poisoned")
    measured = _row("method", rows, tests)
    assert measured.cost is not None
    entry = PurifierEntry(
        plugin=str(method),
        settings=method.model_dump(mode="json"),
        does=method.introduction.does,
        cost=measured.cost,
        views=dict(tests["poisoned/benign"].views),
    )
    return Step(measured=measured, entry=entry)


def _tests(method: Purifier, case: Case, name: str) -> dict[str, PurifiedTest]:
    """Return what a model did in every test, by "model/test"."""
    examination = PurifiedExamination(method, case.models[name], case)
    found = {f"{name}/benign": examination.test(case.shown(case.tests.benign))}
    for test in case.tests.tests:
        stamped = case.tests.stamped(test)
        found[f"{name}/{test.name}"] = examination.test(case.shown(stamped), stamped)
    return found


def _row(row: RowKind, rows: Rows, tests: dict[str, PurifiedTest]) -> Measurement:
    model = next(iter(tests)).partition("/")[0]
    after: dict[str, TableSet] = {name: test.tables for name, test in tests.items()}
    before = {name: rows.case.before[name].only(after[name].names) for name in after}
    views = {number for test in tests.values() for number in test.views.values()}
    told = f"{min(views)} to {max(views)}" if len(views) > 1 else str(min(views))
    return Measurement(
        row=row,
        of=f"the {IN_WORDS[model]}",
        remarks=(f"{told} view{'' if told == '1' else 's'} an image",),
        effects=effects(model, before, after, rows.case),
        cost=_cost(rows, [test.cost for test in tests.values()]),
    )


def _cost(rows: Rows, costs: list[Cost]) -> CostRecord:
    total = Cost(
        seconds=round(sum(cost.seconds for cost in costs), 3),
        forward=sum(cost.forward for cost in costs),
        backward=sum(cost.backward for cost in costs),
        clean_scenes=max(cost.clean_scenes for cost in costs),
    )
    return rows.cost(total)
