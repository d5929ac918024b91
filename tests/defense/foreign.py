"""Methods of defense as strangers write them: small, but they do what they say."""

from __future__ import annotations

from typing import ClassVar

import cv2
import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from segdoor.data.scene import SceneDataset
from segdoor.defense.defense import Access, DefenseContext, Evidence
from segdoor.defense.detectors.detector import Alarm, Detector, Judge
from segdoor.defense.filters.filter import Filter, FilterContext, Suspicion
from segdoor.defense.purifiers.purifier import Purifier, PurifierContext, View
from segdoor.defense.scans.scan import Findings, Scan, ScanContext, Suspect
from segdoor.plugins import Introduction
from segdoor.victim.answer import logits_of

TOLD = Introduction(
    source="a test of segdoor",
    does="Does something simple that a test can compute again.",
    needs="Nothing but what it is given.",
    fails="Whenever a trigger is clever.",
)


def logits(model: nn.Module, image: np.ndarray, context: DefenseContext) -> Tensor:
    """Return a model's logits for one picture, K x h x w."""
    pixels = torch.tensor(image).permute(2, 0, 1).float() / 255
    mean, std = (
        torch.tensor(v)[:, None, None] for v in (context.network.mean, context.network.std)
    )
    with torch.no_grad():
        return logits_of(model(((pixels - mean) / std)[None]))[0]


class ClassShares(Filter):
    """Scores a scene by how far its shares of the classes are from those of all scenes."""

    main: ClassVar[str | None] = "power"
    introduction: ClassVar[Introduction] = TOLD
    access: ClassVar[frozenset[Access]] = frozenset({"data"})
    power: float = Field(default=1.0, gt=0)
    """Exponent of the distance of each class."""

    def suspicion(self, scenes: SceneDataset, context: FilterContext) -> Suspicion:
        labels = [scenes.label(index) for index in range(len(scenes))]
        known = len(scenes.classes)
        shares = np.array([np.bincount(a[a < known], minlength=known) / a.size for a in labels])
        far = np.abs(shares - shares.mean(axis=0)) ** self.power
        scores = dict(zip(scenes.names, far.sum(axis=1).tolist(), strict=True))
        first = max(scores, key=scores.__getitem__)
        odd = int(far[list(scenes.names).index(first)].argmax())
        label = labels[list(scenes.names).index(first)]
        evidence = Evidence(
            says="This class has an unusual share.", scene=first, box=(0, 0, *label.shape),
            classes=(odd,), score=scores[first], picture=np.zeros((8, 9, 3), np.uint8),
        )  # fmt: skip
        return Suspicion(scores, {first: label == odd}, (evidence,))


class Entropy(Detector):
    """Scores an image by how unsure the model is, in units of what it is on clean scenes."""

    introduction: ClassVar[Introduction] = TOLD
    access: ClassVar[frozenset[Access]] = frozenset({"black box", "clean scenes"})

    def judge(self, model: nn.Module, context: DefenseContext) -> Judge:
        def unsure(image: np.ndarray) -> float:
            shares = logits(model, image, context).softmax(0)
            return float(-(shares * shares.clamp_min(1e-12).log()).sum(0).mean())

        clean = context.clean
        usual = np.mean([unsure(clean[index].image) for index in range(len(clean))])
        return lambda image: Alarm(unsure(image) / usual)


class Median(Purifier):
    """Replaces every pixel by the median around it."""

    main: ClassVar[str | None] = "size"
    introduction: ClassVar[Introduction] = TOLD
    access: ClassVar[frozenset[Access]] = frozenset()
    size: int = Field(default=3, ge=3, le=31)
    """Pixels of the window's side, an odd number."""

    def views(self, image: np.ndarray, context: PurifierContext) -> tuple[View, ...]:
        return (View(cv2.medianBlur(image, self.size)),)


class Shifted(Purifier):
    """Shows the image at several random places of a larger frame, and undoes that afterwards."""

    main: ClassVar[str | None] = "count"
    introduction: ClassVar[Introduction] = TOLD
    access: ClassVar[frozenset[Access]] = frozenset()
    count: int = Field(default=3, ge=1)
    """Views."""

    def views(self, image: np.ndarray, context: PurifierContext) -> tuple[View, ...]:
        rng = np.random.default_rng(context.seed)
        return tuple(self._view(image, *rng.integers(0, 5, 2)) for _ in range(self.count))

    def _view(self, image: np.ndarray, top: int, left: int) -> View:
        height, width = image.shape[:2]
        frame = np.zeros((height + 4, width + 4, 3), np.uint8)
        frame[top : top + height, left : left + width] = image
        return View(frame, lambda label: label[top : top + height, left : left + width])


class Margin(Scan):
    """Scores a class by how far its logits are above the best other one, over clean scenes."""

    introduction: ClassVar[Introduction] = TOLD
    access: ClassVar[frozenset[Access]] = frozenset({"black box", "clean scenes"})

    def findings(self, model: nn.Module, context: ScanContext) -> Findings:
        scores = self._margins(model, context)
        null = [self._margins(clean, context) for clean in context.clean_models]
        suspects = tuple(
            Suspect(target=index, score=score, null=tuple(one[index] for one in null))
            for index, score in enumerate(scores)
        )
        if not null:
            return Findings(suspects, not_run="No clean models to compare with.")
        return Findings(suspects, backdoored=max(scores) > max(map(max, null)))

    def _margins(self, model: nn.Module, context: ScanContext) -> list[float]:
        clean = context.clean
        total = []
        for number in range(len(clean)):
            found = logits(model, clean[number].image, context)
            best = found.topk(2, dim=0).values
            others = torch.where(found == best[0], best[1], best[0])
            total.append((found - others).mean(dim=(1, 2)))
        return torch.stack(total).mean(0).tolist()
