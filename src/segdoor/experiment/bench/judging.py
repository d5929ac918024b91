"""Is a method useful: its figures beside the limits, which were set before."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict

from segdoor.experiment.bench.methods import Sort
from segdoor.record import Estimate
from segdoor.record.measured import ConditionRecord, Measurement, RowKind
from segdoor.scores.ranking import share
from segdoor.scores.usefulness import LIMITS, Condition, Useful, useful

_Rows = dict[RowKind, Measurement]


def judged(sort: Sort, rows: Sequence[Measurement]) -> tuple[Useful, tuple[ConditionRecord, ...]]:
    """Return whether a method is useful, and the conditions that it follows from.

    Args:
        sort: What the method is.
        rows: What was measured, the method itself among them.
    """
    found: _Rows = {row.row: row for row in rows}
    conditions = tuple(_CONDITIONS[sort](found))
    told = tuple(ConditionRecord(**asdict(each), holds=each.holds) for each in conditions)
    return _verdict(found, conditions), told


def _verdict(rows: _Rows, conditions: Sequence[Condition]) -> Useful:
    verdict, own = useful(conditions), rows["method"].effects
    if verdict != "yes" or own is None:
        return verdict
    worst = max((test.asr.low or 0.0 for test in own.before.tests.values()), default=0.0)
    # Where there was no backdoor a method that does nothing would pass.
    return verdict if worst > LIMITS.asr else "undecided"


def _filter(rows: _Rows) -> Iterator[Condition]:
    yield from _detector_or_filter(rows)
    clean = rows.get("clean data")
    share_of_clean = clean.alarms.share if clean and clean.alarms else None
    yield _condition("clean data flagged", share_of_clean, LIMITS.clean_data, at_least=False)


def _detector_or_filter(rows: _Rows) -> Iterator[Condition]:
    yield _condition("recall at 5 %", _recall(rows.get("method")), LIMITS.recall, at_least=True)
    stickers = _recall(rows.get("harmless sticker"))
    yield _condition("harmless stickers flagged", stickers, LIMITS.harmless, at_least=False)


def _recall(row: Measurement | None) -> Estimate | None:
    return row.ranking.recall if row and row.ranking else None


def _model(rows: _Rows) -> Iterator[Condition]:
    own, clean = rows["method"].effects, rows.get("clean model")
    worst = own.after.tests[own.worst_test].asr if own else None
    where = f" in test {own.worst_test}" if own else ""
    yield _condition(f"ASR left{where}", worst, LIMITS.asr, at_least=False)
    kept = own.cba_kept if own else None
    yield _condition("share of CBA kept", kept, LIMITS.cba_kept, at_least=True)
    recovered = own.recovered if own else None
    yield _condition(f"victims found again{where}", recovered, LIMITS.recovered, at_least=True)
    control = clean.effects.cba_kept if clean and clean.effects else None
    yield _condition("share of the clean model's CBA kept", control, LIMITS.cba_kept, at_least=True)


def _scan(rows: _Rows) -> Iterator[Condition]:
    found = _flagged(rows.get("method"))
    yield _condition("backdoored models found", found, LIMITS.found, at_least=True)
    flagged = _flagged(rows.get("clean model"))
    yield _condition("clean models flagged", flagged, LIMITS.flagged, at_least=False)


def _flagged(row: Measurement | None) -> Estimate | None:
    if row is None or row.flagged is None:
        return None
    of_one = share(int(row.flagged), 1)
    return Estimate(value=of_one.value, low=of_one.interval.low, high=of_one.interval.high)


def _condition(what: str, found: Estimate | None, limit: float, *, at_least: bool) -> Condition:
    value, low, high = (found.value, found.low, found.high) if found else (None, None, None)
    return Condition(what, value, low, high, limit, at_least)


_CONDITIONS = {
    "repair": _model,
    "purifier": _model,
    "filter": _filter,
    "detector": _detector_or_filter,
    "scan": _scan,
}
