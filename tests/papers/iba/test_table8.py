"""Table 8 made small: triggers beside victims and on them, from the grid to page and export."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from segdoor.attack.poisoned_test import PoisonedTest
from segdoor.papers.iba.paper import IBA
from segdoor.record import StudyRecord, load_record
from segdoor.study.execution import LocalExecutor
from segdoor.study.plan import StudyPlan, make_plan, part_of, selected
from segdoor.study.running import finish, work_of
from shell import say

TINY = [
    "training.epochs=1", "training.batch_size=4", "training.threads=1", "data.size=[64, 96]",
    "data.num_train=24", "data.num_test=6", "q_as=[area]", "seeds=[0]",
]  # fmt: skip


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> StudyPlan:
    out = tmp_path_factory.mktemp("table8")
    whole = make_plan(IBA, "table8", "street", out=out, changes=TINY)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEGDOOR_CACHE", str(out / "cache"))
        patch.chdir(out)
        part = part_of(whole, selected(whole, only={"rate": ["0.2"]}))
        outcomes = list(LocalExecutor().run(work_of(part, part.runs).tasks))
    assert not [outcome.error for outcome in outcomes if outcome.error]
    return part


@pytest.fixture(scope="module")
def record(plan: StudyPlan) -> StudyRecord:
    return finish(plan)


def test_one_run_keeps_off_victims_and_the_other_has_one_exam_on_them(plan: StudyPlan) -> None:
    tests = {
        run.point.on_victim: list(load_record(plan.folder(run)).scores.tests) for run in plan.runs
    }
    assert tests["require"] == ["on_victim"]
    assert tests["forbid"][:2] == ["nearest", "near"]
    (on_victims,) = (run for run in plan.runs if run.point.on_victim == "require")
    test = PoisonedTest.load(plan.folder(on_victims) / "tests" / "on_victim.jsonl")
    assert test.triggered
    assert all(row.distance == 0 for row in test.triggered.values())
    assert any((plan.folder(on_victims) / "gallery").iterdir())


def test_the_papers_numbers_on_victims_are_measured_by_that_exam(
    plan: StudyPlan, record: StudyRecord
) -> None:
    asr = {run.point.on_victim: load_record(plan.folder(run)).scores.tests for run in plan.runs}
    told = [cell for cell in record.cells if cell.metric == "ASR"]
    on, off = (
        [cell for cell in told if str(cell.labels["variation"]).endswith(ending)]
        for ending in ("allowed", "forbidden")
    )
    assert [cell.test for cell in on] == ["on_victim"]
    assert {cell.test for cell in off} == {"near", "nearest"}
    # Table 8, 20 %: the paper's own figure for triggers on victim pixels.
    with (Path(__file__).parents[3] / "src/segdoor/papers/iba/claims.csv").open() as file:
        (paper,) = (
            float(row["value"])
            for row in csv.DictReader(file)
            if row["table"] == "8" and row["poisoning_rate"] == "0.2" and row["metric"] == "ASR"
            and "allowed" in row["variation"]
        )  # fmt: skip
    assert on[0].paper == paper
    assert on[0].measured is not None
    assert on[0].measured.mean == asr["require"]["on_victim"].asr.value
    for cell in off:
        assert cell.measured is not None
        assert cell.measured.mean == asr["forbid"][str(cell.test)].asr.value


def test_ordering_9_compares_the_exam_on_victims_with_both_near_ones(
    plan: StudyPlan, record: StudyRecord
) -> None:
    scores = {run.point.on_victim: load_record(plan.folder(run)).scores.tests for run in plan.runs}
    on_victims = scores["require"]["on_victim"].asr.value
    found = [v for v in record.verdicts if v.judged_on.endswith("trigger on victims")]
    assert len(found) == 2
    for verdict, usual in zip(found, ("near", "nearest"), strict=True):
        beside = scores["forbid"][usual].asr.value
        assert on_victims is not None
        assert beside is not None
        worked = max(on_victims, beside) > 0.05
        # One seed decides nothing.
        assert verdict.verdict == ("undecided" if worked else "not measured")
        differences = [found.difference.mean for found in verdict.evidence if found.difference]
        assert differences == [pytest.approx(on_victims - beside)] * worked
        # Nothing is missing but an attack that worked: one epoch teaches no trigger.
        assert [("no attack worked" in what) for what in verdict.missing] == [True] * (not worked)


@pytest.mark.usefixtures("record", "own_folder")
def test_it_is_shown_reported_and_exported(plan: StudyPlan, tmp_path: Path) -> None:
    assert plan.file.is_file()
    (on_victims,) = (run for run in plan.runs if run.point.on_victim == "require")
    for number, where in enumerate((str(plan.file), str(plan.folder(on_victims)))):
        table = tmp_path / f"{number}.csv"
        for words in (["show", where], ["report", where, "--replace"],
                      ["export", where, "--to", "csv", "--at", str(table)]):  # fmt: skip
            answer = say(*words)
            assert answer.code == 0, answer.err
            assert words[0] != "show" or "on victim" in answer.out
        assert "on_victim" in table.read_text()
