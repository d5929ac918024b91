"""A network and a backbone of somebody else's, each with a setting that no network of ours has."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import nn

from segdoor.plugins import Introduction
from segdoor.victim.backbones.backbone import Backbone, BackboneFeatures, BackbonePlugin
from segdoor.victim.networks.network import NetworkPlugin

INTRODUCTION = Introduction(
    source="tests", does="Convolves once.", needs="Nothing.", fails="Often."
)


class Single(NetworkPlugin):
    """One convolution."""

    main = "kernel"
    introduction = INTRODUCTION
    kernel: int = 3
    """Its height and width."""

    def build(self, num_classes: int) -> nn.Module:
        return nn.Conv2d(3, num_classes, self.kernel, padding=self.kernel // 2)


class Strided(Backbone):
    """Two strided convolutions, at an eighth of the image."""

    stage3_channels, head_width = 4, 4

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.stage4_channels = channels
        self.first = nn.Conv2d(3, 4, 7, stride=8, padding=3)
        self.second = nn.Conv2d(4, channels, 1)

    def forward(self, images: torch.Tensor) -> BackboneFeatures:
        first = self.first(images)
        return BackboneFeatures(first, self.second(first))


class StridedPlugin(BackbonePlugin):
    """It, with a choice of channels."""

    main = "maps"
    expects: ClassVar[Any] = ((0.1, 0.1, 0.1), (0.2, 0.2, 0.2))
    introduction = INTRODUCTION
    maps: int = 8
    """Channels of its last features."""

    def build(self) -> Strided:
        return Strided(self.maps)


def build(num_classes: int) -> nn.Module:
    return nn.Conv2d(3, num_classes, 1)
