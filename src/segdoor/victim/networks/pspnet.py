"""PSPNet: context from averages over ever finer grids (Zhao et al. 2017, arXiv 1612.01105)."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from segdoor.plugins import Introduction
from segdoor.victim.answer import Features
from segdoor.victim.backbones.backbone import Backbone
from segdoor.victim.networks.dilated import DilatedNetwork, DilatedPlugin
from segdoor.victim.networks.layers import ConvBnRelu, upsampled

BINS: Final = (1, 2, 3, 6)
"""Cells along each side of the pyramid's grids."""


class PyramidPooling(nn.Module):
    """Put beside the features their averages over grids of 1, 2, 3 and 6 cells a side.

    Attributes:
        out_channels: Channels of the result: the features' and one width for each grid.
    """

    def __init__(self, in_channels: int, width: int) -> None:
        """Build one 1x1 convolution a grid.

        Args:
            in_channels: Channels of the features.
            width: Channels that each grid's averages are reduced to.
        """
        super().__init__()
        self.branches = nn.ModuleList(ConvBnRelu(in_channels, width) for _ in BINS)
        self.out_channels = in_channels + len(BINS) * width

    def forward(self, maps: Features) -> Features:
        """Return the features and, behind them, the averages from coarse to fine.

        Args:
            maps: Batch x channels x height x width; smaller ones than a grid are repeated in it.
        """
        size = (maps.shape[-2], maps.shape[-1])
        levels: list[Tensor] = [maps]
        for num_cells, branch in zip(BINS, self.branches, strict=True):
            averages = functional.adaptive_avg_pool2d(maps, num_cells)
            levels.append(upsampled(branch(averages), size))
        return torch.cat(levels, dim=1)


class PSPNet(DilatedNetwork):
    """The paper's first network.

    Twice the backbone's head width for each level of the pyramid and before the classifier, once
    that width in the auxiliary head: on a ResNet-50 these are semseg's 512, 512 and 256.
    """

    def __init__(
        self,
        num_classes: int,
        *,
        backbone: Backbone,
        dropout: float = 0.1,
    ) -> None:
        """Build the network.

        Args:
            num_classes: Classes to tell apart.
            backbone: Image to features, with ImageNet weights or without.
            dropout: Probability that a channel is blanked before a classifier. The paper's text
                means semseg's 0.1; the authors' code has 0 for this network.

        Raises:
            ConfigError: If a setting breaks its rule.
        """
        width = 2 * backbone.head_width
        context = PyramidPooling(backbone.stage4_channels, width)
        super().__init__(
            num_classes,
            backbone=backbone,
            context=context,
            fusion=ConvBnRelu(context.out_channels, width, kernel=3),
            auxiliary=ConvBnRelu(backbone.stage3_channels, backbone.head_width, kernel=3),
            dropout=dropout,
        )


class PSPNetPlugin(DilatedPlugin):
    """The paper's first network."""

    kind = "pspnet"
    network = PSPNet
    introduction = Introduction(
        source="Zhao et al. 2017, arXiv 1612.01105, as in semseg",
        does="Gathers context by pooling over the whole image and three grids.",
        needs="A backbone with ImageNet weights, and a GPU for scenes of the paper's size.",
        fails="Batches of a single scene do not work: batch norm cannot learn from one pooled "
        "value.",
    )
