from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from segdoor.data.street import StreetDataset
from segdoor.victim.config import AugmentationConfig
from segdoor.victim.training.batches import Augmentation, Batch

IGNORE = 255


def street_batch(count: int = 4, height: int = 48, width: int = 64) -> Batch:
    street = StreetDataset(split="train", num_scenes=count, height=height, width=width)
    images = torch.from_numpy(np.stack([street[i].image for i in range(count)]))
    labels = torch.from_numpy(np.stack([street[i].label for i in range(count)]))
    zero_to_one = images.permute(0, 3, 1, 2) / 255
    return Batch(zero_to_one, labels.long())


def augmentation(crop: tuple[int, int], **config: object) -> Augmentation:
    still = {"scale": (1.0, 1.0), "flip_probability": 0.0, **config}
    return Augmentation(AugmentationConfig(**still), crop, IGNORE)


def applied(augment: Augmentation, batch: Batch, seed: int = 0) -> Batch:
    sizes = [(batch.labels.shape[1], batch.labels.shape[2])] * len(batch.labels)
    return augment(batch, sizes, np.random.default_rng(seed))


def test_without_changes_a_batch_stays_as_it_is() -> None:
    batch = street_batch()
    after = applied(augmentation((48, 64)), batch)
    assert torch.equal(after.labels, batch.labels)
    assert torch.allclose(after.images, batch.images, atol=1e-5)


def test_mirroring_mirrors_image_and_label_alike() -> None:
    batch = street_batch()
    after = applied(augmentation((48, 64), flip_probability=1.0), batch)
    assert torch.equal(after.labels, batch.labels.flip(2))
    assert torch.allclose(after.images, batch.images.flip(3), atol=1e-4)


def test_a_crop_is_a_part_of_the_scene() -> None:
    batch = street_batch(count=1)
    after = applied(augmentation((20, 24)), batch)
    windows = batch.images[0].unfold(1, 20, 1).unfold(2, 24, 1)
    # Offsets are fractions of a pixel, so the best window is near, not equal.
    error = (windows - after.images[0][:, None, None]).abs().mean(dim=(0, 3, 4))
    assert error.min() < 0.05
    assert after.labels.shape == (1, 20, 24)


def test_what_lies_outside_is_mean_and_ignored() -> None:
    batch = street_batch(count=1)
    after = applied(augmentation((96, 128)), batch)
    ignored = after.labels[0] == IGNORE
    assert ignored[:23].all()
    assert ignored[:, :31].all()
    assert (after.images[0][:, :23] == 0).all()
    inside = after.labels[0, 24:72, 32:96]
    assert torch.equal(inside, batch.labels[0])


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_scaling_agrees_with_opencv(factor: float) -> None:
    batch = street_batch(count=1)
    size = (int(48 * factor), int(64 * factor))
    after = applied(augmentation(size, scale=(factor, factor)), batch)
    image = batch.images[0].permute(1, 2, 0).numpy()
    expected = cv2.resize(image, (size[1], size[0]), interpolation=cv2.INTER_LINEAR)
    found = after.images[0].permute(1, 2, 0).numpy()
    # At the rim OpenCV repeats the last pixel, here it fades to the mean.
    assert np.abs(expected - found)[2:-2, 2:-2].max() < 0.01


def test_rotation_turns_by_at_most_its_angle_about_the_middle() -> None:
    labels = torch.zeros(1, 65, 65, dtype=torch.int64)
    labels[:, 32, 32:] = 1
    batch = Batch(torch.zeros(1, 3, 65, 65), labels)
    angles: list[float] = []
    for seed in range(20):
        augment = augmentation((65, 65), rotation=10.0, rotation_probability=1.0)
        rows, columns = torch.nonzero(applied(augment, batch, seed).labels[0] == 1, as_tuple=True)
        far = columns.argmax()
        angles.append(float(torch.atan2(32.0 - rows[far], columns[far] - 32.0)) * 57.2958)
    assert max(np.abs(angles)) < 11.5
    assert max(angles) > 3
    assert min(angles) < -3


def test_labels_are_never_blended() -> None:
    batch = street_batch()
    augment = augmentation((40, 40), scale=(0.5, 2.0), rotation=10.0, rotation_probability=1.0)
    values = set(applied(augment, batch).labels.unique().tolist())
    assert values <= set(batch.labels.unique().tolist()) | {IGNORE}


def test_blur_agrees_with_opencv() -> None:
    batch = street_batch(count=1)
    after = applied(augmentation((48, 64), blur_probability=1.0), batch)
    image = batch.images[0].permute(1, 2, 0).numpy()
    expected = cv2.GaussianBlur(image, (5, 5), 0)
    assert np.abs(expected - after.images[0].permute(1, 2, 0).numpy()).max() < 1e-3


def test_the_same_stream_gives_the_same_batch() -> None:
    batch = street_batch()
    augment = augmentation((32, 32), scale=(0.5, 2.0), rotation=10.0)
    first, second = applied(augment, batch, 7), applied(augment, batch, 7)
    other = applied(augment, batch, 8)
    assert torch.equal(first.images, second.images)
    assert not torch.equal(first.images, other.images)
