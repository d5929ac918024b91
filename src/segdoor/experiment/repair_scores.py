"""The figures of models by which repairs are judged."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from segdoor.attack.poisoned_test import PoisonedTest
from segdoor.errors import DataError
from segdoor.experiment.scoring import PoisonedTestTables, Scorer
from segdoor.record import ExperimentRecord, Figure, ModelEffect, PoisonedTestEffect
from segdoor.scores.tables import TableSet


def effect_of(
    model: str, tables: Mapping[str, TableSet], scorer: Scorer, tests: Sequence[PoisonedTest]
) -> ModelEffect:
    """Return the figures of one model.

    Raises:
        DataError: If the tables of a test are missing.
    """
    found = {name: tables.get(f"{model}/{name}") for name in ("benign", *(e.name for e in tests))}
    missing = next((name for name, table in found.items() if table is None), None)
    if missing is not None:
        raise DataError(
            "the run's tables", "must hold every test", f"no {model}/{missing}", "Delete the file."
        )
    there = {name: table for name, table in found.items() if table is not None}
    benign = scorer.benign(there["benign"])
    return ModelEffect(
        cba=benign.cba,
        victim_recovery=benign.victim_recovery,
        asr_without_trigger=benign.asr_without_trigger,
        tests={test.name: _in_test(test, there, scorer) for test in tests},
    )


def _in_test(
    test: PoisonedTest, tables: Mapping[str, TableSet], scorer: Scorer
) -> PoisonedTestEffect:
    triggered = tables[test.name]
    # These figures do not include the controls of a run.
    scores = scorer.test(test, PoisonedTestTables(triggered, triggered, tables["benign"]))
    return PoisonedTestEffect(
        asr=scores.asr, pba=scores.pba, victim_recovery=scores.victim_recovery
    )


def check_agreement(
    effects: Mapping[str, ModelEffect], record: ExperimentRecord, *, source: Path, margin: float
) -> None:
    """Refuse figures that differ from those of the record by more than a margin.

    Raises:
        DataError: If they differ.
    """
    for here, there in _pairs(effects, record):
        if here is None or there is None:
            same = here == there
        else:
            same = math.isclose(here, there, rel_tol=0, abs_tol=margin)
        if not same:
            raise DataError(
                source,
                f"must give the record's figures, such as {there}",
                here,
                "Restore the tables and weights of the run.",
            )


def _pairs(
    effects: Mapping[str, ModelEffect], record: ExperimentRecord
) -> Iterable[tuple[Figure, Figure]]:
    poisoned, clean = effects["poisoned"], record.controls.clean_model
    yield poisoned.cba.value, record.scores.benign.cba.value
    for name, scores in record.scores.tests.items():
        yield poisoned.tests[name].asr.value, scores.asr.value
        yield poisoned.tests[name].pba.value, scores.pba.value
    if clean is not None:
        yield effects["clean"].cba.value, clean.cba.value
