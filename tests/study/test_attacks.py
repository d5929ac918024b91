"""The study of every kind of trigger."""

from __future__ import annotations

from pathlib import Path

from segdoor.attack.triggers.registry import TRIGGERS
from segdoor.papers.registry import paper_of
from segdoor.study.plan import make_plan


def test_it_has_every_kind_of_trigger(tmp_path: Path) -> None:
    plan = make_plan(paper_of("attacks"), "attacks", "street", out=tmp_path)
    kinds = {run.config.attack.trigger.kind for run in plan.runs}
    assert kinds == set(TRIGGERS.known)
    assert len({run.key for run in plan.runs}) == len(plan.runs)
