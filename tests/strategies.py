"""Shared by the tests: Hypothesis strategies, a data set in memory, small label maps."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from segdoor.data.scene import ClassSet, Scene

# The suite runs the same examples every time; HYPOTHESIS_PROFILE=search looks for new ones.
settings.register_profile(
    "repeatable", deadline=None, derandomize=True, database=None, max_examples=50
)
settings.register_profile("search", deadline=None, max_examples=1000, database=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))

IGNORED = 255
ROAD, CAR, TREE, SKY, BUS = range(5)
CLASSES = ClassSet(
    names=("road", "car", "tree", "sky", "bus"),
    colours=((128, 64, 128), (0, 0, 142), (107, 142, 35), (70, 130, 180), (0, 60, 100)),
    ignore_index=IGNORED,
)


class MemoryDataset:
    """Scenes from memory, written for the tests alone; a `SceneDataset`."""

    def __init__(self, scenes: Sequence[Scene], classes: ClassSet = CLASSES) -> None:
        self.scenes = tuple(scenes)
        self.classes = classes
        self.names = tuple(scene.name for scene in scenes)

    @property
    def digest(self) -> str:
        total = hashlib.sha256(repr((self.names, self.classes)).encode())
        for scene in self.scenes:
            total.update(repr(scene.label.shape).encode())
            total.update(scene.image.tobytes() + scene.label.tobytes())
        return total.hexdigest()

    def __len__(self) -> int:
        return len(self.scenes)

    def __getitem__(self, index: int) -> Scene:
        return self.scenes[index]

    def label(self, index: int) -> np.ndarray:
        return self.scenes[index].label


def scene_of(label: np.ndarray, name: str, *, seed: int = 0) -> Scene:
    rng = np.random.default_rng([seed, label.size])
    image = rng.integers(0, 256, (*label.shape, 3), dtype=np.uint8)
    return Scene(image, label.astype(np.uint8), name)


def dataset_of(labels: Sequence[np.ndarray]) -> MemoryDataset:
    return MemoryDataset(
        [scene_of(label, f"scene_{i:03d}", seed=i) for i, label in enumerate(labels)]
    )


def blocky_label(
    seed: int,
    shape: tuple[int, int] = (20, 30),
    values: Sequence[int] = (ROAD, ROAD, ROAD, CAR, TREE, IGNORED),
    block: int = 5,
) -> np.ndarray:
    rng = np.random.default_rng(seed)
    rows, columns = -(-shape[0] // block), -(-shape[1] // block)
    coarse = rng.choice(np.array(values, dtype=np.uint8), size=(rows, columns))
    return np.kron(coarse, np.ones((block, block), np.uint8))[: shape[0], : shape[1]]


@st.composite
def label_maps(
    draw: st.DrawFn,
    values: Sequence[int] = (ROAD, CAR, TREE, SKY, BUS, IGNORED),
    max_side: int = 12,
) -> np.ndarray:
    """Small label maps, noisy or made of blocks, from 1 x 1 pixels on."""
    height, width = draw(st.integers(1, max_side)), draw(st.integers(1, max_side))
    block = draw(st.integers(1, 5))
    few = draw(st.lists(st.sampled_from(list(values)), min_size=1, max_size=4))
    shape = -(-height // block), -(-width // block)
    coarse = draw(arrays.arrays(np.uint8, shape, elements=st.sampled_from(few)))
    return np.kron(coarse, np.ones((block, block), np.uint8))[:height, :width].copy()


def confusion(
    truth: np.ndarray, predicted: np.ndarray, num_classes: int, ignore_index: int
) -> np.ndarray:
    """Count pixels by true (row) and predicted (column) class, plainly."""
    counted = truth != ignore_index
    table = np.zeros((num_classes, num_classes), np.int64)
    np.add.at(table, (truth[counted], predicted[counted]), 1)
    return table


def confusion_tables(num_classes: int, most: int = 40) -> st.SearchStrategy[np.ndarray]:
    """K x K tables of counts in which whole classes are sometimes absent."""
    counts = st.one_of(st.just(0), st.integers(0, most))
    return arrays.arrays(np.int64, (num_classes, num_classes), elements=counts)
