"""Where a study's record goes, and which runs belong to it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from segdoor.attack.labels.hide import Hide
from segdoor.attack.labels.scatter import Scatter
from segdoor.data.pictures import write_image
from segdoor.errors import ConfigError, SegdoorError
from segdoor.papers.iba.paper import IBA
from segdoor.study.library import label_of, load_preset
from segdoor.study.plan import StudyPlan, make_plan, selected

FILES = IBA.files


@pytest.fixture(autouse=True)
def _place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def plan_of(study: str = "figure1", preset: str = "street", *changes: str,
            seeds: Sequence[int] = ()) -> StudyPlan:  # fmt: skip
    return make_plan(IBA, study, preset, out=Path("out"), seeds=seeds, changes=changes)


def name_of(study: str = "figure1", preset: str = "street", *changes: str) -> str:
    return plan_of(study, preset, *changes).file.name


def test_what_comes_along_has_its_own_name() -> None:
    assert name_of() == "figure1.street.study.json"
    # A value that the file has already changes nothing.
    epochs = load_preset(IBA, "street").training.epochs
    assert name_of("figure1", "street", f"training.epochs={epochs}") == "figure1.street.study.json"
    rooted = make_plan(IBA, "figure1", "camvid", out=Path("out"), root=Path("elsewhere"))
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
        return make_plan(
            IBA, "figure1", "cityscapes", out=Path("out"), backbone=Path(weights)
        ).file.name

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
    plan = make_plan(IBA, "figure1", "street", out=tmp_path)
    with pytest.raises(ConfigError, match="Leave it out: this study has no q_as"):
        selected(plan, only={"q_as": ["area"]})


def pictures() -> None:
    """Write a picture, a copy of it elsewhere, and another one of the same size."""
    Path("moved").mkdir()
    for place, colour in (("logo.png", 10), ("moved/other-name.png", 10), ("other.png", 11)):
        write_image(Path(place), np.full((6, 6, 3), colour, np.uint8))


def test_a_trigger_of_ones_own_counts_by_its_picture_and_not_by_its_place() -> None:
    pictures()

    def of(trigger: str) -> tuple[str, str]:
        plan = plan_of("figure1", "street", f"attack.trigger={trigger}")
        return plan.runs[0].key, plan.file.name

    usual = plan_of().runs[0].key, plan_of().file.name
    assert of("logo.png") == of(str(Path("logo.png").absolute())) == of("moved/other-name.png")
    assert of("smiley") == usual
    for column in zip(usual, of("logo.png"), of("other.png"), of("blossom"), strict=True):
        assert len(set(column)) == 4


def test_a_trigger_of_ones_own_has_the_size_of_the_grid() -> None:
    pictures()
    plan = plan_of("figure1", "street", "attack.trigger={file: logo.png, opacity: 0.5}")
    for run in plan.runs:
        trigger = run.config.attack.trigger
        assert (trigger.file, trigger.opacity) == (Path("logo.png"), 0.5)
        assert trigger.size == round(55 * 128 / 512)


def test_settings_of_runs_reach_every_run_of_a_study() -> None:
    labels = "attack.labels=[hide, 'scatter,pool=any']"
    changes = labels, "tests.seed=3", "controls.other_trigger=blossom"
    plan = plan_of("table1", "street", *changes)
    assert len(plan.runs) > 1
    for run in plan.runs:
        attack = run.config.attack
        scatter = Scatter(num_pixels=attack.num_scattered, pool="any")
        assert attack.labels == (Hide(victims=("car",)), scatter)
        assert (attack.num_scattered > 0) == ("prl" in run.config.method)
        told = run.config.tests.seed, run.config.controls.other_trigger
        assert told == (3, "blossom")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            "attack.rate=0.3",
            "attack.rate: is the axis rate of the study's grid and no setting of its preset (found: 0.3). Choose among its values by --only rate=...",
        ),
        ("attack.trigger.size=9", "attack.trigger.size: is the axis trigger"),
        ("tests.rules.on_victim=true", "tests.rules.on_victim: is the axis on_victim"),
        ("attack.trigger=unheard-of", "stickers: windmill"),
        ("attack.trigger=missing.png", "missing.png"),
        ("attack.trigger.colour=red", "not a known setting"),
    ],
)
def test_a_change_that_no_run_can_have_is_explained(change: str, words: str) -> None:
    with pytest.raises(SegdoorError) as told:
        plan_of("figure1", "street", change)
    assert words in str(told.value)
