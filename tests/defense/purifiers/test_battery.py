"""What every purifier must do, ours and two of a stranger's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.ndimage import median_filter

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
from defense.foreign import Median
from segdoor.defense.purifiers.purifier import NO_VOTE, Purifier, PurifierContext, View, voted
from segdoor.defense.purifiers.registry import PURIFIERS
from segdoor.defense.recording import purifier_entry
from segdoor.errors import ConfigError

SCENE = SCENES[0]
WHITE = 127


@pytest.fixture(
    params=[*PURIFIERS.known, "defense.foreign:Median,size=5", "defense.foreign:Shifted"]
)
def method(request: pytest.FixtureRequest) -> Purifier:
    return read(PURIFIERS, request.param)


def given(**settings: Any) -> PurifierContext:
    return PurifierContext(clean=CLEAN, model=model(), **settings)


def test_a_purifier_introduces_itself(method: Purifier) -> None:
    check_introduction(PURIFIERS, method)


def test_the_views_follow_from_image_and_seed_and_nothing_is_changed(method: Purifier) -> None:
    context, image = given(), SCENE.image.copy()
    before = state(context.model)
    check_repeats(lambda: [view.image.tobytes() for view in method(image, context).found])
    assert np.array_equal(image, SCENE.image)
    assert state(context.model) == before


def test_what_is_predicted_for_the_views_leads_back_to_the_image(method: Purifier) -> None:
    """Show one class of the label map as a picture: what comes back must mostly be that class."""
    # Black and white, since a purifier may change colours a little.
    there = SCENE.label == np.bincount(SCENE.label.ravel()).argmax()
    picture = np.repeat(there[..., None] * np.uint8(255), 3, axis=2)
    views = method(picture, given()).found
    label = voted([v.back((v.image[..., 0] > WHITE).astype(np.uint8)) for v in views])
    assert np.mean(label == there) > 0.8


def test_what_it_made_comes_back_from_a_record(method: Purifier, tmp_path: Path) -> None:
    done = [method(SCENES[index].image, given()) for index in range(2)]
    entry = purifier_entry(method, done, ["a", "b"])
    assert list(entry.views.values()) == [len(each.found) for each in done]
    check_record(entry, tmp_path / "defense.json")


def test_the_strangers_purifier_is_scipys() -> None:
    (view,) = PURIFIERS.read("defense.foreign:Median,size=5")(SCENE.image).found
    expected = median_filter(SCENE.image, size=(5, 5, 1), mode="nearest")
    assert np.array_equal(view.image, expected)


def test_several_views_vote_and_ties_go_to_the_lowest_class() -> None:
    labels = np.array([[[3, 1, 2, NO_VOTE]], [[3, 2, 1, NO_VOTE]], [[1, NO_VOTE, 0, NO_VOTE]]])
    assert voted(list(labels.astype(np.uint8))).tolist() == [[3, 1, 0, NO_VOTE]]
    rng = np.random.default_rng(0)
    many = rng.integers(0, 4, (5, 6, 7)).astype(np.uint8)
    counts = np.stack([(many == index).sum(axis=0) for index in range(4)])
    assert np.array_equal(voted(list(many)), counts.argmax(axis=0))


SMALLER = np.zeros((16, 24, 3), np.uint8)
WRONG: dict[str, tuple[tuple[Any, ...], str]] = {
    "no view": ((), "at least one view"),
    "grey": ((View(np.zeros((32, 48, 3), np.uint8)[:0]),), "H x W x 3"),
    "another size that does not lead back": ((View(SMALLER),), r"\(32, 48\) .found: uint8 .16, 24"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_a_purifier_may_not_return_is_refused(
    case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong, words = WRONG[case]
    monkeypatch.setattr(Median, "views", lambda *_: wrong)
    with pytest.raises(ConfigError, match=words):
        Median()(SCENE.image)


@pytest.mark.parametrize("spoil", SPOILS)
def test_a_purifier_that_changes_the_model_is_refused(
    spoil: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    do, words = SPOILS[spoil]
    monkeypatch.setattr(
        Median, "views", lambda _, image, context: do(context.model) or (View(image),)
    )
    with pytest.raises(ConfigError, match=f"must leave the model as it was .*{words}"):
        Median()(SCENE.image, given())


def test_a_purifier_guided_by_a_model_wants_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Median, "access", frozenset({"black box"}))
    with pytest.raises(ConfigError, match="needs a model"):
        Median()(SCENE.image)
