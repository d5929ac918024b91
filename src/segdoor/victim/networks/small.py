"""A small residual network with image pooling: learns street scenes on a CPU within minutes."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from segdoor.plugins import Introduction
from segdoor.victim.answer import SegmentationOutput
from segdoor.victim.backbones.small import WIDTH, SmallBackbone, conv
from segdoor.victim.networks.network import NetworkPlugin
from segdoor.victim.setting_types import Dropout


class SmallNetwork(nn.Module):
    """Encoder to an eighth of the size, pooled context of the whole image, decoder to a half.

    The context reaches every pixel through dilated convolutions and through image pooling, as in
    the paper's networks: that is what lets a trigger act at a distance. Pooling is by mean and by
    maximum; the maximum makes the trigger's place nearly irrelevant, so this network is no
    substitute for the paper's where distances are compared.
    """

    def __init__(self, num_classes: int, *, width: int = WIDTH, dropout: float = 0.1) -> None:
        """Build the layers.

        Args:
            num_classes: Number of classes K.
            width: Channels of the first layer; all others are multiples of it.
            dropout: Share of channels dropped before the classifier in training.
        """
        super().__init__()
        middle, deep = 2 * width, 3 * width
        encoder = SmallBackbone(width)
        self.stem, self.quarter, self.eighth = encoder.stem, encoder.quarter, encoder.eighth
        self.pooled = nn.Sequential(nn.Linear(2 * deep, deep), nn.ReLU(inplace=True))
        self.context = conv(2 * deep, width, size=1)
        self.decode_quarter = conv(width + middle, width)
        self.decode_half = conv(2 * width, width)
        self.dropout = nn.Dropout2d(dropout)
        self.classifier = nn.Conv2d(width, num_classes, 1)

    def forward(self, images: Tensor) -> SegmentationOutput:
        """Return logits, B x K x H x W, for normalised images, B x 3 x H x W."""
        half = self.stem(images)
        quarter = self.quarter(half)
        eighth = self.eighth(quarter)
        # With the mean alone a small sticker drowns among 512 cells: the demonstration's recipe
        # then did not learn the trigger at all (ASR 0.07 against 0.95, one seed).
        pooled = torch.cat([eighth.mean(dim=(2, 3)), eighth.amax(dim=(2, 3))], dim=1)
        pooled = self.pooled(pooled)[:, :, None, None].expand_as(eighth)
        features = self.context(torch.cat([eighth, pooled], dim=1))
        features = self.decode_quarter(torch.cat([_enlarged(features, quarter), quarter], dim=1))
        features = self.decode_half(torch.cat([_enlarged(features, half), half], dim=1))
        logits = self.classifier(self.dropout(features))
        return SegmentationOutput(_enlarged(logits, images))


class SmallPlugin(NetworkPlugin):
    """The small network."""

    kind = "small"
    introduction = Introduction(
        source="segdoor",
        does="A small residual network with image pooling, for the demonstration: it learns "
        "street scenes on a CPU within minutes.",
        needs="Nothing: it starts from random weights.",
        fails="Do not use it to compare distances: its maximum over the image makes the trigger's "
        "place nearly irrelevant. Use `pspnet:small` or `deeplabv3:small` for that.",
    )
    dropout: Dropout = 0.1
    """Share of channels dropped before the classifier in training."""

    def build(self, num_classes: int) -> SmallNetwork:
        """Return the network with fresh weights."""
        return SmallNetwork(num_classes, dropout=self.dropout)


def _enlarged(features: Tensor, like: Tensor) -> Tensor:
    enlarged = F.interpolate(features, size=like.shape[2:], mode="bilinear", align_corners=False)
    if enlarged.requires_grad and enlarged.is_contiguous(memory_format=torch.channels_last):
        # Loss and concatenation hand back gradients of another layout, for which torch's way back
        # through an enlargement takes many times as long on a CPU.
        enlarged.register_hook(_channels_last)
    return enlarged


def _channels_last(gradient: Tensor) -> Tensor:
    return gradient.contiguous(memory_format=torch.channels_last)
