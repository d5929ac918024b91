"""DeepLabV3: context from kernels of several dilations (Chen et al. 2017, arXiv 1706.05587)."""

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

# Deviation 3: at an output stride of 8 the DeepLabV3 paper doubles these rates (its section 3.3)
# and gives the last stage a multi-grid; the authors of IBA do neither, and we follow them.
RATES: Final = (6, 12, 18)
"""Distances in cells between the taps of the pyramid's 3x3 convolutions."""


class AtrousPyramid(nn.Module):
    """Look at the features through kernels of five reaches, from one cell to the whole image.

    Attributes:
        out_channels: Channels of the result: five times the width.
    """

    def __init__(self, in_channels: int, width: int) -> None:
        """Build a 1x1 convolution, a dilated 3x3 one a rate, and one for the image's average.

        Args:
            in_channels: Channels of the features.
            width: Channels of each of the five views.
        """
        super().__init__()
        self.point = ConvBnRelu(in_channels, width)
        self.atrous = nn.ModuleList(
            ConvBnRelu(in_channels, width, kernel=3, dilation=rate) for rate in RATES
        )
        self.image = ConvBnRelu(in_channels, width)
        self.out_channels = (len(RATES) + 2) * width

    def forward(self, maps: Features) -> Features:
        """Return the five views, from near to far.

        Args:
            maps: Batch x channels x height x width.
        """
        views: list[Tensor] = [self.point(maps)]
        views.extend(branch(maps) for branch in self.atrous)
        average = functional.adaptive_avg_pool2d(maps, 1)
        views.append(upsampled(self.image(average), (maps.shape[-2], maps.shape[-1])))
        return torch.cat(views, dim=1)


class DeepLabV3(DilatedNetwork):
    """The paper's second network.

    The backbone's head width for each view of the pyramid, before the classifier and in the
    auxiliary head: on a ResNet-50 that is 256 throughout.
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
            dropout: Probability that a channel is blanked before a classifier.

        Raises:
            ConfigError: If a setting breaks its rule.
        """
        width = backbone.head_width
        context = AtrousPyramid(backbone.stage4_channels, width)
        super().__init__(
            num_classes,
            backbone=backbone,
            context=context,
            fusion=ConvBnRelu(context.out_channels, width),
            # Deviation 5: the DeepLabV3 paper has no auxiliary head; semseg's recipe asks for one,
            # and the authors' is a 1x1 convolution here where PSPNet's is 3x3.
            auxiliary=ConvBnRelu(backbone.stage3_channels, width),
            dropout=dropout,
        )


class DeepLabV3Plugin(DilatedPlugin):
    """The paper's second network."""

    kind = "deeplabv3"
    network = DeepLabV3
    introduction = Introduction(
        source="Chen et al. 2017, arXiv 1706.05587, as in the attack authors' code",
        does="Gathers context with convolutions of several dilations and the image's average.",
        needs="A backbone with ImageNet weights, and a GPU for scenes of the paper's size.",
        fails="Batches of a single scene do not work: batch norm cannot learn from one pooled "
        "value.",
    )
