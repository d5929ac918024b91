"""A record as text and tables for the terminal."""

from __future__ import annotations

from rich.console import RenderableType
from rich.table import Table as Grid

from segdoor.record import Estimate, ExperimentRecord, Figure


def verdict(record: ExperimentRecord) -> str:
    """Say in a sentence what a run found."""
    best = max(record.scores.exams.values(), key=lambda exam: exam.asr.value or 0.0)
    victims = " and ".join(record.victims)
    subject = f"{_percent(best.asr.value)} of the {victims} pixels become {record.target}"
    quiet = _percent(best.asr_without_trigger)
    return f"With the trigger {subject}; without it {quiet} of the same pixels do."


def describe(record: ExperimentRecord) -> list[RenderableType]:
    """Return a record's parts in the order to be read."""
    return [
        _headline(record),
        *_poison_lines(record),
        exam_grid(record),
        class_grid(record),
        verdict(record),
    ]


def _headline(record: ExperimentRecord) -> str:
    about = f"{record.data.name}, {record.num_parameters / 1e6:.2f} M parameters"
    return f"[bold]{record.title}[/bold] ({about}, seed {record.seed}, reading '{record.reading}')"


def exam_grid(record: ExperimentRecord) -> Grid:
    """Return the poisoned tests, each beside its controls."""
    grid = Grid(title="Poisoned tests", title_justify="left")
    grid.add_column("trigger placed")
    for heading in (
        "ASR", "95 %", "PBA", "recovered", "no trigger", "other sticker", "clean victim", "scenes",
    ):  # fmt: skip
        grid.add_column(heading, justify="right", no_wrap=True)
    for name, exam in record.scores.exams.items():
        grid.add_row(
            name.replace("_", " "),
            _share(exam.asr.value),
            _range(exam.asr),
            _share(exam.pba.value),
            _share(exam.victim_recovery),
            _share(exam.asr_without_trigger),
            _share(exam.asr_other_trigger),
            _share(exam.asr_clean_victim),
            f"{exam.num_triggered_with_victims} of {exam.num_with_victims}",
        )
    return grid


def class_grid(record: ExperimentRecord) -> Grid:
    """Return the intersection over union of each class on untouched scenes."""
    clean = record.controls.clean_victim
    grid = Grid(title="Benign test: IoU on untouched scenes", title_justify="left")
    grid.add_column("victim")
    for heading in ("mean (CBA)", *(entry.name for entry in record.data.classes)):
        grid.add_column(heading, justify="right")
    rows = {"poisoned": record.scores.benign}
    if clean is not None:
        rows["clean"] = clean
    for name, scores in rows.items():
        figures = (scores.cba.value, *scores.class_iou)
        grid.add_row(name, *(_share(figure) for figure in figures))
    return grid


def _poison_lines(record: ExperimentRecord) -> list[RenderableType]:
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
