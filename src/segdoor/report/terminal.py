"""A record as text and tables for the terminal, at most 80 columns wide."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import RenderableType
from rich.table import Table as Grid
from rich.text import Text

from segdoor.record import Estimate, ExperimentRecord, StudyRecord
from segdoor.report.before_after import new_grid, repair_grids, share
from segdoor.report.content import INTERVAL, Table
from segdoor.report.defense_grids import describe_defenses
from segdoor.report.metrics import headings, metrics_of
from segdoor.report.source import Source
from segdoor.report.summary import study_verdict
from segdoor.report.tables import claim_table, headline_table
from segdoor.report.verdicts import numbers_of, verdicts_of
from segdoor.report.words import CUT, attack_facts, axis_name, network_name, verdict


def describe(record: ExperimentRecord) -> list[RenderableType]:
    """Return a record's parts in the order to be read; names in them are never markup."""
    return [
        Text(record.title, style="bold"),
        _setting(record),
        *(f"{what}: {told}" for what, told in attack_facts(record.config, record)),
        *_mixed(record),
        *([f"Weights: {record.loaded_weights.in_words}"] if record.loaded_weights else []),
        *(Text(f"Remark: {remark}") for remark in record.remarks),
        *_poison(record),
        grid_of_tests(record),
        *metric_grids(record),
        class_grid(record),
        *repair_grids(record),
        verdict(record),
    ]


def describe_study(source: Source) -> list[RenderableType]:
    """Return a study's parts in the order to be read: figures, the paper's, verdicts."""
    study = source.study
    assert study is not None
    shown = (
        *map(axis_name, source.varied), "ASR", INTERVAL, "ASR, paper",
        "no trigger", "another trigger", "clean model", "PBA", "CBA",
    )  # fmt: skip
    return [
        Text(study.title, style="bold"),
        f"{study.name}, preset {study.preset}, reading '{study.reading}'",
        *([f"In the paper's units: {study.scaled_in_words}"] if study.scaled else []),
        *([_grid_of(headline_table(source), shown)] if source.groups else []),
        *_claims(source, study),
        *([CUT] if source.groups or study.cells else []),
        *(f"failed: {run.key}: {why}" for run, why in source.absent if run.state == "failed"),
        *describe_defenses(source),
        study_verdict(source, study),
    ]


def grid_of_tests(record: ExperimentRecord) -> Grid:
    """Return the poisoned tests, each beside its controls."""
    grid = new_grid("Poisoned tests: ASR beside its controls", "trigger placed")
    headings = ("ASR", "95 %", "PBA", "no\ntrigger", "another\ntrigger", "clean\nmodel", "scenes")
    for heading in headings:
        grid.add_column(heading, justify="right", no_wrap=True)
    for name, test in record.scores.tests.items():
        figures = (test.asr_without_trigger, test.asr_other_trigger, test.asr_clean_model)
        grid.add_row(
            Text(name.replace("_", " ")),
            share(test.asr.value),
            _range(test.asr),
            share(test.pba.value),
            *(share(figure) for figure in figures),
            f"{test.num_triggered_with_victims}/{test.num_with_victims}",
        )
    return grid


def metric_grids(record: ExperimentRecord) -> list[Grid]:
    """Return a table for each metric without a field of its own, beside its controls."""
    grids: list[Grid] = []
    for name, title in headings(metrics_of([record])).items():
        grid = new_grid(f"Poisoned tests: {title} beside controls", "trigger placed")
        for heading in ("share", "95 %", "no\ntrigger", "another\ntrigger", "clean\nmodel", "of"):
            grid.add_column(heading, justify="right", no_wrap=True)
        for test, scores in record.scores.tests.items():
            found = scores.metrics.get(name)
            if found is not None:
                figures = (found.without_trigger, found.other_trigger, found.clean_model)
                grid.add_row(
                    Text(test.replace("_", " ")),
                    share(found.value.value),
                    _range(found.value),
                    *(share(figure) for figure in figures),
                    "-" if found.denominator is None else str(found.denominator),
                )
        grids.append(grid)
    return grids


def class_grid(record: ExperimentRecord) -> Grid:
    """Return the intersection over union of each class on untouched scenes."""
    models = {network_name(record): record.scores.benign}
    if record.controls.clean_model is not None:
        models["clean model"] = record.controls.clean_model
    grid = new_grid("Benign test: IoU on untouched scenes", "class")
    for heading in models:
        grid.add_column(heading, justify="right")
    for index, entry in enumerate(record.data.classes):
        figures = [share(scores.class_iou[index]) for scores in models.values()]
        grid.add_row(Text(entry.name), *figures)
    grid.add_section()
    means = [share(scores.cba.value) for scores in models.values()]
    grid.add_row("mean (CBA)", *means)
    return grid


def _grid_of(table: Table, shown: Sequence[str]) -> Grid:
    """Return some columns of a page's table."""
    kept = [table.columns.index(name) for name in shown if name in table.columns]
    grid = Grid(title=Text(table.title), title_justify="left", box=box.SIMPLE_HEAD)
    for place in kept:
        cells = [row[place] for row in table.rows]
        right = all(isinstance(cell.value, int | float | None) for cell in cells)
        grid.add_column(
            Text(table.columns[place]), justify="right" if right else "left", overflow="fold"
        )
    for row in table.rows:
        grid.add_row(*(Text(row[place].text) for place in kept))
    return grid


def _claims(source: Source, study: StudyRecord) -> list[RenderableType]:
    parts: list[RenderableType] = []
    if study.cells:
        table = claim_table(study.cells, source.naming)
        hidden = {"table", "seeds", "difference", "never counted because"}
        parts.append(_grid_of(table, [name for name in table.columns if name not in hidden]))
    for entry in verdicts_of(source):
        reading = f" (reading '{entry.reading}')" if entry.reading != study.reading else ""
        judged = f"claim {entry.number} on {entry.judged_on}, {entry.statement}{reading}"
        parts.append(f"{entry.verdict}: {judged}")
        parts += [f"    {entry.lacks}"] if entry.missing else []
        for found in entry.evidence:
            parts.append(f"    {found.outcome}: {found.statement}")
            parts.append(f"        {numbers_of(found)}")
    return parts


def _setting(record: ExperimentRecord) -> str:
    size = f"{record.num_parameters / 1e6:.2f} M parameters"
    return f"{record.data.name}, {size}, seed {record.seed}, reading '{record.reading}'"


def _mixed(record: ExperimentRecord) -> list[str]:
    height = record.data.typical_height
    if height is None:
        return []
    return [f"Scenes of several heights: lengths not given are those for the median, {height} rows"]


def _poison(record: ExperimentRecord) -> list[RenderableType]:
    plan = record.plan
    if plan is None:
        return []
    poisoned = f"{plan.num_poisoned} of {plan.num_scenes} training scenes poisoned"
    changed = f"{plan.share_changed:.2%} of all labels changed"
    return [f"{poisoned} ({plan.rate:.1%}, method {record.method}); {changed}"]


def _range(estimate: Estimate) -> str:
    return f"{share(estimate.low)}-{share(estimate.high)}"
