"""What a dilated network stands on: features of two depths, and widths for its heads."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from torch import nn

from segdoor.victim.outputs import Features, Images


@dataclass(frozen=True, eq=False)
class BackboneFeatures:
    """What the heads work on.

    Attributes:
        stage3: Input of the auxiliary head, the image's size over the output stride, rounded up.
        stage4: Input of the head, of the same height and width.
    """

    stage3: Features
    stage4: Features


class Backbone(nn.Module, ABC):
    """A classifier without its head, dilated so that its features stay fine.

    Attributes:
        output_stride: Pixels of the image a cell of the features stands for, each way.
        stage3_channels: Channels of the features for the auxiliary head.
        stage4_channels: Channels of the features for the head.
        head_width: Channels of DeepLabV3's head and of auxiliary heads; PSPNet's has twice as many.
    """

    output_stride: int = 8
    stage3_channels: int
    stage4_channels: int
    head_width: int

    @abstractmethod
    def forward(self, images: Images) -> BackboneFeatures:
        """Return the features.

        Args:
            images: Batch x 3 x height x width, of any height and width.
        """

    def draw_weights(self) -> None:
        """Draw the convolutions' weights (He et al. 2015); batch norm starts right by itself."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
