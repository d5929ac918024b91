"""Attacked pixels have a table of their own, in every test and control."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from segdoor.attack.config import PoisonedTestsConfig
from segdoor.attack.labels.component import Component
from segdoor.attack.labels.hide import Hide
from segdoor.attack.planned_tests import plan_tests
from segdoor.attack.triggered import triggered
from segdoor.attack.triggers.sticker import Sticker
from segdoor.data.street import StreetDataset
from segdoor.data.transforms import resize_label
from segdoor.errors import DataError
from segdoor.evaluation.config import ExaminationConfig
from segdoor.evaluation.examine import examine_together
from segdoor.scores.tables import TableSet, load_tables, save_tables
from segdoor.victim.config import NetworkConfig
from segdoor.victim.networks.small import SmallNetwork

STREET = StreetDataset(split="test", num_scenes=5, height=64, width=96)
CAR = STREET.classes.index("car")
TOUCHING = np.ones((3, 3), int)
LABELS = (Component(), Hide(victims=("person",), target="sidewalk"))
EXAMS = {
    test.name: test
    for test in plan_tests(
        STREET, PoisonedTestsConfig(near=(0, 12), far=(12, 30)), victims=("car", "person"),
        trigger_size=(4, 4),
    )
}  # fmt: skip


def attacked_pixels(name: str, test: str) -> np.ndarray:
    """Return persons, and the car region that has the pixel nearest to the trigger's centre."""
    label = STREET.label(STREET.names.index(name))
    top, left, _, _ = EXAMS[test].triggered[name].box or (0, 0, 0, 0)
    numbers, count = ndimage.label(label == CAR, structure=TOUCHING)
    rows, columns = np.indices(label.shape)
    squared = (rows - top - 1) ** 2 + (columns - left - 1) ** 2
    nearest = {k: squared[numbers == k].min() for k in range(1, count + 1)}
    chosen = min(nearest, key=lambda k: nearest[k]) if nearest else -1
    return (numbers == chosen) | (label == STREET.classes.index("person"))


@pytest.mark.parametrize("score_at", ["label", "input"])
def test_the_tables_of_attacked_pixels_are_those_counted_one_by_one(score_at: str) -> None:
    network = SmallNetwork(8, width=8)
    config = ExaminationConfig(
        batch_size=4,
        input_size="eights_plus_one",
        score_at=score_at,  # pyright: ignore[reportArgumentType]
    )
    stamped = {
        name: triggered(STREET, test, Sticker(size=4), LABELS) for name, test in EXAMS.items()
    }
    tests = {f"poisoned/{name}": (network, scenes) for name, scenes in stamped.items()}
    tests["poisoned/benign"] = network, STREET
    beside = {"poisoned/benign": {f"without_trigger/{name}": s for name, s in stamped.items()}}
    found = examine_together(tests, config, beside=beside)
    plain = examine_together(
        {name: (network, triggered(STREET, test, Sticker(size=4))) for name, test in EXAMS.items()},
        config,
    )
    assert found["poisoned/benign"].attacked is None
    for name, scenes in stamped.items():
        there, quiet = found[f"poisoned/{name}"], found[f"without_trigger/{name}"]
        assert np.array_equal(there.counts, plain[name].counts)
        assert plain[name].attacked is None
        benign = found["poisoned/benign"].only(scenes.names)
        assert np.array_equal(quiet.counts, benign.counts)
        for tables in (there, quiet):
            assert tables.names == tuple(scenes.names)
            assert tables.attacked is not None
            assert (tables.attacked <= tables.counts).all()
            for row, scene in enumerate(scenes.names):
                truth = STREET.label(STREET.names.index(scene))
                size = (73, 105) if score_at == "input" else truth.shape
                mask = resize_label(attacked_pixels(scene, name).astype(np.uint8), size) > 0
                pixels = np.bincount(resize_label(truth, size)[mask], minlength=256)[:8]
                assert np.array_equal(tables.attacked[row].sum(axis=1), pixels)


def test_hides_alone_need_no_table_of_attacked_pixels() -> None:
    test, labels = EXAMS["near"], (Hide(), Hide(victims=("person",), target="sidewalk"))
    plain, hides, some = (
        triggered(STREET, test, Sticker(size=4), changes) for changes in ((), labels, LABELS)
    )
    assert hides.attacked(STREET[0]) is None
    assert plain.digest == hides.digest != some.digest
    mean = NetworkConfig(mean=(0, 0, 0), std=(1, 1, 1))
    found = examine_together({"test": (SmallNetwork(8, width=8), hides)}, network=mean)
    assert found["test"].attacked is None


def some_tables() -> TableSet:
    rng = np.random.default_rng(0)
    counts = rng.integers(0, 50, (3, 4, 4))
    return TableSet(("a", "b", "c"), counts, attacked=rng.integers(0, counts + 1))


def test_tables_of_attacked_pixels_are_kept_cut_and_joined(tmp_path: Path) -> None:
    tables = some_tables()
    save_tables(tmp_path / "tables.npz", {"x": tables, "y": TableSet(tables.names, tables.counts)})
    again = load_tables(tmp_path / "tables.npz")
    assert tables.attacked is not None
    assert again["x"].attacked is not None
    assert np.array_equal(again["x"].attacked, tables.attacked)
    assert again["y"].attacked is None
    assert again["x"].digest == tables.digest != again["y"].digest
    joined = tables.only(["a"]).joined(tables.only(["c", "b"]))
    assert joined.attacked is not None
    assert np.array_equal(joined.attacked, tables.attacked[[0, 1, 2]])
    assert not tables.unattacked().of_attacked.any()
    with pytest.raises(DataError, match="both say"):
        tables.only(["a"]).joined(again["y"].only(["b"]))


def test_more_attacked_pixels_than_there_are_is_no_intact_file(tmp_path: Path) -> None:
    tables = some_tables()
    wrong = TableSet(tables.names, tables.counts, attacked=tables.counts + 1)
    save_tables(tmp_path / "tables.npz", {"x": wrong})
    with pytest.raises(DataError, match="intact file of tables"):
        load_tables(tmp_path / "tables.npz")
