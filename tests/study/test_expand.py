from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from planned import planned
from segdoor.errors import ConfigError
from segdoor.experiment.config import config_from
from segdoor.papers.iba.paper import IBA
from segdoor.study.expand import PlannedRun, deciding
from segdoor.study.library import load_preset, load_study, study_names
from segdoor.study.plan import left_out, make_plan
from segdoor.study.sharing import model_key

OF_PAPER = [name for name in study_names(IBA) if name.startswith(("table", "figure"))]


def runs_of(names: list[str], preset_name: str) -> list[PlannedRun]:
    preset = load_preset(IBA, preset_name)
    studies = [load_study(IBA, name) for name in names]
    return [
        run for study in studies if study.grid(preset.stands_for) for run in planned(study, preset)
    ]


def test_the_paper_is_124_trainings_and_12_fine_tunings() -> None:
    """47 of VOC and 73 of Cityscapes are poisoned; 4 clean models are shared by all of them."""
    runs = {name: runs_of(OF_PAPER, name) for name in ("voc", "cityscapes")}
    poisoned = {name: {run.key for run in found} for name, found in runs.items()}
    assert {name: len(keys) for name, keys in poisoned.items()} == {"voc": 47, "cityscapes": 73}
    every = [run for found in runs.values() for run in found]
    clean = {model_key(run) for run in every}
    assert len(clean) == 4
    assert len({run.key for run in every}) + len(clean) == 124
    finetunings = {
        (run.key, repair)
        for run in every
        for repair in run.repairs
        if repair.startswith("finetune:")
    }
    assert len(finetunings) == 12


@pytest.mark.parametrize(
    ("name", "preset", "count"),
    [
        ("table1", "cityscapes", 30),
        ("table1", "voc", 30),
        ("table2", "cityscapes", 9),
        ("table3", "cityscapes", 18),
        ("table4", "cityscapes", 9),
        ("table5", "cityscapes", 3),
        ("table6", "voc", 18),
        ("table7", "cityscapes", 18),
        ("table8", "cityscapes", 12),
        ("table9", "cityscapes", 8),
        ("table10", "voc", 5),
        ("table11", "cityscapes", 12),
        ("table12", "cityscapes", 3),
        ("figure5", "cityscapes", 8),
        ("figure5", "voc", 8),
        # PRL with Q counted in both ways, three seeds, one network.
        ("table1", "street", 60),
        # Without rider, bus and truck.
        ("table4", "street", 21),
    ],
)
def test_the_runs_of_a_study(name: str, preset: str, count: int) -> None:
    runs = runs_of([name], preset)
    assert len(runs) == len({run.key for run in runs}) == count


def test_two_studies_that_need_the_same_run_give_it_the_same_key() -> None:
    table1, table3 = (
        {run.key for run in runs_of([name], "cityscapes")} for name in ("table1", "table3")
    )
    assert len(table1 & table3) == 15
    pictures = {run.key for run in runs_of(["figure1", "figure2", "figure3"], "cityscapes")}
    assert pictures <= table1


def test_keys_are_the_same_in_every_process() -> None:
    code = (
        "from pathlib import Path; from segdoor.papers.iba.paper import IBA;"
        "from segdoor.study.plan import make_plan;"
        "print(*(r.key for r in make_plan(IBA, 'table1', 'street', out=Path('nowhere')).runs))"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.split() == [run.key for run in runs_of(["table1"], "street")]


def test_a_key_changes_with_what_decides_results_and_with_nothing_else() -> None:
    study = load_study(IBA, "figure1")

    def key(*changes: str) -> str:
        return planned(study, load_preset(IBA, "street", changes))[0].key

    assert key() == key("title=Other", "data.root=elsewhere", "q_as=[area]")
    different = [
        key(), key("training.epochs=2"), key("data.num_test=50"), key("seeds=[5]"),
        key("networks.deeplabv3.dropout=0.2"), key("examination.flip=true"),
    ]  # fmt: skip
    assert len(set(different)) == len(different)


@pytest.mark.parametrize("setting", ["backbone_weights", "weights", "folder"])
def test_start_weights_count_by_content_and_not_by_place(
    setting: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for place, content in (("a", b"one"), ("b", b"one"), ("c", b"other")):
        Path(place).mkdir()
        Path(place, "r50.pth").write_bytes(content)

    def keys(place: Path) -> tuple[str, str]:
        file = place if setting == "folder" else place / "r50.pth"
        preset = load_preset(IBA, "street", [f"networks.deeplabv3.{setting}={file}"])
        run = planned(load_study(IBA, "figure1"), preset)[0]
        return run.key, model_key(run)

    assert keys(Path("a")) == keys(tmp_path / "a") == keys(Path("b"))
    assert not set(keys(Path("a"))) & set(keys(Path("c")))


def test_keys_of_networks_that_start_from_no_file_stay_what_they_were() -> None:
    """Records of such runs lie in folders of these names."""
    run = planned(load_study(IBA, "overview"), load_preset(IBA, "camvid-small"), version=1)[0]
    assert run.key == "camvid-baseline-0.05-small-car-road-t19-s0-1680d11a67"
    assert model_key(run) == "victims/camvid-small-s0-ddfd7c3194"


def test_clean_victims_are_shared_over_everything_but_recipe_scenes_and_seed() -> None:
    runs = runs_of(["table1", "table4", "table7", "table9", "figure5"], "street")
    assert len({model_key(run) for run in runs}) == 3
    other = load_preset(IBA, "street", ["data.num_test=50", "examination.batch_size=2"])
    assert model_key(planned(load_study(IBA, "figure1"), other)[0]) == model_key(runs[0])
    longer = load_preset(IBA, "street", ["training.epochs=25"])
    assert model_key(planned(load_study(IBA, "figure1"), longer)[0]) != model_key(runs[0])


def test_lengths_are_scaled_with_the_height_from_512_pixels() -> None:
    run = planned(load_study(IBA, "table9"), load_preset(IBA, "camvid-small"))[0]
    assert run.point.trigger == 15
    assert run.config.attack.trigger.size == round(15 * 180 / 512)
    assert run.config.tests.near == (0, 60 * 180 / 512)
    assert run.config.tests.far == (60 * 180 / 512, 90 * 180 / 512, 120 * 180 / 512)


def test_q_is_scaled_by_area_and_taken_as_a_number() -> None:
    runs = planned(load_study(IBA, "figure2"), load_preset(IBA, "camvid-small"))
    q = {run.point.q_as: run.config.attack.num_scattered for run in runs}
    assert q == {None: 0, "area": round(100 * 180 * 240 / (512 * 1024)), "number": 100}


def test_a_preset_says_what_q_is_where_the_grid_does_not() -> None:
    runs = planned(load_study(IBA, "evidence"), load_preset(IBA, "idd"))
    assert {run.config.attack.num_scattered for run in runs if run.point.method == "prl"} == {
        round(50_000 * 112 * 160 / (512 * 1024))
    }
    first = load_preset(IBA, "idd", ["q=100", "q_as=[number]"])
    runs = planned(load_study(IBA, "evidence"), first)
    assert {run.config.attack.num_scattered for run in runs} == {0, 100}
    varied = planned(load_study(IBA, "figure5"), first)
    assert {run.point.q for run in varied} >= {10, 100, 50_000}


def test_the_big_presets_have_the_papers_own_lengths() -> None:
    city = planned(load_study(IBA, "figure2"), load_preset(IBA, "cityscapes"))[2].config
    assert (city.attack.trigger.size, city.attack.num_scattered) == (55, 100)
    assert (city.tests.near, city.tests.far) == ((0, 60), (60, 90, 120))
    assert (city.training.epochs, city.training.augmentation.crop) == (200, (713, 713))
    voc = planned(load_study(IBA, "table1"), load_preset(IBA, "voc"))[2].config
    assert (voc.attack.trigger.size, voc.attack.num_scattered) == (15, 100)
    assert (voc.tests.near, voc.tests.far) == ((0, 30), (30, 60, 90))
    assert (voc.attack.victims, voc.attack.target) == (("person",), "background")


def test_the_official_reading_has_its_own_q_and_odd_triggers() -> None:
    for preset, q in (("cityscapes", 100_000), ("voc", 50_000)):
        runs = planned(load_study(IBA, "table1"), load_preset(IBA, preset), reading="official")
        assert {run.config.attack.num_scattered for run in runs} == {0, q}
    sizes = planned(load_study(IBA, "table9"), load_preset(IBA, "street"), reading="official")
    assert all(run.config.attack.trigger.size % 2 for run in sizes)


def test_rules_hold_in_training_and_in_the_tests() -> None:
    several = [r for r in runs_of(["table7"], "street") if not r.point.single_class]
    assert several
    for run in several:
        assert run.config.attack.rules == run.config.tests.rules
        assert not run.config.attack.rules.single_class
    on_victim = {run.config.tests.rules.on_victim for run in runs_of(["table8"], "street")}
    assert on_victim == {"forbid", "require"}


def test_pruning_is_scaled_with_the_channels() -> None:
    repairs = runs_of(["table12"], "street")[0].repairs
    assert repairs["prune:30"] == "prune:4"
    assert repairs["prune:1"] == "prune:1"
    assert runs_of(["table12"], "cityscapes")[0].repairs["prune:30"] == "prune:30"


def test_classes_have_the_names_they_have_here() -> None:
    victims = {run.config.attack.victims for run in runs_of(["table4"], "camvid-small")}
    assert ("bicyclist",) in victims
    assert ("car", "pedestrian", "pavement") in victims
    missing = left_out(make_plan(IBA, "table4", "camvid-small", out=Path("nowhere")))
    assert [(point.victims, point.target) for point in missing] == [("bus", "truck")]


def test_settings_as_given_lead_to_those_resolved() -> None:
    for run in runs_of(["figure2"], "street"):
        again = config_from(run.config.model_dump(mode="json"))
        assert deciding(again) == deciding(run.config)


def test_a_study_without_a_grid_for_these_scenes_says_so() -> None:
    with pytest.raises(ConfigError, match="Use a preset that stands for voc"):
        planned(load_study(IBA, "table10"), load_preset(IBA, "street"))


def test_a_network_that_the_preset_does_not_know_is_an_error() -> None:
    preset = load_preset(IBA, "street")
    lacking = preset.model_copy(update={"networks": {"deeplabv3": preset.networks["deeplabv3"]}})
    with pytest.raises(ConfigError, match="must say which network stands for pspnet"):
        planned(load_study(IBA, "table1"), lacking)


def test_numbers_of_pixels_beyond_the_scenes_are_one_run() -> None:
    preset = load_preset(IBA, "street", ["q_as=[number]", "seeds=[0]"])
    runs = planned(load_study(IBA, "figure5"), preset)
    relabelled = {run.point.q: run.config.attack.num_scattered for run in runs}
    assert relabelled[10_000] == 10_000
    assert relabelled[50_000] == relabelled[100_000] == 128 * 256
    assert len({run.key for run in runs}) == len(runs) - 1
