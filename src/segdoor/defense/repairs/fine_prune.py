"""Fine-pruning: silence the channels that clean scenes use least, then train what is left."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from segdoor.data.checked import filled
from segdoor.data.scene import SceneDataset
from segdoor.data.subset import Split
from segdoor.defense.repairs.classifier import (
    Reader,
    Showing,
    check_some_left,
    find_classifier,
    mean_activations,
    reader_called,
    rising_order,
    silence,
)
from segdoor.defense.repairs.held_out import Choice, Strengths, choose, split
from segdoor.defense.repairs.repair import Passes, RepairContext, Repaired
from segdoor.defense.repairs.training import (
    Further,
    OwnLearner,
    TrainedRepair,
    passes_of,
    train_further,
)
from segdoor.plugins import Introduction
from segdoor.victim.members import evaluating, named_layers
from segdoor.victim.training.batches import Batch
from segdoor.victim.training.trainer import Variation

_MOST_TRIED = 64


class FinePrune(TrainedRepair):
    """Silence the channels that clean scenes use least, then train the rest on clean scenes."""

    kind: ClassVar[str] = "fine_prune"
    strength: ClassVar[str | None] = "channels"
    introduction: ClassVar[Introduction] = Introduction(
        source="Liu, Dolan-Gavitt and Garg, Fine-Pruning (RAID 2018)",
        does="Takes away channels that sleep on clean scenes, as many as the accuracy bears, then"
        " trains what is left on clean scenes.",
        needs="Clean training scenes, and a training of some steps on them.",
        fails="Channels that sleep on clean scenes need not be the trigger's.",
    )

    channels: int | None = Field(default=None, ge=0, examples=[3])
    """Channels to silence; as many as held-out scenes allow if left out."""
    steps: int = Field(default=190, ge=1)
    """Steps of training behind the pruning, as many as the paper's fine-tuning on a tenth of
    Cityscapes."""
    learning_rate: float | None = Field(default=None, gt=0)
    """Rate at the start, the same for all layers; a tenth of the recipe's if left out."""
    layer: str | None = Field(default=None, examples=["classifier"])
    """The convolution or linear layer that reads the channels; the classifier if left out."""

    def __call__(self, model: nn.Module, scenes: SceneDataset, context: RepairContext) -> Repaired:
        """Return the model pruned, then trained further while the silent channels stay silent."""
        self.check_given(scenes)
        parts = split(filled(scenes), context)
        showing = Showing(evaluating(copy.deepcopy(model)), parts.used, context.network, self.kind)
        layer = find_classifier(showing) if self.layer is None else self.layer
        order = rising_order(mean_activations(showing, layer))
        choice = self._choice(model, showing, layer, order, parts, context)
        weakest = order[: int(choice.value)]
        silence(reader_called(showing, layer), weakest)
        rate = self.rate(context.recipe)
        learner = partial(KeepingSilent, way=Silent(layer, weakest))
        variation = Variation(self.steps, learner, f"{self.kind} {layer} {weakest.tolist()}")
        further = Further(self.kind, rate, 1, variation)
        # What was held out has done its work: the training may use all scenes.
        trained = train_further(showing.model, scenes, context, further)
        told = (
            f"{len(weakest)} of {len(order)} channels silenced that {layer} reads",
            choice.remark,
            f"{self.steps} steps",
            f"learning rate {rate:g}",
        )
        taken = passes_of(self.steps, len(scenes), context)
        return Repaired(trained, layer, told, Passes(showing.num_shown) + choice.passes + taken)

    def _choice(
        self,
        model: nn.Module,
        showing: Showing,
        layer: str,
        order: np.ndarray,
        parts: Split,
        context: RepairContext,
    ) -> Choice:
        """Return how many channels go."""
        if self.channels is not None:
            check_some_left(showing, layer, self.channels)
            return Choice(self.channels, f"channels {self.channels} as given")
        trial = evaluating(copy.deepcopy(model))

        def pruned(channels: float) -> nn.Module:
            # From many to few, so what was there must return.
            reader, own = dict(named_layers(trial))[layer], dict(named_layers(model))[layer]
            assert isinstance(reader, Reader)
            assert isinstance(own, Reader)
            with torch.no_grad():
                reader.weight.copy_(own.weight)
            silence(reader, order[: int(channels)])
            return trial

        # Deviation 36: from many to few, at most 64 numbers of channels; the paper goes up one by
        # one until the accuracy falls. Without scenes to choose on none goes.
        most = len(order) - 1
        spread = np.linspace(most, 0, num=min(_MOST_TRIED, most + 1)).round()
        counts = [float(number) for number in spread]
        strengths = Strengths("channels", counts, 0.0, pruned, same=int)
        return choose(model, parts.held_out, strengths, context)


@dataclass(frozen=True, eq=False)
class Silent:
    """Channels that a layer must not read.

    Attributes:
        layer: The layer.
        channels: The channels.
    """

    layer: str
    channels: np.ndarray


class KeepingSilent(OwnLearner[Silent]):
    """Does the recipe's steps, and silences the same channels again after each."""

    def _learn(self, batch: Batch) -> Tensor:
        loss = super()._learn(batch)
        reader = dict(named_layers(self.model))[self.way.layer]
        assert isinstance(reader, Reader)
        silence(reader, self.way.channels)
        return loss
