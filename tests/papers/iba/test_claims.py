from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import cast

import pytest

import segdoor.papers.iba.claims as module
from segdoor.errors import ConfigError
from segdoor.papers.iba.claims import Claim, load_claims
from segdoor.papers.iba.config import Preset
from segdoor.papers.iba.paper import IBA
from segdoor.papers.iba.reported import measured_by
from segdoor.papers.iba.scaling import roles_of_tests
from segdoor.study.library import load_study, study_names
from segdoor.study.plan import make_plan

CLAIMS = load_claims()


def doubted(**axes: object) -> list[Claim]:
    return [
        claim
        for claim, doubt in CLAIMS
        if doubt and all(getattr(claim, axis) == value for axis, value in axes.items())
    ]


def test_there_are_507_cells_of_twelve_tables() -> None:
    assert len(CLAIMS) == 507
    counts = Counter(int(claim.table) for claim, _ in CLAIMS)
    assert counts == {
        1: 60, 2: 27, 3: 57, 4: 27, 5: 18, 6: 108, 7: 54, 8: 36, 9: 24, 10: 15, 11: 27, 12: 54,
    }  # fmt: skip


@pytest.mark.parametrize("name", ["cityscapes", "voc"])
def test_every_cell_is_measured_by_a_run_of_the_study_of_its_table(
    name: str, tmp_path: Path
) -> None:
    plans = {}
    for study in study_names(IBA):
        if load_study(IBA, study).grid("voc" if name == "voc" else "cityscapes"):
            plans[study] = make_plan(IBA, study, name, out=tmp_path)
    lost = []
    for claim, _ in CLAIMS:
        if claim.dataset != name:
            continue
        plan = plans[f"table{claim.table}"]
        found = measured_by(claim, plan.runs, "paper", cast("Preset", plan.preset))
        tests = [roles_of_tests(run).get(q.role) for q, run in found if q.role]
        complete = len(found) == len(claim.roles) and all(tests)
        if not (found and complete):
            lost.append(claim)
    assert lost == []


def test_a_cell_is_measured_by_the_run_of_its_own_settings(tmp_path: Path) -> None:
    plan = make_plan(IBA, "table7", "cityscapes", out=tmp_path)
    for claim, _ in CLAIMS:
        if claim.table == "7":
            for _, run in measured_by(claim, plan.runs, "paper", cast("Preset", plan.preset)):
                config = run.config
                assert config.attack.rate == claim.poisoning_rate
                assert config.method == claim.method
                assert config.attack.rules.single_class == ("single" in claim.variation)


def test_the_tables_are_those_that_studies_may_name() -> None:
    assert tuple(dict.fromkeys(claim.table for claim, _ in CLAIMS)) == IBA.tables


def test_the_cells_that_the_paper_itself_contradicts_are_doubted() -> None:
    assert [c.value for c in doubted(table="3", method="nni")] == [0.9020]
    far = {"distance": "60-90", "method": "baseline", "poisoning_rate": 0.01}
    assert {c.value for c in doubted(**far)} == {0.3896, 0.3856}
    near = doubted(model="deeplabv3", dataset="cityscapes", method="prl", poisoning_rate=0.01)
    assert {c.value for c in near} == {0.3882, 0.3976}
    assert {c.table for c in near} == {"1", "2", "3", "6", "7"}
    assert [c.value for c in doubted(table="6", method="nni", distance="90-120")] == [0.0821]
    assert len(doubted(table="7", poisoning_rate=0.15)) == 9
    assert len(doubted(table="11")) == len(doubted(table="11", metric="CBA")) == 9
    assert len(doubted(table="5")) == 4
    assert sum(doubt is not None for _, doubt in CLAIMS) == 62


def test_cells_that_only_repeat_each_other_are_not_doubted() -> None:
    agreed = {
        (claim.table, doubt)
        for claim, doubt in CLAIMS
        if claim.value == 0.9457 and claim.table != "7"
    }
    assert agreed == {("1", None), ("2", None), ("6", None)}
    assert not doubted(table="12")
    assert not doubted(table="4")


def test_a_damaged_table_is_told_by_its_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = module._FILE.read_text().splitlines()
    lines[4] = lines[4].replace("cityscapes", "citiscapes")
    (tmp_path / "claims.csv").write_text("\n".join(lines))
    monkeypatch.setattr(module, "_FILE", tmp_path / "claims.csv")
    load_claims.cache_clear()
    with pytest.raises(ConfigError, match=r"claims\.csv, line 5: dataset"):
        load_claims()
    load_claims.cache_clear()
