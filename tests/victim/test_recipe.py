"""The recipes against semseg's own steps, taken here one by one with OpenCV."""

from __future__ import annotations

import math
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from scipy import stats

from segdoor.data.street import StreetDataset
from segdoor.victim.config import PRESETS, AugmentationConfig, TrainingConfig
from segdoor.victim.training.batches import Augmentation, Batch
from segdoor.victim.training.changes import Change, draw_changes
from segdoor.victim.training.fingerprint import recipe_text

IGNORE = 255
MEAN = np.array([0.485, 0.456, 0.406], np.float32) * 255
STD = np.array([0.229, 0.224, 0.225], np.float32) * 255
DRAWS = 20_000
VOC = PRESETS["voc"].augmentation


def scene(height: int, width: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return a street scene with noise on it, so that no blur goes unseen."""
    street = StreetDataset(split="train", num_scenes=seed + 1, height=height, width=width)[seed]
    noise = np.random.default_rng(seed).integers(-40, 41, street.image.shape)
    return np.clip(street.image + noise, 0, 255).astype(np.uint8), np.array(street.label)


def batch_of(scenes: list[tuple[np.ndarray, np.ndarray]]) -> Batch:
    """Pad scenes on the lower right, as the store of scenes does."""
    height = max(label.shape[0] for _, label in scenes)
    width = max(label.shape[1] for _, label in scenes)
    images = torch.zeros(len(scenes), 3, height, width)
    labels = torch.full((len(scenes), height, width), IGNORE)
    for at, (image, label) in enumerate(scenes):
        h, w = label.shape
        normal = (image.astype(np.float32) - MEAN) / STD
        images[at, :, :h, :w] = torch.from_numpy(normal.transpose(2, 0, 1))
        labels[at, :h, :w] = torch.from_numpy(label.astype(np.int64))
    return Batch(images, labels)


def step_by_step(
    image: np.ndarray, label: np.ndarray, change: Change, crop: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Scale, rotate, blur, flip, pad and crop a scene, each with OpenCV."""
    grey, factor = image.astype(np.float32), change.scale
    grey = cv2.resize(grey, None, fx=factor, fy=factor, interpolation=cv2.INTER_LINEAR)
    label = cv2.resize(label, None, fx=factor, fy=factor, interpolation=cv2.INTER_NEAREST)
    height, width = label.shape
    if change.angle:
        turn = cv2.getRotationMatrix2D((width / 2, height / 2), math.degrees(change.angle), 1)
        grey = cv2.warpAffine(
            grey, turn, (width, height), flags=cv2.INTER_LINEAR, borderValue=MEAN.tolist()
        )
        label = cv2.warpAffine(
            label, turn, (width, height), flags=cv2.INTER_NEAREST, borderValue=IGNORE
        )
    if change.blurred:
        grey = cv2.GaussianBlur(grey, (5, 5), 0)
    if change.mirrored:
        grey, label = cv2.flip(grey, 1), cv2.flip(label, 1)
    down, right = (max(want - have, 0) for want, have in zip(crop, label.shape, strict=True))
    rims = down // 2, down - down // 2, right // 2, right - right // 2
    grey = cv2.copyMakeBorder(grey, *rims, cv2.BORDER_CONSTANT, value=MEAN.tolist())
    label = cv2.copyMakeBorder(label, *rims, cv2.BORDER_CONSTANT, value=IGNORE)
    top = int(change.down * (label.shape[0] - crop[0] + 1))
    left = int(change.right * (label.shape[1] - crop[1] + 1))
    window = slice(top, top + crop[0]), slice(left, left + crop[1])
    return grey[window], label[window]


def in_grey_levels(images: torch.Tensor) -> np.ndarray:
    return images.permute(0, 2, 3, 1).numpy() * STD + MEAN


@pytest.mark.parametrize("crop", [(40, 44), (97, 65), (160, 240)])
@pytest.mark.parametrize("seed", [0, 1])
def test_the_recipe_is_the_same_steps_in_opencv(crop: tuple[int, int], seed: int) -> None:
    scenes = [scene(60 + 9 * at, 100 - 7 * at, at) for at in range(6)]
    sizes = [(label.shape[0], label.shape[1]) for _, label in scenes]
    changes = draw_changes(VOC, 6, np.random.default_rng(seed))
    augment = Augmentation(VOC, crop, IGNORE)
    found = augment(batch_of(scenes), sizes, np.random.default_rng(seed))
    grey = in_grey_levels(found.images)
    for at, change in enumerate(changes):
        expected, labels = step_by_step(*scenes[at], change, crop)
        # OpenCV turns in steps of 1/32 of a pixel, so single pixels differ where colours jump.
        error = np.abs(grey[at] - expected)
        assert error.mean() < 0.5 if change.angle else error.max() < 0.05
        assert np.mean(found.labels[at].numpy() != labels) < (0.002 if change.angle else 1e-9)
        # Padding is the mean and ignored, to the last bit.
        outside = np.all(expected == MEAN, axis=2) & (labels == IGNORE)
        assert np.array_equal(np.all(found.images[at].numpy() == 0, axis=0), outside)


@pytest.mark.parametrize("change", ["blur", "angle"])
def test_the_comparison_with_opencv_tells_another_order_apart(change: str) -> None:
    scenes = [scene(60, 100)]
    drawn = draw_changes(VOC, 1, np.random.default_rng(3))[0]
    other = {"blur": {"blurred": not drawn.blurred}, "angle": {"angle": drawn.angle + 0.05}}
    expected, _ = step_by_step(*scenes[0], replace(drawn, **other[change]), (40, 44))
    found = Augmentation(VOC, (40, 44), IGNORE)(
        batch_of(scenes), [(60, 100)], np.random.default_rng(3)
    )
    assert np.abs(in_grey_levels(found.images)[0] - expected).mean() > 1


def test_blur_before_scaling_softens_large_scenes_more() -> None:
    scenes = [scene(60, 100)]
    sharp: list[float] = []
    for order in ("before_scaling", "after_scaling"):
        config = AugmentationConfig(scale=(2, 2), blur_probability=1, blur=order)
        found = Augmentation(config, (60, 100), IGNORE)(
            batch_of(scenes), [(60, 100)], np.random.default_rng(0)
        )
        sharp.append(float(found.images.diff(dim=3).abs().mean()))
    assert sharp[0] < 0.8 * sharp[1]


def test_what_was_turned_out_of_the_frame_stays_out_of_larger_crops() -> None:
    white = np.full((40, 40, 3), 255, np.uint8), np.zeros((40, 40), np.uint8)
    config = AugmentationConfig(
        scale=(1, 1), rotation=45, rotation_probability=1, flip_probability=0, blur="after_scaling"
    )
    found = Augmentation(config, (80, 80), IGNORE)(
        batch_of([white]), [(40, 40)], np.random.default_rng(1)
    )
    outside = torch.ones(80, 80, dtype=torch.bool)
    outside[20:60, 20:60] = False
    assert (found.labels[0][outside] == IGNORE).all()
    assert (found.images[0][:, outside] == 0).all()
    kept = AugmentationConfig(**{**config.model_dump(), "blur": "before_scaling"})
    back = Augmentation(kept, (80, 80), IGNORE)(
        batch_of([white]), [(40, 40)], np.random.default_rng(1)
    )
    assert (back.labels[0][outside] != IGNORE).any()


def test_draws_have_the_ranges_and_probabilities_of_semseg() -> None:
    changes = draw_changes(VOC, DRAWS, np.random.default_rng(5))
    scales = [change.scale for change in changes]
    assert stats.kstest(scales, stats.uniform(0.5, 1.5).cdf).pvalue > 0.01
    assert np.median([55 * scale for scale in scales]) == pytest.approx(68.75, abs=0.5)
    turned = [math.degrees(change.angle) for change in changes if change.angle]
    assert stats.kstest(turned, stats.uniform(-10, 20).cdf).pvalue > 0.01
    for name in ("down", "right"):
        places = [getattr(change, name) for change in changes]
        assert stats.kstest(places, stats.uniform(0, 1).cdf).pvalue > 0.01
    # Five standard deviations of a fair coin thrown so often.
    margin = 5 * 0.5 / math.sqrt(DRAWS)
    shares = (
        len(turned) / DRAWS,
        np.mean([change.mirrored for change in changes]),
        np.mean([change.blurred for change in changes]),
    )
    assert shares == pytest.approx((0.5, 0.5, 0.5), abs=margin)


def test_draws_have_nothing_to_do_with_one_another() -> None:
    changes = draw_changes(VOC, DRAWS, np.random.default_rng(6))
    columns = np.array([
        (c.scale, c.angle, c.mirrored, c.down, c.right, c.blurred) for c in changes
    ])  # fmt: skip
    correlation = np.corrcoef(columns.T) - np.eye(6)
    assert np.abs(correlation).max() < 5 / math.sqrt(DRAWS)


def test_crops_begin_at_every_whole_pixel_alike() -> None:
    # A ramp tells by its first pixel where the crop began.
    ramp = np.tile(np.arange(24, dtype=np.uint8), (24, 1))
    scenes = batch_of([(np.stack([ramp] * 3, axis=2), ramp)]).labels.expand(2000, -1, -1)
    config = VOC.model_copy(update={"scale": (1.0, 1.0), "rotation": 0.0, "flip_probability": 0.0})
    found = Augmentation(config, (20, 20), IGNORE)(
        Batch(torch.zeros(2000, 3, 24, 24), scenes), [(24, 24)] * 2000, np.random.default_rng(2)
    )
    begins = np.bincount(found.labels[:, 0, 0].numpy(), minlength=5)
    assert len(begins) == 5
    assert stats.chisquare(begins).pvalue > 0.01


def test_fast_draws_sizes_log_uniformly_as_before() -> None:
    fast = PRESETS["fast"].augmentation
    changes = draw_changes(fast, DRAWS, np.random.default_rng(7))
    logs = [math.log(change.scale) for change in changes]
    low, high = (math.log(limit) for limit in fast.scale)
    assert stats.kstest(logs, stats.uniform(low, high - low).cdf).pvalue > 0.01


# Computed with the code before these settings existed.
GOLDEN = {
    "fast": (
        (48, 64), [301978, 54139, 132476, 243006],
        [3041.096952, 4040.363432, 3976.536932, 3443.858859], 1.0,
    ),
    "blurred": (
        (41, 73), [516232, 136604, 197012, 203241],
        [1531.59611, 3538.531777, 3360.267299, 3704.330901], 0.568651,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", GOLDEN)
def test_settings_from_before_give_the_batches_of_before(name: str) -> None:
    crop, labels, images, pixel = GOLDEN[name]
    street = StreetDataset(split="train", num_scenes=4, height=48, width=64)
    pictures = torch.from_numpy(np.stack([street[at].image for at in range(4)]))
    maps = torch.from_numpy(np.stack([street[at].label for at in range(4)])).long()
    batch = Batch(pictures.permute(0, 3, 1, 2) / 255, maps)
    old = {"scale": (0.5, 2.0), "rotation": 10.0, "blur_probability": 0.5}
    config = PRESETS["fast"].augmentation if name == "fast" else AugmentationConfig(**old)
    rng = np.random.default_rng(3)
    found = Augmentation(config, crop, 255)(batch, [(48, 64), (40, 64), (48, 50), (30, 33)], rng)
    assert found.labels.sum((1, 2)).tolist() == labels
    assert found.images.double().sum((1, 2, 3)).tolist() == pytest.approx(images, abs=0.01)
    assert float(found.images[1, 2, 20, 30]) == pytest.approx(pixel, abs=1e-5)
    # No more and no fewer numbers were drawn.
    assert rng.random() == 0.47130966518183137


@pytest.mark.parametrize("preset", ["fast", "voc"])
def test_a_share_of_a_batch_is_changed_as_in_the_whole(preset: str) -> None:
    scenes = [scene(60, 100, at) for at in range(4)]
    augment = Augmentation(PRESETS[preset].augmentation, (50, 70), IGNORE)
    sizes = [(60, 100)] * 4
    whole = augment(batch_of(scenes), sizes, np.random.default_rng(8))
    half = augment(batch_of(scenes[2:]), sizes, np.random.default_rng(8), slice(2, 4))
    assert torch.equal(half.labels, whole.labels[2:])
    assert torch.allclose(half.images, whole.images[2:], atol=1e-3)


def test_trainings_begun_before_the_settings_came_are_known_again() -> None:
    assert recipe_text(TrainingConfig()) == (
        '{"epochs":50,"batch_size":8,"optimiser":"adamw","learning_rate":0.002,'
        '"head_multiplier":1.0,"momentum":0.9,"weight_decay":0.01,"warmup":50,"power":0.9,'
        '"auxiliary_weight":0.4,"augmentation":{"scale":[0.75,1.5],"rotation":0.0,'
        '"rotation_probability":0.5,"blur_probability":0.0,"flip_probability":0.5,"crop":null},'
        '"precision":"auto","step":"auto","device":"auto","threads":null}'
    )
    assert recipe_text(PRESETS["voc"]) != recipe_text(
        PRESETS["voc"].model_copy(
            update={"augmentation": VOC.model_copy(update={"scale_distribution": "log_uniform"})}
        )
    )
