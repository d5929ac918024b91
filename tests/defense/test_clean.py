from __future__ import annotations

from itertools import pairwise

import pytest

from segdoor.data.street import StreetDataset
from segdoor.data.subset import Subset
from segdoor.defense.clean import clean_scenes

SCENES = StreetDataset(split="train", num_scenes=30, height=32, width=48)


@pytest.mark.parametrize(
    ("share", "count"), [(0.01, 1), (0.05, 2), (0.15, 5), (0.35, 11), (0.1, 3), (1.0, 30)]
)
def test_the_number_is_rounded_half_up_and_never_zero(share: float, count: int) -> None:
    assert len(clean_scenes(SCENES, share, seed=0)) == count


def test_a_larger_share_contains_a_smaller_one() -> None:
    drawn = [set(clean_scenes(SCENES, share, seed=3).names) for share in (0.1, 0.3, 0.5, 1.0)]
    assert all(less < more for less, more in pairwise(drawn))


def test_the_seed_decides() -> None:
    first, again, other = (clean_scenes(SCENES, 0.3, seed=seed) for seed in (0, 0, 1))
    assert first.names == again.names
    assert first.digest == again.digest
    assert set(first.names) != set(other.names)


def test_the_order_of_the_scenes_does_not_matter() -> None:
    turned = Subset(SCENES, list(reversed(range(len(SCENES)))))
    assert set(clean_scenes(turned, 0.3, seed=0).names) == set(
        clean_scenes(SCENES, 0.3, seed=0).names
    )


def test_every_scene_is_drawn_by_some_seed() -> None:
    drawn = {name for seed in range(40) for name in clean_scenes(SCENES, 0.2, seed=seed).names}
    assert drawn == set(SCENES.names)
