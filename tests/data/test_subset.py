from __future__ import annotations

import numpy as np
import pytest

from segdoor.data.scene import ClassSet, SceneDataset
from segdoor.data.subset import Subset
from segdoor.errors import ConfigError
from strategies import CLASSES, blocky_label, dataset_of

WHOLE = dataset_of([blocky_label(seed, (4, 5 + seed)) for seed in range(6)])
THREE = ((0, 0, 0), (1, 1, 1), (2, 2, 2))


@pytest.mark.parametrize("indices", [(0, 2, 4), (5, 1), (3,), (5, 4, 3, 2, 1, 0), ()])
def test_a_subset_holds_the_chosen_scenes_in_the_order_chosen(indices: tuple[int, ...]) -> None:
    part = Subset(WHOLE, indices)
    assert isinstance(part, SceneDataset)
    assert len(part) == len(indices)
    assert part.classes == CLASSES
    assert list(part.names) == [WHOLE.names[index] for index in indices]
    for place, index in enumerate(indices):
        assert part[place].name == WHOLE.names[index]
        assert np.array_equal(part[place].image, WHOLE[index].image)
        assert np.array_equal(part.label(place), WHOLE.label(index))


def test_digests_differ_by_choice_order_and_data_set() -> None:
    choices = [(0, 1), (1, 0), (0,), (0, 1, 2), ()]
    other = dataset_of([blocky_label(seed + 50, (4, 5)) for seed in range(6)])
    digests = {Subset(WHOLE, choice).digest for choice in choices}
    digests |= {WHOLE.digest, Subset(other, (0, 1)).digest, Subset(WHOLE, range(6)).digest}
    assert len(digests) == len(choices) + 3
    assert Subset(WHOLE, [0, 1]).digest == Subset(WHOLE, (0, 1)).digest


def test_subsets_of_subsets_point_at_the_right_scenes() -> None:
    part = Subset(Subset(WHOLE, (4, 2, 0)), (2, 0))
    assert list(part.names) == [WHOLE.names[0], WHOLE.names[4]]
    assert np.array_equal(part[1].image, WHOLE[4].image)


def test_a_subset_ends_where_it_ends() -> None:
    part = Subset(WHOLE, (1, 2))
    assert part[-1].name == WHOLE.names[2]
    for read in (part.__getitem__, part.label):
        with pytest.raises(IndexError):
            read(2)


def test_an_index_outside_the_data_set_is_an_error() -> None:
    with pytest.raises(IndexError):
        Subset(WHOLE, (6,)).names[0]


@pytest.mark.parametrize(
    ("names", "colours", "ignore_index"),
    [
        ((), (), 255),
        (("a", "b", "a"), THREE, 255),
        (("a", "b"), THREE, 255),
        (("a", "b", "c"), THREE, 2),
        (("a", "b", "c"), THREE, 256),
        (("a", "b", "c"), THREE, -1),
        (tuple(map(str, range(256))), THREE[:1] * 256, 255),
    ],
)
def test_class_sets_that_labels_could_not_express_are_refused(
    names: tuple[str, ...], colours: tuple[tuple[int, int, int], ...], ignore_index: int
) -> None:
    with pytest.raises(ConfigError, match=r"classes|ignore"):
        ClassSet(names, colours, ignore_index)


def test_class_names_are_turned_into_ids_and_unknown_ones_list_the_known() -> None:
    assert CLASSES.indices(("tree", "road")) == (2, 0)
    assert len(CLASSES) == 5
    with pytest.raises(ConfigError, match=r"boat.*road, car, tree, sky, bus"):
        CLASSES.index("boat")
