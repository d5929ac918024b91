"""What every model scan must do, ours and a stranger's, whatever the network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from defense.battery import (
    CLEAN,
    NETWORKS,
    SCENES,
    SPOILS,
    check_introduction,
    check_record,
    check_repeats,
    model,
    read,
    state,
)
from defense.foreign import Margin, logits
from defense.third_party import made
from segdoor.data.scene import Scene
from segdoor.data.subset import Subset
from segdoor.defense.defense import Evidence
from segdoor.defense.recording import scan_entry
from segdoor.defense.scans.registry import SCANS
from segdoor.defense.scans.scan import Findings, Scan, ScanContext, Suspect
from segdoor.errors import ConfigError
from segdoor.victim.networks.exported import Answer, ExportedNetwork
from strategies import MemoryDataset

GIVEN = ScanContext(clean=CLEAN)


def short(method: Scan) -> Scan:
    """Return a method that takes few passes, whatever else it is."""
    few = {"passes": 16, "scenes": 4, "batch_size": 2, "pairs": 2, "stickers": 1, "starts": 1}
    known = {name: value for name, value in few.items() if name in type(method).model_fields}
    return type(method)(**{**method.model_dump(), **known})


@pytest.fixture(params=[*SCANS.known, "defense.foreign:Margin"])
def method(request: pytest.FixtureRequest) -> Scan:
    return short(read(SCANS, request.param))


@pytest.fixture(params=SCANS.known)
def ours(request: pytest.FixtureRequest) -> Scan:
    return short(read(SCANS, request.param))


class Watch:
    """Hears of progress, and interrupts after some steps."""

    def __init__(self, most: int | None = None) -> None:
        self.most, self.stages, self.steps = most, [], 0

    def begin(self, stage: str, total: int) -> None:
        assert total >= 1
        self.stages.append(stage)

    def advance(self, **facts: float) -> None:
        assert all(np.isfinite(fact) for fact in facts.values())
        self.steps += 1
        if self.steps == self.most:
            raise KeyboardInterrupt


class Gathers(torch.nn.Module):
    """A network that remembers how many images it was shown at once, and is left in training."""

    def __init__(self) -> None:
        super().__init__()
        self.inner, self.most = model(), 0
        self.train()

    def forward(self, images: torch.Tensor) -> Any:
        assert not any(layer.training for layer in self.modules())
        self.most = max(self.most, len(images))
        return self.inner(images)


def test_a_scan_introduces_itself(method: Scan) -> None:
    check_introduction(SCANS, method)


@pytest.mark.parametrize("network", NETWORKS)
def test_a_scan_repeats_itself_and_changes_nothing(method: Scan, network: str) -> None:
    looked_at, clean = model(network), made("homemade", seed=1)
    before, was = state(looked_at), state(clean)
    context = ScanContext(clean=CLEAN, clean_models=(clean,))
    found = check_repeats(lambda: method(looked_at, context).found.suspects)
    assert all(np.isfinite([one.score, *one.null]).all() for one in found)
    assert state(looked_at) == before
    assert state(clean) == was


def test_few_clean_scenes_and_models_are_enough_or_told(method: Scan) -> None:
    found = method(model(), ScanContext(clean=Subset(CLEAN, [0]))).found
    assert (found.backdoored is None) == (found.not_run is not None)
    if "clean scenes" in method.access:
        with pytest.raises(ConfigError, match="needs clean scenes"):
            method(model())


def test_what_it_found_comes_back_from_a_record(method: Scan, tmp_path: Path) -> None:
    done = method(model(), ScanContext(clean=CLEAN, clean_models=(made("homemade", seed=1),)))
    entry = scan_entry(method, done, CLEAN.classes, pictures=tmp_path)
    assert [one.target for one in entry.suspects] == [
        CLEAN.classes.names[one.target] for one in done.found.suspects
    ]
    check_record(entry, tmp_path / "defense.json")


def scores(found: Findings) -> list[tuple[int | None, int, float]]:
    return [(one.victim, one.target, one.score) for one in found.suspects]


def test_a_scan_that_was_interrupted_goes_on(ours: Scan, tmp_path: Path) -> None:
    looked_at, watch = model(), Watch()
    whole = ours(looked_at, ScanContext(clean=CLEAN, observer=watch))
    before = state(looked_at)
    assert len(watch.stages) >= 2
    half = Watch(most=watch.steps)
    with pytest.raises(KeyboardInterrupt):
        ours(looked_at, ScanContext(clean=CLEAN, observer=half, folder=tmp_path))
    assert state(looked_at) == before
    kept = sorted(tmp_path.iterdir())
    assert kept
    again = ours(looked_at, ScanContext(clean=CLEAN, folder=tmp_path))
    assert scores(again.found) == scores(whole.found)
    assert again.cost.forward < whole.cost.forward
    kept[0].write_text("{}")
    mended = ours(looked_at, ScanContext(clean=CLEAN, folder=tmp_path))
    assert scores(mended.found) == scores(whole.found)


def test_what_is_kept_is_of_one_model_seed_and_setting(ours: Scan, tmp_path: Path) -> None:
    smaller = ours.model_copy(update={"size": 0.3})
    retrained = model()
    with torch.no_grad():
        next(retrained.parameters()).mul_(1.001)
    calls = [(ours, model(), 0), (ours, model(), 1), (ours, retrained, 0), (smaller, model(), 0)]
    num_files = 0
    for method, network, seed in calls:
        method(network, ScanContext(clean=CLEAN, folder=tmp_path, seed=seed))
        files = len([*tmp_path.iterdir()])
        assert files > num_files
        method(network, ScanContext(clean=CLEAN, folder=tmp_path, seed=seed))
        assert len([*tmp_path.iterdir()]) == files
        num_files = files


def test_a_scan_without_time_says_so(ours: Scan) -> None:
    done = ours(model(), ScanContext(clean=CLEAN, seconds=0))
    assert done.found.suspects == ()
    assert "time limit" in str(done.found.not_run)
    assert done.cost.forward <= 3 * len(CLEAN)


def test_memory_is_bounded_and_modes_come_back(ours: Scan) -> None:
    network = Gathers()
    ours(network, ScanContext(clean=SCENES))
    assert network.most == 2
    assert network.training


def test_void_alone_is_nothing_to_look_at(ours: Scan) -> None:
    void = np.full((32, 48), CLEAN.classes.ignore_index, np.uint8)
    scenes = MemoryDataset([Scene(CLEAN[0].image, void, "void")], CLEAN.classes)
    found = ours(model(), ScanContext(clean=scenes)).found
    assert all(one.score == 0 for one in found.suspects)
    assert not found.backdoored
    with pytest.raises(ConfigError, match="needs clean scenes"):
        ours(model(), ScanContext(clean=Subset(CLEAN, [])))


def test_scenes_of_several_sizes_are_looked_at(ours: Scan) -> None:
    small = CLEAN[1]
    cut = Scene(small.image[:24, :40].copy(), small.label[:24, :40].copy(), "small")
    scenes = MemoryDataset([CLEAN[0], cut, small], CLEAN.classes)
    assert ours(model(), ScanContext(clean=scenes)).found.suspects


def test_a_network_without_gradients_is_for_the_black_box(ours: Scan) -> None:
    inner = model()
    blind = ExportedNetwork(lambda images: inner(images)["out"].detach(), 8, Answer("logits", None))
    if "white box" in ours.access:
        with pytest.raises(ConfigError, match=r"gradients .*black_box"):
            ours(blind, GIVEN)
    else:
        assert ours(blind, GIVEN).found.suspects
        ids = ExportedNetwork(
            lambda images: inner(images)["out"].argmax(1), 8, Answer("classes", None)
        )
        assert ours(ids, GIVEN).found.suspects


def test_the_strangers_scan_is_numpys() -> None:
    network = model()
    total = np.zeros(8)
    for number in range(2):
        found = logits(network, CLEAN[number].image, GIVEN).numpy()
        for index in range(8):
            total[index] += (found[index] - np.delete(found, index, axis=0).max(axis=0)).mean() / 2
    done = SCANS.read("defense.foreign:Margin")(network, GIVEN)
    np.testing.assert_allclose([one.score for one in done.found.suspects], total, rtol=1e-4)
    assert done.found.not_run == "No clean models to compare with."
    assert done.cost.forward == 2


ONE = Suspect(target=1, score=0.5)
WRONG: dict[str, tuple[Findings, str]] = {
    "neither verdict nor reason": (Findings((ONE,)), "either a verdict or the reason"),
    "both": (Findings((ONE,), backdoored=True, not_run="x"), "either a verdict or the reason"),
    "nan": (Findings((Suspect(1, float("nan")),), backdoored=False), "class 1 a finite number"),
    "nan among clean": (Findings((Suspect(1, 0.0, null=(np.nan,)),), backdoored=False), "finite"),
    "no such class": (Findings((Suspect(8, 0.0),), backdoored=False), "found: 8"),
    "no such victim": (Findings((Suspect(1, 0.0, victim=-1),), backdoored=False), "found: -1"),
    "twice": (Findings((ONE, ONE), backdoored=False), "each pair of classes once"),
    "evidence of no scene": (
        Findings((ONE,), backdoored=False, evidence=(Evidence("a", scene="x"),)), "found: x",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_what_a_scan_may_not_return_is_refused(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong, words = WRONG[case]
    monkeypatch.setattr(Margin, "findings", lambda *_: wrong)
    with pytest.raises(ConfigError, match=words):
        Margin()(model(), GIVEN)


@pytest.mark.parametrize("spoil", SPOILS)
def test_a_scan_that_changes_the_model_is_refused(
    spoil: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    do, words = SPOILS[spoil]

    def careless(_: object, network: torch.nn.Module, __: object) -> Any:
        do(network)
        return Findings((ONE,), backdoored=False)

    monkeypatch.setattr(Margin, "findings", careless)
    with pytest.raises(ConfigError, match=f"must leave the model as it was .*{words}"):
        Margin()(model(), GIVEN)
