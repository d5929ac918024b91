"""What a dilated network stands on: features of two depths, and widths for its heads."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from torch import nn

from segdoor.errors import ConfigError
from segdoor.plugins import Plugin
from segdoor.victim.answer import Features, Images
from segdoor.victim.setting_types import IMAGENET, Rgb


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

    def packaged_weights(self) -> Path:
        """Return the file of ImageNet weights that an installed package carries for it.

        Raises:
            ConfigError: If no package does.
            MachineError: If the package is not installed.
        """
        raise ConfigError(
            "network.backbone_weights",
            f"must be a file, as no package carries ImageNet weights of a {type(self).__name__}",
            "imagenet",
            "Name a file, or set network.backbone efficientnet_lite0.",
        )


class BackbonePlugin(Plugin):
    """A kind of backbone, with its settings.

    Attributes:
        expects: Mean and standard deviation of the images that its weights have seen.
    """

    expects: ClassVar[tuple[Rgb, Rgb]] = IMAGENET

    @abstractmethod
    def build(self) -> Backbone:
        """Return the backbone with fresh weights, drawn from torch's generator."""
