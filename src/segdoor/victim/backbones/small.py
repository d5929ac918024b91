"""The encoder of the small network: a backbone that a CPU trains from random weights."""

from __future__ import annotations

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from segdoor.plugins import Introduction
from segdoor.victim.answer import Features, Images
from segdoor.victim.backbones.backbone import Backbone, BackboneFeatures, BackbonePlugin

WIDTH = 32
"""Channels of the first layer; all others are multiples of it."""


class SmallBackbone(Backbone):
    """Residual blocks down to an eighth of the size, the last two of them dilated.

    The auxiliary head gets what the first of the dilated ones gives. The layers start from torch's
    own initialisation.
    """

    def __init__(self, width: int = WIDTH) -> None:
        """Build the layers with fresh weights, drawn from torch's generator.

        Args:
            width: Channels of the first layer.
        """
        super().__init__()
        middle, deep = 2 * width, 3 * width
        self.stage3_channels = self.stage4_channels = deep
        # Deviation 20: not in the paper. A third of the features; a quarter with a ResNet's PSPNet
        # and an eighth with its DeepLabV3 would be 12 channels here.
        self.head_width = width
        self.stem = conv(3, width, stride=2)
        self.quarter = nn.Sequential(Residual(width, middle, stride=2), Residual(middle, middle))
        self.eighth = nn.Sequential(
            Residual(middle, deep, stride=2),
            Residual(deep, deep, dilation=2),
            Residual(deep, deep, dilation=4),
        )

    def forward(self, images: Images) -> BackboneFeatures:
        """Return the features in front of the last block and behind it.

        Args:
            images: Batch x 3 x height x width, of any height and width.
        """
        maps = self.quarter(self.stem(images))
        *before, last = self.eighth
        for block in before:
            maps = block(maps)
        return BackboneFeatures(maps, last(maps))


class SmallPlugin(BackbonePlugin):
    """The small network's encoder."""

    kind = "small"
    introduction = Introduction(
        source="segdoor",
        does="The small network's encoder, for the paper's own heads: a CPU trains it from random "
        "weights within minutes, and the trigger's place matters as it does in the paper.",
        needs="Nothing: it starts from random weights.",
        fails="It is not one of the paper's backbones, so its figures cannot be compared with the "
        "paper's.",
    )

    width: int = Field(default=WIDTH, ge=4, le=256)
    """Channels of the first layer; all others are multiples of it."""

    def build(self) -> SmallBackbone:
        """Return the backbone with fresh weights."""
        return SmallBackbone(self.width)


class Residual(nn.Module):
    """Two 3x3 convolutions beside a shortcut."""

    def __init__(self, inputs: int, outputs: int, *, stride: int = 1, dilation: int = 1) -> None:
        """Build the block.

        Args:
            inputs: Channels that enter.
            outputs: Channels that leave.
            stride: Step of the first convolution in cells.
            dilation: Distance in cells between the taps of both.
        """
        super().__init__()
        self.first = conv(inputs, outputs, stride=stride, dilation=dilation)
        self.second = conv(outputs, outputs, dilation=dilation, relu=False)
        same = stride == 1 and inputs == outputs
        self.shortcut = (
            nn.Identity() if same else conv(inputs, outputs, size=1, stride=stride, relu=False)
        )

    def forward(self, features: Features) -> Tensor:
        """Return the block's maps.

        Args:
            features: Batch x channels x height x width.
        """
        return F.relu(self.second(self.first(features)) + self.shortcut(features), inplace=True)


def conv(
    inputs: int,
    outputs: int,
    *,
    size: int = 3,
    stride: int = 1,
    dilation: int = 1,
    relu: bool = True,
) -> nn.Sequential:
    """Return a convolution with batch norm and, unless told otherwise, ReLU behind it."""
    padding = dilation * (size // 2)
    convolution = nn.Conv2d(inputs, outputs, size, stride, padding, dilation, bias=False)
    layers: list[nn.Module] = [convolution, nn.BatchNorm2d(outputs)]
    return nn.Sequential(*layers, nn.ReLU(inplace=True)) if relu else nn.Sequential(*layers)
