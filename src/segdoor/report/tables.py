"""The tables of a page."""

from __future__ import annotations

from collections.abc import Sequence

from segdoor.record import AxisValue, ClaimCell, Figure
from segdoor.report.content import INTERVAL, Cell, Origin, Table
from segdoor.report.metrics import figure, headings, metric_figure, metrics_of
from segdoor.report.source import Group, MeasuredFigure, Run, Source
from segdoor.report.words import CUT, Naming, axis_name, interval, name_of_test, network_name, share
from segdoor.scores.intervals import Interval

_CONTROLS = {
    "no trigger": "asr_without_trigger",
    "another trigger": "asr_other_trigger",
    "clean model": "asr_clean_model",
}
_OF_PAPER = ("ASR, paper", "CBA, paper")
_DOUBTED = " † marks a number that the paper contradicts elsewhere."


def told(text: AxisValue) -> Cell:
    """Return a cell that was not measured."""
    return Cell("–" if text is None else str(text), text)


def spread(measured: MeasuredFigure) -> Cell:
    """Return a cell with the interval of a figure."""
    return _interval(measured.low, measured.high, measured.origin)


def table_of_test(group: Group) -> Table:
    """Return the poisoned tests of a run, each beside its controls."""
    further = headings(metrics_of(run.record for run in group.runs))
    rows: list[tuple[Cell, ...]] = []
    tests = group.runs[0].record.scores.tests
    for name, test in tests.items():
        asr = group.measure("scores", "tests", name, "asr")
        controls = (group.measure("scores", "tests", name, key) for key in _CONTROLS.values())
        counts = f"{test.num_triggered_with_victims} of {test.num_with_victims}"
        pba = group.measure("scores", "tests", name, "pba")
        recovery = group.measure("scores", "tests", name, "victim_recovery")
        rows.append((
            Cell(name_of_test(name, tests), name), figure(asr), spread(asr), *map(figure, controls),
            figure(pba), figure(recovery),
            *(figure(metric_figure(group, name, key)) for key in further), told(counts),
        ))  # fmt: skip
    columns = (
        "trigger placed", "ASR", INTERVAL, *_CONTROLS, "PBA", "victim recovery",
        *further.values(), "scenes",
    )  # fmt: skip
    note = (
        "Only if ASR is well above all three controls does the trigger hide the victims. "
        "Intervals are over resampled scenes."
    )
    return Table("tests", "Attack success rate beside its controls", columns, tuple(rows), note)


def benign_table(group: Group) -> Table:
    """Return the figures of a run's models on untouched scenes."""
    record = group.runs[0].record
    models = {network_name(record): ("scores", "benign")}
    if record.controls.clean_model is not None:
        models["clean model"] = ("controls", "clean_model")
    further = headings(metrics_of([record], test="benign"))
    rows: list[tuple[Cell, ...]] = []
    for name, path in models.items():
        cba = group.measure(*path, "cba")
        others = (
            group.measure(*path, *keys)
            for keys in (
                ("victim_recovery",), ("asr_without_trigger",), *(("metrics", k) for k in further)
            )
        )  # fmt: skip
        rows.append((told(name), figure(cba), spread(cba), *map(figure, others)))
    columns = (
        "network", "CBA", INTERVAL, "victim recovery", "victims taken for target",
        *further.values(),
    )  # fmt: skip
    return Table("benign", "Untouched scenes", columns, tuple(rows))


def headline_table(source: Source) -> Table:
    """Return a study's groups in the main poisoned test, beside controls and paper."""
    names = source.varied
    further = headings(metrics_of(run.record for run in source.runs))
    rows: list[tuple[Cell, ...]] = []
    for group in source.groups:
        test = source.test_of(group)
        asr = group.measure("scores", "tests", test, "asr")
        pba = group.measure("scores", "tests", test, "pba")
        controls = (group.measure("scores", "tests", test, key) for key in _CONTROLS.values())
        cba = group.measure("scores", "cba")
        clean = group.measure("controls", "clean_model", "cba")
        rows.append((
            *axis_cells(source.naming, group.axes, names), told(len(group.runs)),
            figure(asr), spread(asr), paper_cell(source, group, "ASR", test),
            *map(figure, controls), figure(pba),
            *(figure(metric_figure(group, test, key)) for key in further), figure(cba),
            paper_cell(source, group, "CBA", None), figure(clean),
        ))  # fmt: skip
    columns = (
        *map(axis_name, names), "runs", "ASR", INTERVAL, "ASR, paper", *_CONTROLS, "PBA",
        *further.values(), "CBA", "CBA, paper", "CBA, clean model",
    )  # fmt: skip
    note = (
        "Columns ‘no trigger’, ‘another trigger’ and ‘clean model’ are controls of ASR. "
        f"Intervals are over seeds (Student’s t), or over scenes where there is one run. {CUT}"
        + _DOUBTED
    )
    if not any(row[columns.index(name)].value is not None for row in rows for name in _OF_PAPER):
        columns, rows = _without(_OF_PAPER, columns, rows)
        note = note.removesuffix(_DOUBTED)
    tests = dict.fromkeys(source.naming.test(source.test_of(group)) for group in source.groups)
    title = f"Poisoned test {' or '.join(f'‘{name}’' for name in tests)} with controls"
    return Table("headline", title, columns, tuple(rows), note)


def _without(
    names: Sequence[str], columns: Sequence[str], rows: Sequence[tuple[Cell, ...]]
) -> tuple[tuple[str, ...], list[tuple[Cell, ...]]]:
    """Return a table's columns and rows without some columns."""
    kept = [place for place, name in enumerate(columns) if name not in names]
    return tuple(columns[k] for k in kept), [tuple(row[k] for k in kept) for row in rows]


def table_of_every_test(source: Source) -> Table:
    """Return ASR of a study's groups in every poisoned test."""
    rows = tuple(
        (
            *axis_cells(source.naming, group.axes, source.varied),
            *(figure(group.measure("scores", "tests", name, "asr")) for name in source.tests),
        )
        for group in source.groups
    )
    columns = (*map(axis_name, source.varied), *map(source.naming.test, source.tests))
    return Table("every-test", "ASR by where the trigger is placed", columns, rows)


def class_table(groups: Sequence[tuple[str, Group]]) -> Table:
    """Return the IoU of every class on untouched scenes."""
    first = groups[0][1].runs[0].record
    rows: list[tuple[Cell, ...]] = []
    for index, entry in enumerate(first.data.classes):
        cells = (figure(g.measure("scores", "benign", "class_iou", index)) for _, g in groups)
        clean = groups[0][1].measure("controls", "clean_model", "class_iou", index)
        rows.append((told(entry.name), figure(clean), *cells))
    columns = ("class", "clean model", *(name or network_name(first) for name, _ in groups))
    return Table("classes", "IoU of each class on untouched scenes", columns, tuple(rows))


def claim_table(cells: Sequence[ClaimCell], naming: Naming) -> Table:
    """Return the paper's numbers beside the measured ones; what all share is in the note."""
    labels = dict.fromkeys(name for cell in cells for name in cell.labels)
    names = [name for name in labels if len({cell.labels.get(name) for cell in cells}) > 1]
    shared = naming.label(cells[0].labels, [name for name in labels if name not in names])
    rows: list[tuple[Cell, ...]] = []
    for cell in cells:
        found = cell.measured
        origin = Origin(cell.runs, f"{cell.metric} {cell.test or ''}".strip())
        mean = found.mean if found else None
        gap = None if mean is None or cell.paper is None else mean - cell.paper
        rows.append((
            told(cell.table), *axis_cells(naming, cell.labels, names), told(cell.metric),
            Cell(naming.role(cell.test), cell.test) if cell.test else told(None),
            Cell(share(cell.paper), cell.paper),
            Cell(share(mean), mean, origin if cell.runs else None),
            _interval(found.low, found.high) if found else _interval(None, None),
            told(found.num_seeds if found else 0), Cell(_signed(gap), gap),
            told(cell.doubted or ""),
        ))  # fmt: skip
    columns = (
        "table", *map(axis_name, names), "metric", "test", "paper", "measured", INTERVAL, "seeds",
        "difference", "never counted because",
    )  # fmt: skip
    note = "The paper’s numbers belong to its own scenes and networks; only orderings are claims."
    note += f" All are of: {shared}. {CUT}" if shared else f" {CUT}"
    return Table("cells", "The paper’s numbers beside ours", columns, tuple(rows), note)


def run_table(runs: Sequence[Run]) -> Table:
    """Return the origin of every run: file, seed, digests, commit and versions."""
    rows: list[tuple[Cell, ...]] = []
    for run in runs:
        made = run.record.environment
        versions = ", ".join(f"{name} {number}" for name, number in made.packages.items())
        data = run.record.data
        rows.append((
            told(run.key), told(run.seed), told(run.shown_as), _digest(run.digest),
            _digest(made.commit), told(f"segdoor {made.segdoor}, Python {made.python}, {versions}"),
            told(f"{made.device}, {made.precision}"), _digest(data.train_digest),
            _digest(data.test_digest), _minutes(sum(run.record.seconds.values())),
        ))  # fmt: skip
    columns = (
        "run", "seed", "record", "SHA-256 of it", "commit", "versions", "machine",
        "training scenes", "test scenes", "minutes",
    )  # fmt: skip
    return Table("runs", "Runs behind this page", columns, tuple(rows), stacked=True)


def absent_table(source: Source) -> Table:
    """Return the runs of a study without a record, and why."""
    rows = tuple(
        (told(run.key), told(run.seed), told(run.state), told(why)) for run, why in source.absent
    )
    columns = ("run", "seed", "state", "why")
    return Table("absent", "Missing runs", columns, rows, stacked=True)


def axis_cells(
    naming: Naming, axes: dict[str, AxisValue], names: Sequence[str]
) -> tuple[Cell, ...]:
    """Return the values on some axes."""
    return tuple(Cell(naming.value(name, axes), axes.get(name)) for name in names)


def paper_cell(source: Source, group: Group, metric: str, test: str | None) -> Cell:
    """Return the paper's number for a group of runs, if it has one."""
    found = paper_number(source, group, metric, test)
    if found is None:
        return told(None)
    mark = "†" if found.doubted else ""
    return Cell(share(found.paper) + mark, found.paper)


def paper_number(source: Source, group: Group, metric: str, test: str | None) -> ClaimCell | None:
    """Return the cell of the paper that a group of runs was compared with."""
    keys = set(group.keys)
    for cell in source.study.cells if source.study else ():
        same = cell.metric == metric and cell.test == test and keys & set(cell.runs)
        if same and _is_of(cell, group):
            return cell
    return None


def _is_of(cell: ClaimCell, group: Group) -> bool:
    """Tell whether a cell is of the attack itself, not of its clean model or after a repair."""
    if str(cell.labels.get("variation", "")).startswith(("prune", "finetune")):
        return False
    return all(group.axes.get(name, value) == value for name, value in cell.labels.items())


def leading(source: Source) -> tuple[tuple[str, Group], ...]:
    """Return one group for each value on the first axis, equal on the others.

    They lie where most values of the first axis were run; of several such positions, where the
    values are most common, and then the last: most poison.
    """
    first = leading_axis(source.varied)
    others = [name for name in source.varied if name != first]

    def fitting(place: Group) -> dict[AxisValue, Group]:
        return {
            group.axes.get(first) if first else None: group
            for group in source.groups
            if all(group.axes.get(name) in {None, place.axes.get(name)} for name in others)
        }

    def usual(place: Group) -> tuple[int, int]:
        shared = (g.axes.get(n) == place.axes.get(n) for g in source.groups for n in others)
        return len(fitting(place)), sum(shared)

    chosen = fitting(max(reversed(source.groups), key=usual))
    return tuple(
        (source.naming.label(group.axes, source.varied), group) for group in chosen.values()
    )


def leading_axis(names: Sequence[str]) -> str | None:
    """Return the axis that separates curves: the method if it varies."""
    return "method" if "method" in names else next(iter(names), None)


def _interval(low: Figure, high: Figure, origin: Origin | None = None) -> Cell:
    ends = None if low is None or high is None else Interval(low, high).of_shares
    return Cell(interval(ends), ends, origin)


def _digest(value: str | None) -> Cell:
    return Cell("–" if value is None else value[:10], value)


def _minutes(seconds: float) -> Cell:
    return Cell(f"{seconds / 60:.1f}", seconds / 60)


def _signed(value: Figure) -> str:
    return "–" if value is None else f"{value:+.3f}"
