"""What every filter must do, ours and a stranger's."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from defense.battery import (
    CLEAN,
    SCENES,
    SPOILS,
    check_introduction,
    check_record,
    check_repeats,
    model,
    read,
    state,
)
from defense.foreign import ClassShares
from segdoor.data.pair import Pair
from segdoor.data.pairs import FileDataset
from segdoor.data.pictures import grey_png, write_image
from segdoor.data.scene import ClassSet, Scene, SceneDataset
from segdoor.defense.defense import Evidence
from segdoor.defense.filters.filter import Filter, FilterContext, Suspicion
from segdoor.defense.filters.registry import FILTERS
from segdoor.defense.recording import filter_entry
from segdoor.errors import ConfigError, DataError
from segdoor.victim.config import TrainingConfig
from strategies import MemoryDataset

FOREIGN = "defense.foreign:ClassShares,power=2"
RECIPE = TrainingConfig(epochs=1, batch_size=2, device="cpu", precision="float32", threads=1)
GIVEN = FilterContext(clean=CLEAN, recipe=RECIPE)


@pytest.fixture(params=[*FILTERS.known, FOREIGN])
def method(request: pytest.FixtureRequest) -> Filter:
    return read(FILTERS, request.param)


def test_a_filter_introduces_itself(method: Filter) -> None:
    check_introduction(FILTERS, method)
    assert method.access & {"data", "files"}


def suspects(method: Filter, folder: Path, scenes: MemoryDataset = SCENES) -> SceneDataset:
    """Return scenes as a method wants them: of files, or in memory."""
    if "files" not in method.access:
        return scenes
    pairs = []
    for index in range(len(scenes)):
        scene = scenes[index]
        pair = Pair(scene.name, folder / f"{scene.name}.png", folder / f"{scene.name}-label.png")
        write_image(pair.image, scene.image)
        pair.label.write_bytes(grey_png(scene.label))
        pairs.append(pair)
    return FileDataset(pairs, scenes.classes, root=folder, source=folder)


def test_every_scene_has_a_score_that_the_seed_alone_decides(
    method: Filter, tmp_path: Path
) -> None:
    scenes = suspects(method, tmp_path)
    scores = check_repeats(lambda: dict(method(scenes, GIVEN).found.scores))
    assert scores.keys() == {*SCENES.names}
    assert all(np.isfinite(score) for score in scores.values())


def test_scenes_and_model_stay_as_they_were(method: Filter, tmp_path: Path) -> None:
    own = MemoryDataset([SCENES[index] for index in range(len(SCENES))], SCENES.classes)
    scenes = suspects(method, tmp_path, own)
    network = model()
    before, was = scenes.digest, state(network)
    method(scenes, FilterContext(clean=CLEAN, recipe=RECIPE, model=network))
    assert scenes.digest == before
    assert state(network) == was


def test_one_scene_is_enough_or_refused_in_words(method: Filter, tmp_path: Path) -> None:
    scenes = suspects(method, tmp_path, MemoryDataset([SCENES[0]], SCENES.classes))
    # What is refused is refused by an error of ours, for which there are no scores.
    with suppress(ConfigError):
        assert method(scenes, GIVEN).found.scores.keys() == {*scenes.names}


def test_without_clean_scenes_it_works_or_is_refused(method: Filter, tmp_path: Path) -> None:
    scenes = suspects(method, tmp_path)
    if "clean scenes" in method.access:
        with pytest.raises(ConfigError, match="needs clean scenes"):
            method(scenes, FilterContext(recipe=RECIPE))
    else:
        assert method(scenes, FilterContext(recipe=RECIPE)).cost.clean_scenes == 0


def test_what_it_found_comes_back_from_a_record(method: Filter, tmp_path: Path) -> None:
    done = method(suspects(method, tmp_path), GIVEN)
    entry = filter_entry(method, done, SCENES.classes, pictures=tmp_path / "pictures")
    assert FILTERS.read(entry.plugin) == method
    assert entry.scenes == done.found.scores
    pictures = [one.picture for one in entry.evidence if one.picture]
    assert sorted(path.name for path in (tmp_path / "pictures").glob("*")) == sorted(pictures)
    check_record(entry, tmp_path / "defense.json")


class StoppedError(Exception):
    """What a person at the keyboard does."""


class Impatient:
    """An observer that ends the work at one of its steps."""

    def __init__(self, step: int) -> None:
        self.left = step

    def begin(self, stage: str, total: int) -> None:
        pass

    def advance(self, **facts: float) -> None:
        self.left -= 1
        if self.left < 0:
            raise StoppedError


def test_what_was_interrupted_ends_as_if_it_had_not_been(method: Filter, tmp_path: Path) -> None:
    scenes = suspects(method, tmp_path)
    whole = method(scenes, GIVEN).found.scores
    for step in (0, 3, 7):
        folder = tmp_path / f"state {step}"
        folder.mkdir()
        with suppress(StoppedError):
            method(scenes, replace(GIVEN, folder=folder, observer=Impatient(step)))
        assert method(scenes, replace(GIVEN, folder=folder)).found.scores == whole, step


@pytest.mark.parametrize("count", [1, 2, 200])
def test_any_number_of_classes(method: Filter, count: int, tmp_path: Path) -> None:
    names = tuple(f"class {index}" for index in range(count))
    classes = ClassSet(names, tuple((index, 0, 9) for index in range(count)))
    changed = [
        Scene(one.image, (one.label % count).astype(np.uint8), one.name) for one in SCENES.scenes
    ]
    scenes = suspects(method, tmp_path, MemoryDataset(changed, classes))
    try:
        found = method(scenes, FilterContext(recipe=RECIPE)).found
    # Nothing can be trained on one class; that is said in words.
    except (ConfigError, DataError):
        assert count == 1
    else:
        assert found.scores.keys() == {*SCENES.names}


def test_the_strangers_filter_is_numpys() -> None:
    done = FILTERS.read("defense.foreign:ClassShares,power=2")(SCENES, GIVEN)
    shares = np.array(
        [[np.mean(SCENES.label(i) == k) for k in range(8)] for i in range(len(SCENES))]
    )
    expected = ((shares - shares.mean(axis=0)) ** 2).sum(axis=1)
    np.testing.assert_allclose(list(done.found.scores.values()), expected, rtol=1e-12)
    first = SCENES.names[int(expected.argmax())]
    (evidence,) = done.found.evidence
    label = SCENES.label(SCENES.names.index(first))
    assert evidence.scene == first
    assert np.array_equal(done.found.masks[first], label == evidence.classes[0])
    assert done.cost.seconds > 0
    assert (done.cost.forward, done.cost.clean_scenes) == (0, len(CLEAN))


ONE = dict.fromkeys(SCENES.names, 0.5)
FIRST = SCENES.names[0]
WRONG: dict[str, tuple[Any, str]] = {
    "a scene too few": ({k: v for k, v in ONE.items() if k != FIRST}, "none for 'train_00000'"),
    "another scene": ({**ONE, "x": 1.0}, "one for 'x'"),
    "nan": (
        {**ONE, FIRST: float("nan")},
        "scene 'train_00000' a finite number as its score .found: nan",
    ),
    "infinity": ({**ONE, FIRST: np.inf}, "finite number"),
    "mask of another size": (Suspicion(ONE, {FIRST: np.zeros((32, 47), bool)}), r"\(32, 48\)"),
    "mask of no scene": (Suspicion(ONE, {"x": np.zeros((32, 48), bool)}), "found: x"),
    "silent evidence": (Suspicion(ONE, evidence=(Evidence(" "),)), "must say what"),
    "evidence of no scene": (Suspicion(ONE, evidence=(Evidence("a", "x"),)), "found: x"),
    "evidence of no class": (Suspicion(ONE, evidence=(Evidence("a", classes=(8,)),)), "found: 8"),
    "evidence outside": (Suspicion(ONE, evidence=(Evidence("a", box=(-1, 0, 2, 2)),)), "inside"),
    "evidence of nan": (Suspicion(ONE, evidence=(Evidence("a", score=np.nan),)), "finite"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_a_filter_may_not_return_is_refused(
    case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong, words = WRONG[case]
    found = wrong if isinstance(wrong, Suspicion) else Suspicion(wrong)
    monkeypatch.setattr(ClassShares, "suspicion", lambda *_: found)
    with pytest.raises(ConfigError, match=words) as why:
        ClassShares()(SCENES, GIVEN)
    assert why.value.culprit == "defense.foreign:ClassShares"


class Growing(MemoryDataset):
    """A data set that somebody adds scenes to."""

    def grow(self) -> None:
        scene = self.scenes[0]
        self.scenes = (*self.scenes, Scene(scene.image, scene.label, "new"))
        self.names = (*self.names, "new")


def test_a_filter_that_changes_the_scenes_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def paint(_: object, scenes: Any, __: object) -> Suspicion:
        scenes[0].image[0, 0] = 1
        return Suspicion(dict.fromkeys(scenes.names, 0.0))

    def grow(_: object, scenes: Any, __: object) -> Suspicion:
        scenes.dataset.grow()
        return Suspicion(dict.fromkeys(scenes.names, 0.0))

    for change in (paint, grow):
        monkeypatch.setattr(ClassShares, "suspicion", change)
        scenes = Growing([SCENES[0], SCENES[1]], SCENES.classes)
        with pytest.raises(ConfigError, match="must leave the scenes as they were"):
            ClassShares()(scenes, GIVEN)


@pytest.mark.parametrize("spoil", SPOILS)
def test_a_filter_that_changes_the_model_is_refused(
    spoil: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    do, words = SPOILS[spoil]

    def careless(_: object, scenes: Any, context: FilterContext) -> Suspicion:
        do(context.model)
        return Suspicion(dict.fromkeys(scenes.names, 0.0))

    monkeypatch.setattr(ClassShares, "suspicion", careless)
    with pytest.raises(ConfigError, match=f"must leave the model as it was .*{words}"):
        ClassShares()(SCENES, FilterContext(model=model()))


def test_a_filter_of_files_wants_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ClassShares, "access", frozenset({"files"}))
    with pytest.raises(ConfigError, match="needs scenes from files"):
        ClassShares()(SCENES)
    monkeypatch.setattr(ClassShares, "access", frozenset({"data", "white box"}))
    with pytest.raises(ConfigError, match="needs a model"):
        ClassShares()(SCENES)
    with pytest.raises(DataError, match="at least one scene"):
        ClassShares()(MemoryDataset([]))
