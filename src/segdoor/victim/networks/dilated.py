"""What the paper's two networks have in common; they differ in how they gather context."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import ClassVar

import torch
from torch import Tensor, nn

from segdoor.errors import ConfigError
from segdoor.victim.answer import Features, Images, Logits, SegmentationOutput
from segdoor.victim.backbones.backbone import Backbone, BackboneFeatures
from segdoor.victim.backbones.imagenet import load_backbone
from segdoor.victim.backbones.registry import BackboneSetting
from segdoor.victim.backbones.resnet import ResNetPlugin
from segdoor.victim.checkpoint import note_loaded
from segdoor.victim.networks.layers import ConvBnRelu, upsampled_logits
from segdoor.victim.networks.network import NetworkPlugin
from segdoor.victim.setting_types import BackboneWeights, Dropout


class DilatedNetwork(nn.Module):
    """Backbone, context, fusion, dropout and classifier, with an auxiliary head on stage 3.

    This is the frame of semseg (Zhao et al. 2017, arXiv 1612.01105), whose recipe the paper uses
    for both networks. The heads start from torch's own initialisation, as they do there.

    Attributes:
        backbone: Image to features; the recipe trains it at the base learning rate.
    """

    def __init__(
        self,
        num_classes: int,
        *,
        backbone: Backbone,
        context: nn.Module,
        fusion: ConvBnRelu,
        auxiliary: ConvBnRelu,
        dropout: float,
    ) -> None:
        """Join the parts.

        Args:
            num_classes: Classes to tell apart.
            backbone: Image to features of stages 3 and 4.
            context: Features of stage 4 to wider ones of the same height and width.
            fusion: What narrows them again before the classifier.
            auxiliary: What the auxiliary head does with stage 3 before its own classifier.
            dropout: Probability that dropout blanks a channel before a classifier.

        Raises:
            ConfigError: If there are fewer than two classes, or dropout is no probability below 1.
        """
        super().__init__()
        if num_classes < 2:
            raise ConfigError(
                "number of classes", "must be at least 2", num_classes, "Name a second class."
            )
        if not 0 <= dropout < 1:
            raise ConfigError("dropout", "must lie in [0, 1)", dropout, "Give a share such as 0.1.")
        self.backbone = backbone
        self.context = context
        self.fusion = fusion
        self.dropout = nn.Dropout2d(dropout)
        self.classifier = nn.Conv2d(fusion.out_channels, num_classes, 1)
        self.auxiliary = nn.Sequential(
            OrderedDict(
                fusion=auxiliary,
                dropout=nn.Dropout2d(dropout),
                classifier=nn.Conv2d(auxiliary.out_channels, num_classes, 1),
            )
        )

    def forward(self, images: Images) -> SegmentationOutput:
        """Classify every pixel.

        Args:
            images: Batch x 3 x height x width, of any height and width. In training the batch
                must hold two scenes or more, see Raises.

        Returns:
            Logits at the resolution of the images; in training mode those of the auxiliary head
            too, which is not run in evaluation mode.

        Raises:
            ConfigError: If batch norm is to learn from the single value a channel that global
                pooling leaves of a single scene.
        """
        self._refuse_lone_scene(images)
        features: BackboneFeatures = self.backbone(images)
        fused: Tensor = self.fusion(self.context(features.stage4))
        logits = _at_pixels(self.classifier(self.dropout(fused)), images)
        if not self.training:
            return SegmentationOutput(logits)
        return SegmentationOutput(logits, _at_pixels(self.auxiliary(features.stage3), images))

    def backbone_parameters(self) -> list[nn.Parameter]:
        """Return the parameters that the recipe trains at the base learning rate."""
        return list(self.backbone.parameters())

    def head_parameters(self) -> list[nn.Parameter]:
        """Return all the others, which the recipe trains at ten times that rate."""
        return [
            parameter
            for name, parameter in self.named_parameters()
            if not name.startswith("backbone.")
        ]

    def _refuse_lone_scene(self, images: Tensor) -> None:
        if images.shape[0] == 1 and any(
            isinstance(module, nn.BatchNorm2d) and module.training
            for module in self.context.modules()
        ):
            raise ConfigError(
                "batch size",
                f"must be at least 2 while {type(self).__name__} trains, as batch norm cannot"
                " learn from the one value a channel that global pooling leaves of one scene",
                images.shape[0],
                "Use larger batches and drop an incomplete last one, or freeze batch norm.",
            )


class DilatedPlugin(NetworkPlugin):
    """A kind of dilated network, with the settings that all of them have.

    Attributes:
        network: What is built.
    """

    main = "backbone"
    network: ClassVar[Callable[..., DilatedNetwork]]
    backbone: BackboneSetting = ResNetPlugin()
    """The backbone; its own settings stand beside this one."""
    dropout: Dropout = 0.1
    """Share of channels dropped before the classifier in training."""
    backbone_weights: BackboneWeights = None
    """ImageNet weights of the backbone: a .safetensors or .pth file, or imagenet for those of an
    installed package (efficientnet_lite0)."""

    def build(self, num_classes: int) -> DilatedNetwork:
        """Return the network, its backbone filled with the weights that the settings name.

        Args:
            num_classes: Classes to tell apart.

        Raises:
            ConfigError: If no package carries weights for the backbone.
            DataError: If the file is damaged, holds more than tensors, or is of another network.
            MachineError: If the package is not installed.
        """
        backbone = self.backbone.build()
        weights = self.backbone_weights
        loaded = load_backbone(backbone, weights) if weights else None
        network = type(self).network(num_classes, backbone=backbone, dropout=self.dropout)
        note_loaded(network, loaded)
        return network


def _at_pixels(logits: Features, images: Images) -> Logits:
    """Bring logits to the images' resolution, in full precision: neighbouring scores decide."""
    # Deviation 1: any height and width, where semseg asks for 8n + 1. Only for those do cells
    # fall on pixels exactly; for others the corners meet and the rest is stretched by < 8 pixels.
    full = logits.to(torch.promote_types(logits.dtype, torch.float32))
    return upsampled_logits(full, (images.shape[-2], images.shape[-1]))
