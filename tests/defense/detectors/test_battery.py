"""What every detector must do, ours and a stranger's, whatever the network."""

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
from defense.foreign import Entropy, logits
from segdoor.data.subset import Subset
from segdoor.defense.defense import DefenseContext, Evidence
from segdoor.defense.detectors.detector import Alarm, Detector
from segdoor.defense.detectors.registry import DETECTORS
from segdoor.defense.recording import detector_entry
from segdoor.errors import ConfigError

GIVEN = DefenseContext(clean=CLEAN)
IMAGES = [SCENES[index].image for index in range(3)]
REFUSED = {("auxiliary", "small"), ("auxiliary", "tokens"), ("ibd_psc", "tokens")}
"""Detectors and networks that lack what these need."""


@pytest.fixture(params=[*DETECTORS.known, "defense.foreign:Entropy"])
def method(request: pytest.FixtureRequest) -> Detector:
    return read(DETECTORS, request.param)


def scores(method: Detector, network: torch.nn.Module, images: Any = IMAGES) -> list[float]:
    return [alarm.score for alarm in method(network, images, GIVEN).found]


def test_a_detector_introduces_itself(method: Detector) -> None:
    check_introduction(DETECTORS, method)
    asks = method(model(), IMAGES, GIVEN).cost.forward > 0
    assert bool(method.access & {"black box", "white box"}) is asks


@pytest.mark.parametrize("network", NETWORKS)
def test_every_image_has_a_score_and_nothing_is_changed(method: Detector, network: str) -> None:
    looked_at = model(network)
    before, images = state(looked_at), [image.copy() for image in IMAGES]
    if (method.kind, network) in REFUSED:
        with pytest.raises(ConfigError, match="needs a network with"):
            scores(method, looked_at)
        assert state(looked_at) == before
        return
    found = check_repeats(lambda: scores(method, looked_at, images))
    assert len(found) == len(IMAGES)
    assert np.isfinite(found).all()
    assert state(looked_at) == before
    assert all(np.array_equal(a, b) for a, b in zip(images, IMAGES, strict=True))


def test_an_image_is_judged_alike_whatever_was_seen_before_it(method: Detector) -> None:
    network = model()
    assert scores(method, network, reversed(IMAGES)) == scores(method, network)[::-1]
    assert scores(method, network, iter([])) == []


def test_few_clean_scenes_are_enough_or_refused_in_words(method: Detector) -> None:
    method(model(), IMAGES, DefenseContext(clean=Subset(CLEAN, [0])))
    if "clean scenes" in method.access:
        with pytest.raises(ConfigError, match="needs clean scenes"):
            method(model(), IMAGES)


@pytest.mark.parametrize("size", [(1, 1), (7, 30), (65, 33)])
def test_images_need_not_be_as_large_as_clean_scenes(
    method: Detector, size: tuple[int, int]
) -> None:
    image = np.random.default_rng(0).integers(0, 256, (*size, 3)).astype(np.uint8)
    (alarm,) = method(model(), [image], GIVEN).found
    assert np.isfinite(alarm.score)
    assert alarm.mask is None or alarm.mask.shape == size


def test_a_model_in_training_mode_is_asked_as_in_evaluation_mode(method: Detector) -> None:
    network = model()
    expected = scores(method, network)
    if method.kind in DETECTORS.known:
        assert scores(method, network.train()) == expected


def test_what_it_found_comes_back_from_a_record(method: Detector, tmp_path: Path) -> None:
    done = method(model(), IMAGES, GIVEN)
    entry = detector_entry(method, done, ["a", "b", "c"], SCENES.classes, pictures=tmp_path)
    assert list(entry.images.values()) == [alarm.score for alarm in done.found]
    check_record(entry, tmp_path / "defense.json")


def test_the_strangers_detector_is_numpys() -> None:
    network = model()

    def entropy(image: np.ndarray) -> float:
        found = logits(network, image, GIVEN).numpy().astype(np.float64)
        powers = np.exp(found - found.max(axis=0))
        shares = powers / powers.sum(axis=0)
        return float(-(shares * np.log(shares)).sum(axis=0).mean())

    usual = np.mean([entropy(CLEAN[index].image) for index in range(2)])
    expected = [entropy(image) / usual for image in IMAGES]
    done = DETECTORS.read("defense.foreign:Entropy")(network, IMAGES, GIVEN)
    np.testing.assert_allclose([alarm.score for alarm in done.found], expected, rtol=1e-4)
    assert (done.cost.forward, done.cost.backward, done.cost.clean_scenes) == (5, 0, 2)


WRONG: dict[str, tuple[Any, str]] = {
    "no alarm": (0.5, "must return an Alarm .found: float"),
    "nan": (Alarm(float("nan")), "finite number as its score .found: nan"),
    "mask of another size": (Alarm(1.0, np.zeros((31, 48), bool)), r"\(32, 48\)"),
    "evidence of no class": (Alarm(1.0, evidence=(Evidence("a", classes=(9,)),)), "found: 9"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_a_detector_may_not_return_is_refused(
    case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong, words = WRONG[case]
    monkeypatch.setattr(Entropy, "judge", lambda *_: lambda _: wrong)
    with pytest.raises(ConfigError, match=words):
        Entropy()(model(), IMAGES, GIVEN)


@pytest.mark.parametrize("spoil", SPOILS)
@pytest.mark.parametrize("when", ["once", "at an image"])
def test_a_detector_that_changes_the_model_is_refused(
    spoil: str, when: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    do, words = SPOILS[spoil]

    def judge(_: object, network: torch.nn.Module, __: object) -> Any:
        if when == "once":
            do(network)
            return lambda _: Alarm(0.0)
        return lambda _: do(network) or Alarm(0.0)

    monkeypatch.setattr(Entropy, "judge", judge)
    with pytest.raises(ConfigError, match=f"must leave the model as it was .*{words}") as why:
        Entropy()(model(), IMAGES, GIVEN)
    assert "copy.deepcopy" in why.value.remedy


def test_a_detector_may_scribble_on_its_image_and_ask_for_gradients(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def judge(_: object, network: torch.nn.Module, __: object) -> Any:
        def look(image: np.ndarray) -> Alarm:
            image[:] = 0
            pixels = torch.zeros(2, 3, 32, 48, requires_grad=True)
            (gradient,) = torch.autograd.grad(network(pixels)["out"].sum(), pixels)
            return Alarm(float(gradient.abs().sum()))

        return look

    monkeypatch.setattr(Entropy, "judge", judge)
    images = [image.copy() for image in IMAGES]
    done = Entropy()(model(), images, GIVEN)
    assert (done.cost.forward, done.cost.backward) == (6, 6)
    assert all(np.array_equal(a, b) for a, b in zip(images, IMAGES, strict=True))
