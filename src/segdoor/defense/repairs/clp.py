"""CLP: silence the channels whose answer to a small change of the input is unusually large."""

from __future__ import annotations

import copy
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from segdoor.data.scene import SceneDataset
from segdoor.defense.repairs.held_out import split
from segdoor.defense.repairs.norms import Cut, Scores, joined, silence_channels, standardised
from segdoor.defense.repairs.pairing import Convolution, Pair, find_pairs
from segdoor.defense.repairs.repair import Passes, Repair, RepairContext, Repaired
from segdoor.errors import ConfigError
from segdoor.plugins import Introduction
from segdoor.victim.members import evaluating

_TRANSPOSED = nn.ConvTranspose1d | nn.ConvTranspose2d | nn.ConvTranspose3d


class Clp(Repair):
    """Silence the channels that amplify their input unusually much; no scene is needed."""

    kind: ClassVar[str] = "clp"
    main: ClassVar[str | None] = "threshold"
    strength: ClassVar[str | None] = "threshold"
    sweep: ClassVar[tuple[float, ...]] = tuple(half / 2 for half in range(21))
    introduction: ClassVar[Introduction] = Introduction(
        source="Zheng, Tang, Li and Liu, Data-free Backdoor Removal Based on Channel Lipschitzness"
        " (ECCV 2022)",
        does="Silences channels that may amplify a small change of their input unusually much.",
        needs="The model alone; with clean scenes it chooses how many channels go.",
        fails="Without batch norm behind convolutions, and in layers of 10 channels or fewer at the"
        " usual threshold; a trigger that many channels share is not unusual in any.",
    )

    threshold: float | None = Field(default=None, ge=0, le=100)
    """Channels are silenced whose bound lies more than this many standard deviations above the mean
    of their layer; if left out, chosen on held-out scenes, or the paper's 3 without any."""
    share: float = Field(default=0.0, ge=0, le=1)
    """Share of the clean training scenes, of which a fifth chooses the threshold; 0 for none."""

    def __call__(self, model: nn.Module, scenes: SceneDataset, context: RepairContext) -> Repaired:
        """Return the model without the channels that amplify most."""
        pairs, tries = find_pairs(evaluating(copy.deepcopy(model)))
        if not pairs:
            raise ConfigError(
                self.kind,
                "needs a batch norm that reads the output of a convolution",
                f"none in {type(model).__name__}",
                "Use another repair, such as ft_sam.",
            )
        scores = Scores(lipschitz_scores(pairs), low=False, offsets=True)
        held_out = split(scenes, context).held_out
        cut = Cut(self, default=3.0)
        repaired = silence_channels(model, scores, cut, held_out, context)
        return joined(repaired, passes=Passes(tries))


def lipschitz_scores(pairs: list[Pair]) -> dict[str, Tensor]:
    """Return how unusual the bound of each channel is in its layer, in standard deviations.

    Of a batch norm that reads several convolutions the largest bound counts.
    """
    bounds: dict[str, Tensor] = {}
    for pair in pairs:
        bound = lipschitz_bounds(pair).cpu()
        bounds[pair.norm] = torch.maximum(bound, bounds.get(pair.norm, bound))
    return {name: standardised(bound) for name, bound in bounds.items()}


def lipschitz_bounds(pair: Pair) -> Tensor:
    """Return an upper bound of what each channel makes of a change of its input (equation 8).

    The largest singular value of the kernel, as a matrix of input channels and places, times the
    scale of the batch norm over its running standard deviation.
    """
    norm = pair.layer
    assert norm.running_var is not None
    kernels = kernels_of(pair.convolution)
    # For a kernel with one input channel, as in a depthwise convolution, it is the vector's norm.
    largest = torch.linalg.matrix_norm(kernels, ord=2)
    # Deviation 30: with the layer's own epsilon, as it is in the arithmetic of the layer; the
    # authors' code leaves it out, and divides by almost zero where a channel never changes.
    spread = (norm.running_var.double() + norm.eps).sqrt()
    return largest * (norm.weight.detach().double().abs() / spread)


def kernels_of(convolution: Convolution) -> Tensor:
    """Return a matrix for each output channel: input channels by places of the kernel."""
    weight = convolution.weight.detach().double()
    if isinstance(convolution, nn.Linear):
        return weight[:, None, :]
    if isinstance(convolution, _TRANSPOSED):
        groups = convolution.groups
        parted = weight.reshape(
            groups, -1, convolution.out_channels // groups, weight[0, 0].numel()
        )
        return parted.transpose(1, 2).flatten(0, 1)
    return weight.flatten(2)
