"""Inpainting at the peak of the influence map."""

from __future__ import annotations

import numpy as np
import pytest

from defense.judged import IMAGES, LEFT, TOP, purified
from defense.planted import STICKER, planted_network, stamped, sticker
from segdoor.defense.purifiers.inpaint import Inpaint
from segdoor.defense.purifiers.purifier import PurifierContext
from segdoor.errors import ConfigError


def test_the_trigger_is_painted_over_and_the_cars_come_back() -> None:
    found = purified(Inpaint())
    assert found.attacked < found.confused + 0.01
    assert found.correct > 0.97


def test_only_the_surroundings_of_the_trigger_are_changed() -> None:
    image = stamped(IMAGES[0], what=sticker())
    (view,) = Inpaint()(image, PurifierContext(model=planted_network())).found
    changed = (view.image != image).any(axis=2)
    assert changed[TOP : TOP + STICKER, LEFT : LEFT + STICKER].mean() > 0.8
    assert changed.mean() < 0.2


def test_an_image_that_decides_nothing_far_away_can_be_left_alone() -> None:
    (view,) = Inpaint(least=0.03)(IMAGES[0], PurifierContext(model=planted_network())).found
    assert np.array_equal(view.image, IMAGES[0])


def test_it_wants_a_model() -> None:
    with pytest.raises(ConfigError, match="needs a model"):
        Inpaint()(IMAGES[0])
