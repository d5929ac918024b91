"""Pruning: silence the channels in front of the classifier that clean scenes use least."""

from __future__ import annotations

import copy
from typing import ClassVar

from pydantic import Field
from torch import nn

from segdoor.data.checked import checked
from segdoor.data.scene import SceneDataset
from segdoor.defense.repairs.classifier import (
    Showing,
    check_some_left,
    find_classifier,
    mean_activations,
    reader_called,
    rising_order,
    silence,
)
from segdoor.defense.repairs.repair import Passes, Repair, RepairContext, Repaired
from segdoor.plugins import Introduction
from segdoor.victim.members import evaluating


class Prune(Repair):
    """Silence the channels in front of the classifier that clean scenes use least.

    The channels are those that the classifier reads: with batch norm, ReLU and whatever else lies
    before it, whether as modules or as plain functions. To silence one, its weights in the
    classifier are set to zero, so the result is an ordinary state dict for the same network. That
    is the same as setting the channel to zero where nothing else reads it; a second head or a skip
    goes on reading it.
    """

    kind: ClassVar[str] = "prune"
    main: ClassVar[str | None] = "channels"
    introduction: ClassVar[Introduction] = Introduction(
        source="Liu, Dolan-Gavitt and Garg, Fine-Pruning (RAID 2018); IBA paper, section 5.3",
        does="Silences channels that are inactive on clean scenes and may respond to a trigger.",
        needs="One pass over a tenth of the clean training scenes; no training.",
        fails="If the trigger uses the channels that clean scenes use, accuracy falls with the "
        "attack, or alone.",
    )

    channels: int = Field(ge=0)
    """Channels to silence; the paper has 0, 1, 5, 15, 20 and 30 of 256."""
    share: float = Field(default=0.1, gt=0, le=1)
    """Share of the clean training scenes over which activations are averaged; the paper's 0.1."""
    layer: str | None = Field(default=None, examples=["classifier"])
    """The convolution or linear layer that reads the channels; default: the classifier."""

    def __call__(self, model: nn.Module, scenes: SceneDataset, context: RepairContext) -> Repaired:
        """Return the model with the weakest channels silenced."""
        self.check_given(scenes)
        pruned = evaluating(copy.deepcopy(model))
        showing = Showing(pruned, checked(scenes), context.network, self.kind)
        layer = find_classifier(showing) if self.layer is None else self.layer
        reader = reader_called(showing, layer)
        check_some_left(showing, layer, self.channels)
        means = mean_activations(showing, layer)
        weakest = rising_order(means)[: self.channels]
        # Deviation 13: the "last convolutional layer" with 256 channels cannot be the classifier,
        # which has one for each class; it is the one before it, of 512 channels in PSPNet.
        silence(reader, weakest)
        told = f"{self.channels} of {len(means)} channels silenced that {layer} reads"
        return Repaired(pruned, layer, (told,), Passes(showing.num_shown))
