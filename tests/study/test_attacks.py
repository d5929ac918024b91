"""The studies of all attacks, and of what pixel random labelling writes."""

from __future__ import annotations

from pathlib import Path

from segdoor.attack.labels.registry import LABELS
from segdoor.attack.triggers.registry import TRIGGERS
from segdoor.papers.registry import paper_of
from segdoor.study.plan import StudyPlan, make_plan

_WITHOUT_INSTANCES = {"instance"}
"""The painted scenes have no instances."""


def planned(study: str, out: Path) -> StudyPlan:
    return make_plan(paper_of(study), study, "street", out=out)


def test_every_trigger_with_hide_and_every_label_change_with_a_sticker_is_a_row(
    tmp_path: Path,
) -> None:
    runs = planned("attacks", tmp_path).runs
    rows = [run.config.attack for run in runs if run.seed == 0]
    assert len({run.key for run in runs}) == len(runs) == 3 * len(rows)
    shown = {(attack.trigger.kind, change.kind) for attack in rows for change in attack.labels}
    assert {trigger for trigger, change in shown if change == "hide"} == {*TRIGGERS.known}
    changes = {change for trigger, change in shown if trigger == "sticker"}
    assert changes == {*LABELS.known} - _WITHOUT_INSTANCES
    assert len({attack.rate for attack in rows}) == 1
    assert all(run.config.controls.clean_model for run in runs)


def test_four_labels_are_compared_with_as_many_pixels(tmp_path: Path) -> None:
    runs = [run for run in planned("label_choice", tmp_path).runs if run.seed == 0]
    scattered = [run.config.attack.labels[1].model_dump() for run in runs]
    pools = [change["pool"] for change in scattered]
    assert pools == 2 * ["ignore", "class:road", "any", "scene"]
    # Q of the paper, scaled with the area.
    assert {change["num_pixels"] for change in scattered} == {6}
