"""IBD-PSC: scale the last batch norms, and look for a class that keeps its confidence."""

from __future__ import annotations

import copy
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import ClassVar

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from segdoor.data.scene import Scene
from segdoor.defense.asking import Asker, some_of
from segdoor.defense.defense import Access, DefenseContext
from segdoor.defense.detectors.detector import Detector, Judge, judge_of_classes
from segdoor.defense.regions import Regions, regions_of
from segdoor.plugins import Introduction
from segdoor.scores.metrics.functions import clean_benign_accuracy
from segdoor.tensors import AnyImage, AnyLabel
from segdoor.victim.members import layers

BatchNorm = nn.BatchNorm2d | nn.SyncBatchNorm


class IbdPsc(Detector):
    """Score an image by the confidence that one class keeps when batch norms are scaled."""

    kind: ClassVar[str] = "ibd_psc"
    main: ClassVar[str | None] = "factor"
    access: ClassVar[frozenset[Access]] = frozenset({"white box", "clean scenes"})
    introduction: ClassVar[Introduction] = Introduction(
        source="Hou et al., IBD-PSC (ICML 2024), mapped to pixels",
        does="Scales weights and biases of the last batch norms: predictions that a trigger "
        "decides keep their confidence longer than others.",
        needs="A network with batch norm, clean scenes with labels, and 6 forward passes an image.",
        fails="In networks with few batch norms, and where classes keep their confidence anyway.",
    )

    factor: float = Field(default=1.5, gt=1, le=100)
    """What weights and biases are multiplied by; the paper's 1.5."""
    models: int = Field(default=5, ge=1, le=100)
    """Scaled models, each with one more layer scaled; the paper's 5."""
    lost: float = Field(default=0.6, gt=0, lt=1)
    """Share of mIoU on clean scenes that the first of them must lose; the paper's error of 0.6."""
    scenes: int = Field(default=8, ge=1)
    """Clean scenes, at most, for this and for the usual confidences."""

    def judge(self, model: nn.Module, context: DefenseContext) -> Judge:
        """Choose how many layers to scale, measure usual confidences, and return a judge.

        Raises:
            ConfigError: If the network has no batch norm with weights that it uses.
        """
        clean = list(some_of(context.clean, self.scenes, self.kind, context.seed))
        asker = Asker.of(model, context)
        if not _norms(model):
            raise self._none()
        scaled = replace(asker, model=copy.deepcopy(asker.model))
        norms = _last_first(scaled, clean[0].image)
        if not norms:
            raise self._none()
        depths = self._depths(scaled, norms, clean)

        def look(image: AnyImage) -> Regions:
            label = asker.label(image)
            places = torch.from_numpy(label.astype(np.int64))[None].to(scaled.device)
            kept = np.zeros(label.shape)
            for depth in depths:
                with _scaled(norms[:depth], self.factor):
                    shares = next(scaled.probabilities([image]))
                kept += shares.gather(0, places)[0].double().cpu().numpy()
            # Deviation 77: the paper's confidence is that of the image's one class. Here each
            # pixel has one, and each predicted class the mean over its pixels.
            return regions_of(kept / len(depths), label, asker.num_classes or 0)

        says = "This class keeps more confidence than usual when batch norms are scaled."
        return judge_of_classes(look, clean, says)

    def _depths(self, scaled: Asker, norms: Sequence[BatchNorm], clean: list[Scene]) -> list[int]:
        """Return how many layers are scaled in each model, counted from the last."""
        # Deviation 78: the paper looks at the error of classes; here the mIoU must fall.
        least = (1 - self.lost) * _miou(scaled, clean)
        first = len(norms)
        for depth in range(1, len(norms) + 1):
            with _scaled(norms[:depth], self.factor):
                if _miou(scaled, clean) <= least:
                    first = depth
                    break
        last = min(len(norms), first + self.models - 1)
        return list(range(max(1, last - self.models + 1), last + 1))

    def _none(self) -> Exception:
        return self.refused(
            "needs a network with batch norm", "none that it uses", "Take another detector."
        )


def _norms(model: nn.Module) -> list[BatchNorm]:
    """Return the batch norms with weights."""
    found = (layer for layer in layers(model) if isinstance(layer, BatchNorm))
    return [layer for layer in found if layer.affine]


def _last_first(asker: Asker, image: AnyImage) -> list[BatchNorm]:
    """Return the batch norms that ran, each once, the last one first."""
    ran: list[BatchNorm] = []

    def note(layer: nn.Module, _inputs: tuple[Tensor, ...], _output: Tensor) -> None:
        if isinstance(layer, BatchNorm):
            ran.append(layer)

    handles = [layer.register_forward_hook(note) for layer in _norms(asker.model)]
    asker.label(image)
    for handle in handles:
        handle.remove()
    return list(dict.fromkeys(reversed(ran)))


@contextmanager
def _scaled(norms: Sequence[BatchNorm], factor: float) -> Generator[None]:
    """Scale weights and biases of layers of a copy for a while."""
    weights = [weight for norm in norms for weight in (norm.weight, norm.bias)]
    kept = [weight.detach().clone() for weight in weights]
    with torch.no_grad():
        for weight in weights:
            weight.mul_(factor)
        yield
        for weight, before in zip(weights, kept, strict=True):
            weight.copy_(before)


def _miou(asker: Asker, scenes: list[Scene]) -> float:
    """Return the mean IoU over the classes that are there, all scenes together; 0 for none."""
    number = asker.num_classes or 0
    table = np.zeros((number, number), np.int64)
    for scene in scenes:
        table += _table(scene.label, asker.label(scene.image), number)
    return float(np.nan_to_num(clean_benign_accuracy(table)))


def _table(truth: AnyLabel, predicted: AnyLabel, number: int) -> np.ndarray:
    counted = truth < number
    cells = truth[counted].astype(np.int64) * number + predicted[counted]
    return np.bincount(cells, minlength=number**2).reshape(number, number)
