"""TeCo: corrupt the image in several ways, and compare how long predictions withstand each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import ClassVar

import cv2
import numpy as np
from pydantic import Field
from torch import nn

from segdoor.defense.asking import Asker, stream_of
from segdoor.defense.defense import Access, DefenseContext, Evidence
from segdoor.defense.detectors.detector import Alarm, Detector, Judge
from segdoor.plugins import Introduction
from segdoor.tensors import AnyImage, AnyLabel, Suspicions

_SEVERITIES = 5
_LEAST = 0.005


class Teco(Detector):
    """Score an image by how unevenly one class withstands different corruptions."""

    kind: ClassVar[str] = "teco"
    main: ClassVar[str | None] = "overlap"
    access: ClassVar[frozenset[Access]] = frozenset({"black box"})
    introduction: ClassVar[Introduction] = Introduction(
        source="Liu et al., TeCo (CVPR 2023), mapped to pixels; corruptions of Hendrycks and "
        "Dietterich (ICLR 2019)",
        does="Corrupts the image in eight ways and five strengths: a trigger withstands some "
        "corruptions and not others, so predictions flip early here and late there.",
        needs="41 forward passes an image; no clean scenes.",
        fails="Where clean predictions withstand corruptions unevenly too, as those of networks "
        "that were trained without any; small regions flip early whatever is done.",
    )

    overlap: float = Field(default=0.5, gt=0, lt=1)
    """A class has flipped where the IoU of its region before and after is below this."""

    def judge(self, model: nn.Module, context: DefenseContext) -> Judge:
        """Return what judges an image by the corruptions that its classes withstand."""
        asker = Asker.of(model, context)

        def look(image: AnyImage) -> Alarm:
            label = asker.label(image)
            classes, counts = np.unique(label, return_counts=True)
            shown = [int(c) for c in classes[counts >= max(1.0, _LEAST * label.size)]]
            pictures = _corrupted(image, context.seed)
            overlaps = [overlaps_of(label, after, shown) for after in asker.labels(pictures)]
            # Deviation 79: TeCo waits for one class to flip. Here each predicted class has a first
            # strength at which its region is no longer itself, and the most uneven one counts.
            uneven = unevenness_of(np.array(overlaps), self.overlap)
            worst = int(uneven.argmax())
            score = float(uneven[worst])
            if score <= 0:
                return Alarm(0.0)
            says = "This class withstands some corruptions of the image and flips early in others."
            return Alarm(score, label == shown[worst], (Evidence(says, classes=(shown[worst],)),))

        return look


def overlaps_of(before: AnyLabel, after: AnyLabel, classes: list[int]) -> Suspicions:
    """Return for each class the IoU of its regions in two label maps."""
    found = np.zeros(len(classes))
    for row, index in enumerate(classes):
        one, other = before == index, after == index
        found[row] = (one & other).sum() / (one | other).sum()
    return found


def unevenness_of(overlaps: np.ndarray, least: float) -> Suspicions:
    """Return for each class the standard deviation of the strength at which it first flips.

    Args:
        overlaps: IoU for each corrupted image and class; five rows a corruption, rising strengths.
        least: Below this a class has flipped.
    """
    flipped = overlaps.reshape(-1, _SEVERITIES, overlaps.shape[-1]) < least
    first = np.where(flipped.any(axis=1), flipped.argmax(axis=1) + 1, _SEVERITIES + 1)
    return first.std(axis=0)


def _corrupted(image: AnyImage, seed: int) -> Iterator[AnyImage]:
    """Yield the image in every corruption and strength."""
    values = image.astype(np.float32) / 255
    for name, corrupt in _CORRUPTIONS.items():
        for severity in range(_SEVERITIES):
            rng = stream_of(image, "teco", seed).child(name, severity).generator()
            found = corrupt(values, severity, rng)
            yield np.clip(np.rint(found * 255), 0, 255).astype(np.uint8)


_Corruption = Callable[[np.ndarray, int, np.random.Generator], np.ndarray]


def _noise(values: np.ndarray, severity: int, rng: np.random.Generator) -> np.ndarray:
    deviation = (0.08, 0.12, 0.18, 0.26, 0.38)[severity]
    return values + rng.normal(0, deviation, values.shape)


def _shot(values: np.ndarray, severity: int, rng: np.random.Generator) -> np.ndarray:
    photons = (60, 25, 12, 5, 3)[severity]
    return rng.poisson(values * photons) / photons


def _impulse(values: np.ndarray, severity: int, rng: np.random.Generator) -> np.ndarray:
    share = (0.03, 0.06, 0.09, 0.17, 0.27)[severity]
    drawn = rng.random(values.shape)
    return np.where(drawn < share / 2, 0.0, np.where(drawn < share, 1.0, values))


def _defocus(values: np.ndarray, severity: int, rng: np.random.Generator) -> np.ndarray:
    del rng
    radius = (3, 4, 6, 8, 10)[severity]
    across = np.arange(-radius, radius + 1)
    disc = (across[:, None] ** 2 + across**2 <= radius**2).astype(np.float32)
    return _filtered(values, disc)


def _motion(values: np.ndarray, severity: int, rng: np.random.Generator) -> np.ndarray:
    del rng
    length = (5, 9, 13, 17, 21)[severity]
    return _filtered(values, np.ones((1, length), np.float32))


def _brightness(values: np.ndarray, severity: int, rng: np.random.Generator) -> np.ndarray:
    del rng
    return values + (0.1, 0.2, 0.3, 0.4, 0.5)[severity]


def _contrast(values: np.ndarray, severity: int, rng: np.random.Generator) -> np.ndarray:
    del rng
    mean = values.mean(axis=(0, 1), keepdims=True)
    return (values - mean) * (0.4, 0.3, 0.2, 0.1, 0.05)[severity] + mean


def _pixelate(values: np.ndarray, severity: int, rng: np.random.Generator) -> np.ndarray:
    del rng
    height, width = values.shape[:2]
    share = (0.6, 0.5, 0.4, 0.3, 0.25)[severity]
    small = max(1, round(width * share)), max(1, round(height * share))
    shrunk = cv2.resize(values, small, interpolation=cv2.INTER_AREA)
    return cv2.resize(shrunk, (width, height), interpolation=cv2.INTER_NEAREST)


def _filtered(values: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    return cv2.filter2D(values, -1, kernel / kernel.sum(), borderType=cv2.BORDER_REFLECT)


_CORRUPTIONS: dict[str, _Corruption] = {
    "noise": _noise,
    "shot": _shot,
    "impulse": _impulse,
    "defocus": _defocus,
    "motion": _motion,
    "brightness": _brightness,
    "contrast": _contrast,
    "pixelate": _pixelate,
}
