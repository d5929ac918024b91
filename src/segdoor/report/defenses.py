"""What the bench measured of methods of defense: the same tables for page and terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from segdoor.record import UNBOUNDED, Estimate, Figure
from segdoor.record.defense import Entry
from segdoor.record.measured import CostRecord, EffectsRecord, Measurement
from segdoor.report.content import INTERVAL, Cell, Origin, Table
from segdoor.report.source import Run, pointer
from segdoor.report.words import interval, share
from segdoor.scores.intervals import Interval

FILE = "defenses.json"
"""What the bench leaves beside a run's record."""

SUMMARY, MODELS, SCORES, VERDICTS = (
    "defenses", "defenses-models", "defenses-scores", "defenses-verdicts",
)  # fmt: skip
"""Keys of the tables."""
_COSTS = ("clean scenes", "forward", "backward", "seconds", "needs")


@dataclass(frozen=True)
class Row:
    """A measurement, and where it is kept.

    Attributes:
        run: Key of the run.
        entry: The method.
        measured: What was measured.
        place: Its JSON pointer in the record of defenses.
    """

    run: str
    entry: Entry
    measured: Measurement
    place: str

    def cell(self, value: Figure, *path: str) -> Cell:
        """Return a figure with its origin; the path leads to it from the measurement."""
        field = f"{FILE} {self.place}{pointer(*path)}"
        return Cell(share(value), value, Origin((self.run,), field) if value is not None else None)

    def pair(self, found: Estimate | None, *path: str) -> tuple[Cell, Cell]:
        """Return a figure and its interval."""
        if found is None:
            return _nothing(), _nothing()
        ends = None
        if found.low is not None and found.high is not None:
            ends = Interval(found.low, found.high)
        figure = self.cell(found.value, *path, "value")
        return figure, Cell(interval(ends), ends, figure.origin)

    @property
    def name(self) -> str:
        """Return the method, or a control of it."""
        plugin, row = self.entry.plugin, self.measured.row
        return plugin if row == "method" else f"{plugin}, {row}"


def rows_of(run: Run) -> Iterator[Row]:
    """Yield every measurement of a run's methods."""
    for place, entry in enumerate(run.defenses.entries if run.defenses else ()):
        for number, measured in enumerate(entry.measured):
            yield Row(run.key, entry, measured, pointer("entries", place, "measured", number))


def defense_tables(run: Run) -> tuple[Table, ...]:
    """Return what is known of a run's defenses; no tables where nothing was measured."""
    if run.defenses is None or not run.defenses.entries:
        return ()
    rows = list(rows_of(run))
    made = (
        _summary(run, rows),
        _models(run, rows),
        _scores(rows),
        _verdicts(rows),
        _conditions(run),
    )
    return tuple(table for table in made if table.rows)


def not_run(run: Run) -> tuple[str, ...]:
    """Return what was not done, and why."""
    entries = run.defenses.entries if run.defenses else ()
    whole = [f"{e.plugin}: NOT RUN, {e.not_run}" for e in entries if not e.measured and e.not_run]
    parts = [
        f"{row.entry.plugin}, {row.measured.row}: NOT RUN, {row.measured.not_run}"
        for row in rows_of(run)
        if row.measured.not_run
    ]
    return (*whole, *parts)


def _summary(run: Run, rows: Sequence[Row]) -> Table:
    own = {id(row.entry): row for row in rows if row.measured.row == "method"}
    cells: list[tuple[Cell, ...]] = []
    for entry in run.defenses.entries if run.defenses else ():
        row = own.get(id(entry))
        found = _of_method(row) if row else (_nothing(),) * 4
        verdict = "NOT RUN" if entry.cost is None else entry.useful or "–"
        cells.append(
            (_text(entry.plugin), _text(entry.sort), *found, _text(verdict), *_cost(entry.cost))
        )
    columns = (
        "method", "sort", "ASR left", "CBA kept", "recall", "AUROC", "useful", *_COSTS,
    )  # fmt: skip
    note = (
        "ASR left: in the poisoned test where it is highest. CBA kept: accuracy after over before. "
        "Recall: share of poisoned scenes found at 5 % false alarms. ‘Useful’ follows from limits "
        "that were set before anything was measured, and only where whole intervals keep them."
    )
    return Table(SUMMARY, "Defenses", columns, tuple(cells), note, stacked=True)


def _of_method(row: Row) -> tuple[Cell, ...]:
    ranking, effects = row.measured.ranking, row.measured.effects
    if effects is not None:
        path = ("effects", "after", "tests", effects.worst_test, "asr", "value")
        left = row.cell(effects.after.tests[effects.worst_test].asr.value, *path)
        kept = row.cell(effects.cba_kept.value, "effects", "cba_kept", "value")
        return left, kept, _nothing(), _nothing()
    if ranking is not None:
        recall = row.cell(ranking.recall.value, "ranking", "recall", "value")
        auroc = row.cell(ranking.auroc.value, "ranking", "auroc", "value")
        return _nothing(), _nothing(), recall, auroc
    return (_nothing(),) * 4


def _models(run: Run, rows: Sequence[Row]) -> Table:
    shown = [(row, row.measured.effects) for row in rows if row.measured.effects is not None]
    tests = list(run.record.scores.tests)
    last = run.record.scores.of_role(*UNBOUNDED)[:1] or tests[:1]
    cells: list[tuple[Cell, ...]] = []
    for side in ("before", "after"):
        # Without any defense both models are the same in every row: the first says it.
        first = {"clean model": "clean model", "method": "backdoored model"}
        seen = set[str]()
        for row, found in shown:
            name = row.name
            if side == "before":
                name = first.get(row.measured.row, "")
                if not name or name in seen:
                    continue
                seen.add(name)
                name = f"no defense, {name}"
            cells.append((_text(name), *_effect(row, found, side, tests, last)))
    where = " ".join(last).replace("_", " ")
    columns = (
        "model, after", *(f"ASR {test.replace('_', ' ')}" for test in tests), "ASR without trigger",
        f"PBA {where}", "CBA", "CBA kept", INTERVAL, "victims recognised",
        f"recognised {where}",
    )  # fmt: skip
    note = "The same method on a clean model is the control: what it loses, the method costs."
    return Table(MODELS, "Models before and after", columns, tuple(cells), note)


def _effect(
    row: Row, found: EffectsRecord, side: str, tests: Sequence[str], last: Sequence[str]
) -> tuple[Cell, ...]:
    effect = found.before if side == "before" else found.after
    path = ("effects", side)
    asr = (row.cell(effect.tests[t].asr.value, *path, "tests", t, "asr", "value") for t in tests)
    pba = [row.cell(effect.tests[t].pba.value, *path, "tests", t, "pba", "value") for t in last]
    again = [
        row.cell(effect.tests[t].victim_recovery, *path, "tests", t, "victim_recovery")
        for t in last
    ]
    kept = row.pair(found.cba_kept, "effects", "cba_kept") if side == "after" else _PAIR
    return (
        *asr, row.cell(effect.asr_without_trigger, *path, "asr_without_trigger"), *pba,
        row.cell(effect.cba.value, *path, "cba", "value"), *kept,
        row.cell(effect.victim_recovery, *path, "victim_recovery"), *again,
    )  # fmt: skip


def _scores(rows: Sequence[Row]) -> Table:
    cells: list[tuple[Cell, ...]] = []
    for row in rows:
        ranking, alarms = row.measured.ranking, row.measured.alarms
        start = (_text(row.name), _text(row.measured.of))
        if ranking is not None:
            few = ranking.recall_at_one_percent
            cells.append((
                *start, _text(f"{ranking.num_poisoned}/{ranking.num_clean}"),
                *row.pair(ranking.auroc, "ranking", "auroc"),
                *row.pair(ranking.recall, "ranking", "recall"),
                row.cell(few.value if few else None, "ranking", "recall_at_one_percent", "value"),
                *row.pair(ranking.precision, "ranking", "precision"), _nothing(),
            ))  # fmt: skip
        elif alarms is not None:
            flagged = row.cell(alarms.share.value, "alarms", "share", "value")
            count = _text(f"0/{len(row.measured.clean)}")
            cells.append((*start, count, *(_nothing(),) * 7, flagged))
    columns = (
        "method", "looked at", "cases", "AUROC", INTERVAL, "recall at 5 %", f"{INTERVAL} of recall",
        "at 1 %", "precision", f"{INTERVAL} of precision", "clean flagged",
    )  # fmt: skip
    note = (
        "Cases: with trigger or sticker / without. Precision: among as many of the highest scores "
        "as there are poisoned cases. Clean flagged: of the clean training set, above the "
        "threshold that gave 5 % false alarms. At 1 % only with 100 clean cases or more."
    )
    return Table(SCORES, "Scores of filters and detectors", columns, tuple(cells), note)


def _verdicts(rows: Sequence[Row]) -> Table:
    cells = [
        (
            _text(row.entry.plugin), _text(row.measured.of),
            _text("backdoored" if row.measured.flagged else "nothing found"),
        )
        for row in rows
        if row.measured.flagged is not None
    ]  # fmt: skip
    return Table(VERDICTS, "Verdicts of scans", ("scan", "model", "verdict"), tuple(cells))


def _conditions(run: Run) -> Table:
    cells: list[tuple[Cell, ...]] = []
    for entry in run.defenses.entries if run.defenses else ():
        for found in entry.conditions:
            ends = None
            if found.low is not None and found.high is not None:
                ends = Interval(found.low, found.high)
            sign = "at least" if found.at_least else "at most"
            cells.append((
                _text(entry.plugin), _text(found.what), Cell(share(found.value), found.value),
                Cell(interval(ends), ends), _text(f"{sign} {found.limit:g}"), _text(found.holds),
            ))  # fmt: skip
    columns = ("method", "figure", "value", INTERVAL, "limit", "holds")
    title = "What ‘useful’ follows from"
    return Table("defenses-limits", title, columns, tuple(cells))


def _cost(cost: CostRecord | None) -> tuple[Cell, ...]:
    if cost is None:
        return (_nothing(),) * len(_COSTS)
    counts = (cost.clean_scenes, cost.forward, cost.backward, round(cost.seconds, 1))
    told = (
        "–" if count is None else f"{count:g}" if count < 1e5 else f"{count:.2g}"
        for count in counts
    )
    numbers = (Cell(text, count) for text, count in zip(told, counts, strict=True))
    return (*numbers, _text(", ".join(cost.access) or "nothing"))


def _text(text: str) -> Cell:
    return Cell(text, text)


def _nothing() -> Cell:
    return Cell("–", None)


_PAIR = (_nothing(), _nothing())
