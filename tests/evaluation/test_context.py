"""The context of networks whose context is known by construction."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from segdoor.data.scene import Scene
from segdoor.data.street import StreetDataset
from segdoor.evaluation.config import ExaminationConfig
from segdoor.evaluation.context import (
    ContextConfig,
    ContextExaminer,
    SceneContext,
    distance_to_window,
    edges_for,
)
from segdoor.victim.config import NetworkConfig

HEIGHT, WIDTH = 32, 48
PLAIN = NetworkConfig(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))


@pytest.fixture(scope="module")
def street() -> StreetDataset:
    return StreetDataset(split="test", num_scenes=2, height=HEIGHT, width=WIDTH)


class Threshold(nn.Module):
    """Class 1 where a mean of brightness is high: of some neighbours, or of the whole image."""

    def __init__(self, side: int | None) -> None:
        super().__init__()
        self.side = side

    def forward(self, images: Tensor) -> Tensor:
        grey = images.mean(dim=1, keepdim=True)
        if self.side is None:
            mean = grey.mean(dim=(2, 3), keepdim=True).expand_as(grey)
        else:
            mean = nn.functional.avg_pool2d(grey, self.side, 1, self.side // 2)
        rest = torch.full_like(mean, -9.0).expand(-1, 6, -1, -1)
        return torch.cat([-mean, mean, rest], dim=1)


def looked(
    street: StreetDataset, model: nn.Module, scene: Scene | None = None, **settings: object
) -> SceneContext:
    examiner = ContextExaminer(
        model, street.classes, ContextConfig(**settings), examination=ExaminationConfig(),
        network=PLAIN,
    )  # fmt: skip
    return examiner.look(scene or street[0], edges_for(HEIGHT, WIDTH))


def test_a_network_that_sees_three_by_three_pixels_is_decided_by_the_nearest_alone(
    street: StreetDataset,
) -> None:
    found = looked(street, Threshold(3), windows=30, window=0.3)
    assert found.changed[0] > 0
    assert not found.changed[1:].any()
    assert found.gradient[0] == pytest.approx(1)
    # Eight neighbours of nine pixels: four at 1, four at the square root of 2; fewer at the border.
    inner = (4 + 4 * np.sqrt(2)) / 9
    assert found.reach == pytest.approx(inner, abs=0.1)


def test_the_gradient_of_a_mean_over_the_whole_image_is_the_same_everywhere(
    street: StreetDataset,
) -> None:
    found = looked(street, Threshold(None), points=5, seed=3)
    places = _points(street[0].name, 5, seed=3)
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    away = [np.hypot(rows - row, columns - column) for row, column in places]
    edges = edges_for(HEIGHT, WIDTH)
    shares = np.mean([np.histogram(each, edges)[0] / each.size for each in away], axis=0)
    np.testing.assert_allclose(found.gradient, shares, atol=1e-6)
    assert found.reach == pytest.approx(np.mean([each.mean() for each in away]), rel=1e-6)


def _points(name: str, number: int, *, seed: int) -> list[tuple[int, int]]:
    from segdoor.randomness import Stream

    rng = Stream(seed).child("context", name).child("points").generator()
    rows, columns = rng.integers(0, HEIGHT, number), rng.integers(0, WIDTH, number)
    return list(zip(rows.tolist(), columns.tolist(), strict=True))


def test_pixels_are_all_those_outside_the_windows(street: StreetDataset) -> None:
    found = looked(street, Threshold(3), windows=9, window=0.25)
    side = round(0.25 * HEIGHT)
    assert found.pixels.sum() == 9 * (HEIGHT * WIDTH - side**2)
    assert found.pixels.dtype == found.changed.dtype == np.int64
    assert bool((found.changed <= found.pixels).all())


def test_the_same_seed_looks_at_the_same_places(street: StreetDataset) -> None:
    first, again = (looked(street, Threshold(5), windows=11, points=9) for _ in range(2))
    np.testing.assert_array_equal(first.changed, again.changed)
    assert first.reach == again.reach
    other = looked(street, Threshold(5), windows=11, points=9, seed=1)
    assert first.reach != other.reach


def test_distances_are_those_to_the_nearest_pixel_of_the_window() -> None:
    found = distance_to_window((9, 11), (2, 3), 4)
    inside = [(row, column) for row in range(2, 6) for column in range(3, 7)]
    for row in range(9):
        for column in range(11):
            nearest = min(np.hypot(row - r, column - c) for r, c in inside)
            assert found[row, column] == pytest.approx(nearest)


def test_bands_cover_the_whole_image_from_zero() -> None:
    edges = edges_for(HEIGHT, WIDTH)
    assert edges[:3] == (0, 4, 8)
    assert edges[-1] > np.hypot(HEIGHT, WIDTH) >= edges[-2]


def test_a_scene_smaller_than_a_window_has_a_context_all_the_same(street: StreetDataset) -> None:
    tiny = Scene(street[0].image[:2, :3], street[0].label[:2, :3], "tiny")
    found = looked(street, Threshold(3), tiny, window=0.5)
    assert found.pixels.sum() == 16 * 5
    assert found.gradient.sum() == pytest.approx(1)
