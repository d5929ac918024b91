"""A record as text and tables for the terminal, at most 80 columns wide."""

from __future__ import annotations

from collections.abc import Mapping

from rich.console import RenderableType
from rich.table import Table as Grid
from rich.text import Text

from segdoor.record import ExperimentRecord, PoisonedTestScores
from segdoor.report.before_after import new_grid, repair_grids, share, share_range
from segdoor.report.controls import other_triggers
from segdoor.report.metrics import headings, metrics_of
from segdoor.report.words import attack_facts, name_of_test, network_name, verdict
from segdoor.report.wrapping import lines

LEGEND = (
    "ASR: share of the victim pixels that become the target class. The trigger is the",
    "cause only if ASR is well above all controls: no trigger, another trigger, and",
    "the clean model. CBA and PBA: mean IoU on clean and on poisoned test scenes.",
)
"""What the columns of the tables mean."""


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
        "",
        grid_of_tests(record),
        *([*lines(others), ""] if (others := other_triggers(record)) else []),
        *metric_grids(record),
        class_grid(record),
        *repair_grids(record),
        *LEGEND,
        "",
        *lines(verdict(record)),
    ]


def grid_of_tests(record: ExperimentRecord) -> Grid:
    """Return the poisoned tests, each beside its controls."""
    grid = new_grid("Poisoned tests: ASR beside its controls", "trigger placed")
    headings = ("ASR", "95 %", "PBA", "no\ntrigger", "another\ntrigger", "clean\nmodel", "scenes")
    for heading in headings:
        grid.add_column(heading, justify="right", no_wrap=True)
    tests = record.scores.tests
    for name, test in tests.items():
        figures = (test.asr_without_trigger, test.asr_other_trigger, test.asr_clean_model)
        grid.add_row(
            Text(_placed(name, tests)),
            share(test.asr.value),
            share_range(test.asr),
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
                    Text(_placed(test, record.scores.tests)),
                    share(found.value.value),
                    share_range(found.value),
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


def _placed(name: str, tests: Mapping[str, PoisonedTestScores]) -> str:
    """Return where a test places the trigger, in letters that any terminal has."""
    return name_of_test(name, tests).replace("far, ", "far ").replace("–", "-")


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
