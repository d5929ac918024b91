"""Where a study's record goes, and which runs belong to it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from segdoor.errors import ConfigError
from segdoor.study.library import label_of, load_preset
from segdoor.study.plan import StudyPlan, make_plan, selected

FILES = Path(__file__).parents[2] / "studies"


@pytest.fixture(autouse=True)
def _place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def plan_of(study: str = "figure1", preset: str = "street", *changes: str,
            seeds: Sequence[int] = ()) -> StudyPlan:  # fmt: skip
    return make_plan(study, preset, out=Path("out"), seeds=seeds, changes=changes)


def name_of(study: str = "figure1", preset: str = "street", *changes: str) -> str:
    return plan_of(study, preset, *changes).file.name


def test_what_comes_along_has_its_own_name() -> None:
    assert name_of() == "figure1.street.study.json"
    # A value that the file has already changes nothing.
    epochs = load_preset("street").training.epochs
    assert name_of("figure1", "street", f"training.epochs={epochs}") == "figure1.street.study.json"
    rooted = make_plan("figure1", "camvid", out=Path("out"), root=Path("elsewhere"))
    assert rooted.file.name == "figure1.camvid.study.json"


def test_a_file_of_ones_own_never_writes_over_the_record_of_one_that_comes_along() -> None:
    Path("sub").mkdir()
    text = (FILES / "figure1.yaml").read_text()
    Path("sub/figure1.yaml").write_text(text)
    assert name_of("sub/figure1.yaml") == "figure1.street.study.json"
    Path("sub/figure1.yaml").write_text(text.replace("[0.15]", "[0.1]"))
    assert label_of("sub/figure1.yaml") == "figure1"
    assert name_of("sub/figure1.yaml") != name_of()
    Path("figure1.yaml").write_text(text.replace("[0.15]", "[0.05]"))
    assert len({name_of(), name_of("sub/figure1.yaml"), name_of("./figure1.yaml")}) == 3


def test_of_changes_the_outcome_counts_and_not_the_words() -> None:
    one, two = "training.epochs=1", "training.epochs=2"
    assert name_of("figure1", "street", one, two) == name_of("figure1", "street", two)
    assert name_of("figure1", "street", one, two) != name_of("figure1", "street", two, one)


def test_other_start_weights_are_another_file_and_moved_ones_are_not() -> None:
    for name, content in (("a.pth", b"one"), ("b.pth", b"one"), ("c.pth", b"other")):
        Path(name).write_bytes(content)

    def named(weights: str) -> str:
        return make_plan("figure1", "cityscapes", out=Path("out"), backbone=Path(weights)).file.name

    assert named("a.pth") == named("b.pth") != named("c.pth")


def test_runs_on_seeds_asked_for_earlier_stay_part_of_the_study() -> None:
    before = plan_of()
    asked = plan_of(seeds=[7])
    done = next(run for run in asked.runs if run.seed == 7)
    folder = asked.folder(done)
    folder.mkdir(parents=True)
    # One that was only begun is nobody's yet.
    assert plan_of().runs == before.runs
    (folder / "record.json").touch()
    after = plan_of()
    assert after.seeds == (*before.seeds, 7)
    assert [run.key for run in after.runs if run.seed == 7] == [done.key]
    assert len(after.runs) == len(before.runs) + 1
    assert after.file == asked.file


def test_values_of_an_axis_that_a_study_does_not_vary_are_refused_with_a_remedy(
    tmp_path: Path,
) -> None:
    plan = make_plan("figure1", "street", out=tmp_path)
    with pytest.raises(ConfigError, match="Leave it out: this study has no q_as"):
        selected(plan, only={"q_as": ["area"]})
