"""Methods and a network of strangers for the tests of the bench; some of them misbehave."""

from __future__ import annotations

import copy
from typing import ClassVar

import numpy as np
import torch
from pydantic import Field
from torch import nn

from defense.foreign import TOLD
from defense.planted import planted_network
from segdoor.data.scene import SceneDataset
from segdoor.defense.defense import Access, DefenseContext
from segdoor.defense.detectors.detector import Alarm, Detector, Judge
from segdoor.defense.filters.filter import Filter, FilterContext, Suspicion
from segdoor.defense.purifiers.purifier import Purifier, PurifierContext, View
from segdoor.defense.repairs.repair import Passes, Repair, RepairContext, Repaired
from segdoor.defense.scans.scan import Findings, Scan, ScanContext, Suspect
from segdoor.plugins import Introduction

CALLS: list[str] = []
"""What was called, for tests of what is not done twice."""


class StoppedError(BaseException):
    """Stands for the sudden end of a process."""


def planted(num_classes: int) -> nn.Module:
    """Build the network whose backdoor is known; weights are loaded into it."""
    assert num_classes == 5
    return planted_network()


def _sticker_channel(model: nn.Module, image: np.ndarray, context: DefenseContext) -> torch.Tensor:
    pixels = torch.tensor(image).permute(2, 0, 1).float() / 255
    mean, std = (
        torch.tensor(v)[:, None, None] for v in (context.network.mean, context.network.std)
    )
    with torch.no_grad():
        return model.look_norm(model.look(((pixels - mean) / std)[None]))[0, 6]


class Template(Detector):
    """Looks at the one channel of the planted network that answers to its sticker."""

    introduction: ClassVar[Introduction] = TOLD
    access: ClassVar[frozenset[Access]] = frozenset({"white box"})

    def judge(self, model: nn.Module, context: DefenseContext) -> Judge:
        CALLS.append("judge")
        return lambda image: Alarm(float(_sticker_channel(model, image, context).max()))


class Uncovered(Purifier):
    """Paints grey over whatever the sticker's channel answers to."""

    introduction: ClassVar[Introduction] = TOLD
    access: ClassVar[frozenset[Access]] = frozenset({"white box"})

    def views(self, image: np.ndarray, context: PurifierContext) -> tuple[View, ...]:
        found = _sticker_channel(context.model, image, context)
        if float(found.max()) < 0.5:
            return (View(image),)
        row, column = divmod(int(found.argmax()), found.shape[1])
        clean = image.copy()
        clean[max(0, row - 6) : row + 6, max(0, column - 6) : column + 6] = (77, 153, 230)
        return (View(clean),)


class Silencer(Repair):
    """Silences the channel of the planted network that answers to its sticker."""

    introduction: ClassVar[Introduction] = TOLD
    strength: ClassVar[str | None] = "keep"
    sweep: ClassVar[tuple[float, ...]] = (0.0, 1.0)
    share: float = Field(default=0.0, ge=0, le=1)
    """Share of clean scenes."""
    keep: float = Field(default=0.0)
    """What is left of the channel."""

    def __call__(self, model: nn.Module, scenes: SceneDataset, context: RepairContext) -> Repaired:
        repaired = copy.deepcopy(model)
        with torch.no_grad():
            repaired.look.weight[6] *= self.keep
            repaired.look.bias[6] *= self.keep
            repaired.look_norm.weight[6] *= self.keep
            repaired.look_norm.bias[6] *= self.keep
        return Repaired(repaired, "look", ("one channel silenced",), Passes(0, 0))


class Seeker(Silencer):
    """Silences the sticker's channel if it searched for it, as repairs with patches do."""

    strength: ClassVar[str | None] = None
    searches: ClassVar[str | None] = "stride"
    stride: float = Field(default=0.1, ge=0)
    """Length of a step of the search."""

    def __call__(self, model: nn.Module, scenes: SceneDataset, context: RepairContext) -> Repaired:
        if self.stride:
            return super().__call__(model, scenes, context)
        return Repaired(copy.deepcopy(model), None, ("nothing found",), Passes(3, 2))


class Names(Scan):
    """Takes a model for backdoored if its sticker's channel has weights."""

    introduction: ClassVar[Introduction] = TOLD
    access: ClassVar[frozenset[Access]] = frozenset({"white box"})

    def findings(self, model: nn.Module, context: ScanContext) -> Findings:
        score = float(model.look.weight[6].detach().abs().sum())
        return Findings((Suspect(0, score, 1),), backdoored=score > 0)


class Broken(Filter):
    """Raises something of its own."""

    introduction: ClassVar[Introduction] = TOLD
    access: ClassVar[frozenset[Access]] = frozenset({"data"})

    def suspicion(self, scenes: SceneDataset, context: FilterContext) -> Suspicion:
        raise ZeroDivisionError("my own\nmistake")


class NamesOnly(Filter):
    """Draws a score for each scene from its name; may stop at a call of a certain number."""

    introduction: ClassVar[Introduction] = TOLD
    access: ClassVar[frozenset[Access]] = frozenset({"data"})
    stop_at: ClassVar[int | None] = None
    fail_at: ClassVar[int | None] = None

    def suspicion(self, scenes: SceneDataset, context: FilterContext) -> Suspicion:
        CALLS.append(f"suspicion of {len(scenes)}")
        if self.stop_at is not None and len(CALLS) == self.stop_at:
            raise StoppedError
        if self.fail_at is not None and len(CALLS) == self.fail_at:
            raise RuntimeError("out of ideas")
        # Whole numbers: two scenes may have the same.
        return Suspicion({name: float(sum(map(ord, name)) % 7) for name in scenes.names})
