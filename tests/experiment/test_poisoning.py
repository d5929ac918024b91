"""Poisoning by several workers, from label maps alone, is poisoning in the plainest way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from plain import num_labelled, num_with_victims, plain_rows
from segdoor.attack.materialise import CopyOrder
from segdoor.attack.plan import PoisonPlan
from segdoor.data import pairs
from segdoor.data.load import load_dataset
from segdoor.data.pack import pack
from segdoor.experiment.poisoning import plan_step, poison_step
from segdoor.experiment.resolving import Asked
from segdoor.experiment.wishes import wishes_from
from segdoor.papers.iba.reading import asked
from segdoor.progress import Silent
from written import tree, write_source

ATTACKS: dict[str, dict[str, Any]] = {
    "baseline": {"method": "baseline", "attack": {"rate": 0.45}},
    "nni": {"method": "nni", "attack": {"rate": 0.34}},
    "prl": {"method": "nni+prl", "attack": {"rate": 0.45, "labels": ["hide", "scatter:50"]}},
    "all": {"attack": {"rate": 1.0, "shortfall": "all_available", "trigger": {"size": 20}}},
    "none": {"attack": {"rate": 0.0}},
}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    write_source(tmp_path / "source", ending="jpg", palette=True)
    return tmp_path / "source"


def settings(source: Path, **more: Any) -> Asked:
    return asked(wishes_from({"data": {"name": "folder", "root": source}, **more}))


def poison(given: Asked, place: Path, workers: int | None) -> PoisonPlan:
    order = CopyOrder(place / "copy")
    return poison_step(
        given, out=place / "out", replace=False, copy=order, workers=workers, observer=Silent()
    )


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("workers", [1, 2, 3])
def test_the_plan_is_the_plain_one(attack: str, workers: int, source: Path, tmp_path: Path) -> None:
    given = settings(source, **ATTACKS[attack])
    packed = pack(load_dataset(given.data(), "train"), tmp_path / "packs")
    config = given.facts_for(packed)
    plan = plan_step(given, workers=workers, observer=Silent())
    assert list(plan.rows) == plain_rows(packed, config.attack, seed=config.seed)
    assert plan.header.data_digest == packed.digest
    assert plan.header.num_labelled_pixels == num_labelled(packed)
    assert plan.header.num_with_victims == num_with_victims(packed, config.attack.victims)


@pytest.mark.parametrize("size", [None, (40, 72)])
@pytest.mark.parametrize("attack", ["nni", "prl", "none"])
def test_every_file_is_the_same_whatever_the_number_of_workers(
    attack: str, size: tuple[int, int] | None, source: Path, tmp_path: Path
) -> None:
    given = settings(source, **ATTACKS[attack])
    data = given.wishes.data.model_copy(update={"size": size})
    given = asked(given.wishes.model_copy(update={"data": data}))
    trees = []
    for workers in (1, 2, 3, None):
        poison(given, tmp_path / f"by {workers}", workers)
        trees.append(tree(tmp_path / f"by {workers}"))
    assert trees[0] == trees[1] == trees[2] == trees[3]
    assert len(trees[0]) > 20


def test_a_file_that_changes_meanwhile_is_refused(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from segdoor.errors import DataError

    really = pairs.digest_of
    monkeypatch.setattr(pairs, "digest_of", lambda path: really(path)[::-1])
    with pytest.raises(DataError, match="must not change while it is poisoned"):
        poison(settings(source), tmp_path, 2)
    assert not (tmp_path / "copy").exists()
    assert not (tmp_path / "out").exists()


class Counting(Silent):
    """Hears how many steps each stage announced and took."""

    def __init__(self) -> None:
        self.announced: dict[str, int] = {}
        self.taken: dict[str, int] = {}

    def begin(self, stage: str, total: int) -> None:
        self.stage = stage
        self.announced[stage], self.taken[stage] = total, 0

    def advance(self, **facts: float) -> None:
        self.taken[self.stage] += 1


def test_progress_is_heard_over_all_files(source: Path, tmp_path: Path) -> None:
    observer = Counting()
    order = CopyOrder(tmp_path / "copy")
    poison_step(
        settings(source), out=tmp_path / "out", replace=False, copy=order, workers=2,
        observer=observer,
    )  # fmt: skip
    assert observer.announced == observer.taken
    assert observer.announced["hashing"] == 18
    assert observer.announced["reading label maps"] == 9
    assert observer.announced["writing"] == 20
