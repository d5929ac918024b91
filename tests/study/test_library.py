from __future__ import annotations

import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from segdoor.errors import ConfigError, DataError, SegdoorError
from segdoor.papers.iba.paper import IBA
from segdoor.papers.registry import PAPERS
from segdoor.study.library import load_preset, load_study, preset_names, study_names

ROOT = Path(__file__).parents[2]
GOOD = "title: Mine\nshows: mine\ncityscapes:\n  - rate: [0.1]\n"


def test_there_is_a_study_for_every_table_and_figure_of_the_paper() -> None:
    of_paper = {f"table{n}" for n in range(1, 13)} | {f"figure{n}" for n in range(1, 7)}
    assert of_paper <= set(study_names(IBA))
    shown = {load_study(IBA, name).shows for name in of_paper}
    assert shown == {f"Table {n}" for n in range(1, 13)} | {f"Figure {n}" for n in range(1, 7)}


@pytest.mark.parametrize("name", preset_names(IBA))
def test_every_preset_is_valid_and_small_ones_have_three_seeds(name: str) -> None:
    preset = load_preset(IBA, name)
    assert len(preset.seeds) >= (1 if preset.pretrained else 3)


def test_all_files_of_every_paper_are_installed() -> None:
    package = ROOT / "src" / "segdoor"
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    patterns = settings["package-data"]["segdoor"]
    installed = {path for pattern in patterns for path in package.glob(pattern)}
    for paper in PAPERS.values():
        files = {path for path in paper.files.glob("**/*") if path.is_file()}
        assert files
        assert not any(path.is_symlink() for path in (paper.files, *files))
        assert files <= installed
    assert package / "papers" / "iba" / "claims.csv" in installed


def test_no_two_papers_have_a_study_of_one_name() -> None:
    names = [name for paper in PAPERS.values() for name in study_names(paper)]
    assert len(names) == len(set(names))


def test_a_study_of_ones_own_is_read_by_its_path(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(GOOD)
    study = load_study(IBA, str(tmp_path / "mine.yaml"))
    assert study.cityscapes[0].rate == (0.1,)
    assert study.cityscapes[0].method == ("baseline",)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (GOOD.replace("rate", "rates"), "mine.yaml: cityscapes.0.rate: must be given"),
        (GOOD + "    methods: [nni]\n", "cityscapes.0.methods: is not a known setting"),
        (GOOD + "    methods: [nni]\n", "Did you mean 'method'"),
        (GOOD.replace("[0.1]", "[1.5]"), "cityscapes.0.rate.0: input should be less than or"),
        (GOOD.replace("[0.1]", "0.1"), "cityscapes.0.rate: input should be a valid tuple"),
        (GOOD.replace("[0.1]", "[]"), "should have at least 1 item"),
        (
            GOOD + "    repairs: [cut:3]\n",
            "cityscapes.0.repairs.0: a repair must name a known repair (found: cut)",
        ),
        (GOOD + "    repairs: ['finetune:2']\n", "less than or equal to 1"),
        (GOOD + "    repairs: [3]\n", "repairs.0: input should be a valid string"),
        (GOOD + "    method: [nny]\n", "method.0: input should be"),
        (GOOD + "claims: [16]\n", "claims.0: input should be less than or equal to 15"),
        ("title: Mine\nshows: mine\n", "a study needs a grid"),
        ("- 1\n", "must hold settings by name"),
        ("title: [\n", "must be plain YAML"),
        ("title: !!python/object:os.system {}\n", "must be plain YAML"),
    ],
)
def test_a_bad_file_is_named_with_key_and_rule(content: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(content)
    with pytest.raises(SegdoorError) as told:
        load_study(IBA, str(path))
    assert words in str(told.value)
    assert told.value.remedy


@pytest.mark.parametrize("name", ["tabel1", "nowhere.yaml", "../table1", "presets/street", ""])
def test_an_unknown_name_lists_the_known_ones(name: str) -> None:
    with pytest.raises(ConfigError, match="Known: table1, table2"):
        load_study(IBA, name)


def test_changes_are_settings_of_the_preset() -> None:
    changes = ["training.epochs=2", "data.size=[64, 96]", "networks.pspnet={name: pspnet}"]
    preset = load_preset(IBA, "street", changes)
    assert (preset.training.epochs, preset.data.size) == (2, (64, 96))
    assert preset.networks["pspnet"] is not None
    # What is not changed stays, also within the same section.
    assert preset.data.num_train == 400
    assert preset.training.augmentation.scale == (1.0, 1.0)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("training.epochs", "must be written as key=value"),
        ("=3", "must be written as key=value"),
        ("training..epochs=3", "must be written as key=value"),
        ("training.epochs=[", "must have a plain value"),
        ("training.epoch=3", "Did you mean 'epochs'"),
        ("training.epochs=0", "greater than or equal to 1"),
        ("stands_for=voc", "the recipe voc and VOC's lengths belong together"),
        ("data.size=null", "data.size must be given"),
    ],
)
def test_a_bad_change_is_explained(change: str, words: str) -> None:
    with pytest.raises(ConfigError) as told:
        load_preset(IBA, "street", [change])
    assert words in str(told.value)


def test_a_damaged_installation_is_told(tmp_path: Path) -> None:
    (tmp_path / "table1.yaml").write_bytes(b"\xff\xfe")
    with pytest.raises(DataError, match=r"table1\.yaml"):
        load_study(replace(IBA, files=tmp_path), "table1")
