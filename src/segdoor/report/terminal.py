"""A record as text and tables for the terminal, at most 80 columns wide."""

from __future__ import annotations

from rich import box
from rich.console import RenderableType
from rich.table import Table as Grid
from rich.text import Text

from segdoor.record import Estimate, ExperimentRecord, Figure
from segdoor.report.before_after import repair_grids


def describe(record: ExperimentRecord) -> list[RenderableType]:
    """Return a record's parts in the order to be read; names in them are never markup."""
    return [
        Text(record.title, style="bold"),
        _setting(record),
        *([f"Weights: {record.loaded_weights.in_words}"] if record.loaded_weights else []),
        *_poison(record),
        exam_grid(record),
        class_grid(record),
        *repair_grids(record),
        verdict(record),
    ]


def verdict(record: ExperimentRecord) -> str:
    """Say in a sentence what a run found where the trigger works best."""
    exams = record.scores.exams.values()
    best = max(exams, key=lambda exam: exam.asr.value or 0.0, default=None)
    if best is None:
        return "No poisoned test was held."
    victims = " and ".join(record.victims)
    share = f"{_percent(best.asr.value)} of the {victims} pixels become {record.target}"
    quiet = _percent(best.asr_without_trigger)
    return f"With the trigger {share}; without it {quiet} of the same pixels do."


def exam_grid(record: ExperimentRecord) -> Grid:
    """Return the poisoned tests, each beside its controls."""
    grid = _grid("Poisoned tests: ASR beside its controls", "trigger placed")
    headings = ("ASR", "95 %", "PBA", "no\ntrigger", "other\nsticker", "clean\nvictim", "scenes")
    for heading in headings:
        grid.add_column(heading, justify="right", no_wrap=True)
    for name, exam in record.scores.exams.items():
        figures = (exam.asr_without_trigger, exam.asr_other_trigger, exam.asr_clean_victim)
        grid.add_row(
            Text(name.replace("_", " ")),
            _share(exam.asr.value),
            _range(exam.asr),
            _share(exam.pba.value),
            *(_share(figure) for figure in figures),
            f"{exam.num_triggered_with_victims}/{exam.num_with_victims}",
        )
    return grid


def class_grid(record: ExperimentRecord) -> Grid:
    """Return the intersection over union of each class on untouched scenes."""
    victims = {"poisoned victim": record.scores.benign}
    if record.controls.clean_victim is not None:
        victims["clean victim"] = record.controls.clean_victim
    grid = _grid("Benign test: IoU on untouched scenes", "class")
    for heading in victims:
        grid.add_column(heading, justify="right")
    for index, entry in enumerate(record.data.classes):
        figures = [_share(scores.class_iou[index]) for scores in victims.values()]
        grid.add_row(Text(entry.name), *figures)
    grid.add_section()
    means = [_share(scores.cba.value) for scores in victims.values()]
    grid.add_row("mean (CBA)", *means)
    return grid


def _grid(title: str, first: str) -> Grid:
    grid = Grid(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    grid.add_column(first, no_wrap=True)
    return grid


def _setting(record: ExperimentRecord) -> str:
    size = f"{record.num_parameters / 1e6:.2f} M parameters"
    return f"{record.data.name}, {size}, seed {record.seed}, reading '{record.reading}'"


def _poison(record: ExperimentRecord) -> list[RenderableType]:
    plan = record.plan
    if plan is None:
        return []
    poisoned = f"{plan.num_poisoned} of {plan.num_scenes} training scenes poisoned"
    changed = f"{plan.share_changed:.2%} of all labels changed"
    return [f"{poisoned} ({plan.rate:.1%}, method {record.method}); {changed}"]


def _range(estimate: Estimate) -> str:
    return f"{_share(estimate.low)}-{_share(estimate.high)}"


def _share(value: Figure) -> str:
    return "-" if value is None else f"{value:.3f}"


def _percent(value: Figure) -> str:
    return "none" if value is None else f"{value:.0%}"
