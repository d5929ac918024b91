"""The demonstration keeps what the README says of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from segdoor.experiment.demo import demo_config
from segdoor.papers.iba.run import run_experiment

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_demonstration_holds_its_figures(seed: int, tmp_path: Path) -> None:
    record = run_experiment(demo_config(seed), out=tmp_path / "demo")
    clean = record.controls.clean_model
    assert clean is not None
    assert clean.class_iou[4] >= 0.70
    assert abs(record.controls.cba_difference) <= 0.03
    for name in ("nearest", "near", "anywhere"):
        test = record.scores.tests[name]
        assert test.asr.value >= 0.80
        assert test.asr_without_trigger <= 0.10
        assert test.asr_clean_model <= 0.10
        assert test.asr_other_trigger <= 0.30
    others = record.controls.other_triggers
    assert others is not None
    assert others.worst <= 0.30
