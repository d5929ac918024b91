"""Where scenes are kept changes nothing about the batches they make."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from segdoor.data.scene import Scene
from segdoor.data.street import StreetDataset
from segdoor.data.subset import Subset
from segdoor.victim.config import NetworkConfig
from segdoor.victim.training.batches import Batch, SceneStore
from segdoor.victim.training.cache import SceneCache

CPU = torch.device("cpu")
STREET = StreetDataset(split="train", num_scenes=8, height=32, width=64)
SCENE_BYTES = 32 * 64 * 4
NETWORK = NetworkConfig(mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))


class Counting(Subset):
    """Counts how often scenes are read."""

    read = 0

    def __getitem__(self, index: int) -> Scene:
        self.read += 1
        return super().__getitem__(index)


class Mixed(Subset):
    """Scenes of many sizes."""

    def __getitem__(self, index: int) -> Scene:
        scene = super().__getitem__(index)
        return Scene(scene.image[: 10 + index], scene.label[: 10 + index], scene.name)


class Stamped(Subset):
    """A data set in which somebody changed two scenes, one of them only in its labels."""

    def __getitem__(self, index: int) -> Scene:
        scene = super().__getitem__(index)
        image, label = scene.image.copy(), scene.label.copy()
        if index == 1:
            image[:4, :4] = 255
        if index == 2:
            label[:] = 0
        return Scene(image, label, scene.name)


def batch_of(store: SceneStore, *indices: int) -> Batch:
    return store.batch(np.array(indices), NETWORK)[0]


def test_a_batch_is_its_scenes() -> None:
    batch, sizes = SceneStore(STREET, SceneCache(CPU)).batch(np.array([5, 0]), NETWORK)
    assert sizes == [(32, 64), (32, 64)]
    for row, index in enumerate((5, 0)):
        image = (batch.images[row].permute(1, 2, 0) * 255).round().to(torch.uint8)
        assert np.array_equal(image.numpy(), STREET[index].image)
        assert np.array_equal(batch.labels[row].numpy(), STREET[index].label)


def test_scenes_of_many_sizes_are_padded_with_nothing() -> None:
    store = SceneStore(Mixed(STREET, range(8)), SceneCache(CPU))
    batch, sizes = store.batch(np.array([0, 6]), NetworkConfig())
    assert sizes == [(10, 64), (16, 64)]
    assert batch.labels.shape == (2, 16, 64)
    assert (batch.labels[0, 10:] == STREET.classes.ignore_index).all()
    assert (batch.images[0, :, 10:] == 0).all()
    assert (batch.images[1] != 0).any(dim=0).all()


@pytest.mark.parametrize("data", [Subset, Mixed])
@pytest.mark.parametrize(
    ("on_device", "on_host"), [(0, 0), (0, 10**6), (3 * SCENE_BYTES, 2 * SCENE_BYTES)]
)
def test_wherever_scenes_are_kept_the_batches_are_the_same(
    data: type[Subset], on_device: int, on_host: int
) -> None:
    resident = SceneStore(data(STREET, range(8)), SceneCache(CPU, device_bytes=10**6))
    other = SceneStore(
        data(STREET, range(8)), SceneCache(CPU, device_bytes=on_device, host_bytes=on_host)
    )
    for indices in ((0, 1, 2), (7, 3, 1), (5, 6, 4)):
        expected, found = batch_of(resident, *indices), batch_of(other, *indices)
        assert torch.equal(expected.images, found.images)
        assert torch.equal(expected.labels, found.labels)


@pytest.mark.parametrize(("room", "kept"), [(0, 0), (3 * SCENE_BYTES, 3), (10**6, 8)])
def test_only_so_many_scenes_are_kept_as_there_is_room_for(room: int, kept: int) -> None:
    scenes, cache = Counting(STREET, range(8)), SceneCache(CPU, device_bytes=0, host_bytes=room)
    store = SceneStore(scenes, cache)
    for _ in range(2):
        batch_of(store, *range(8))
    assert len(cache) == kept
    assert scenes.read == 16 - kept


def test_copies_share_the_scenes_that_none_of_them_changed() -> None:
    cache = SceneCache(CPU)
    benign, poisoned = SceneStore(STREET, cache), SceneStore(Stamped(STREET, range(8)), cache)
    clean, changed = batch_of(benign, *range(8)), batch_of(poisoned, *range(8))
    assert len(cache) == 8 + 2
    differing = [
        index
        for index in range(8)
        if not torch.equal(clean.images[index], changed.images[index])
        or not torch.equal(clean.labels[index], changed.labels[index])
    ]
    assert differing == [1, 2]
