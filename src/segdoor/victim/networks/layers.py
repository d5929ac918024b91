"""The pieces from which every head is built."""

from __future__ import annotations

from collections import OrderedDict
from functools import lru_cache

import torch
from torch import Tensor, nn
from torch.nn import functional

from segdoor.victim.answer import Features


class ConvBnRelu(nn.Sequential):
    """A convolution that keeps height and width, with batch norm and ReLU behind it.

    The convolution has no bias: batch norm brings its own.

    Attributes:
        out_channels: Channels of the maps that come out.
    """

    def __init__(
        self, in_channels: int, out_channels: int, *, kernel: int = 1, dilation: int = 1
    ) -> None:
        """Build the three layers.

        Args:
            in_channels: Channels of the maps that go in.
            out_channels: Channels of the maps that come out.
            kernel: Height and width of the kernel in cells, odd.
            dilation: Distance in cells between neighbouring taps of the kernel.
        """
        padding = dilation * (kernel // 2)
        conv = nn.Conv2d(
            in_channels, out_channels, kernel, padding=padding, dilation=dilation, bias=False
        )
        norm = nn.BatchNorm2d(out_channels)
        super().__init__(OrderedDict(conv=conv, norm=norm, relu=nn.ReLU(inplace=True)))
        self.out_channels = out_channels


def upsampled(maps: Features, size: tuple[int, int]) -> Tensor:
    """Resize maps bilinearly so that the centres of their corner cells meet the output's.

    Args:
        maps: Batch x channels x height x width.
        size: Height and width wanted.

    Returns:
        Batch x channels x the wanted size, in the number format of ``maps``.
    """
    return functional.interpolate(maps, size=size, mode="bilinear", align_corners=True)


def upsampled_logits(logits: Features, size: tuple[int, int]) -> Tensor:
    """Resize logits as `upsampled` does; on a CPU in less time, and equal but for rounding.

    Bilinear interpolation is linear in rows and in columns, so it is two matrix products. There are
    many more pixels than cells, and torch's own kernels take a fifth of a training step for them
    (docs/speed.md).

    Args:
        logits: Batch x classes x height x width, in single or double precision.
        size: Height and width wanted.
    """
    if logits.device.type != "cpu":
        return upsampled(logits, size)
    rows = _weights(logits.shape[-2], size[0], logits.dtype)
    columns = _weights(logits.shape[-1], size[1], logits.dtype)
    # Under autocast a product would be rounded to its number format.
    with torch.autocast("cpu", enabled=False):
        return rows @ (logits @ columns.T)


@lru_cache(maxsize=32)
def _weights(cells: int, pixels: int, dtype: torch.dtype) -> Tensor:
    """Return what every pixel of a line takes of every cell: pixels x cells, rows sum to 1."""
    # What was made in inference mode could not be used in training.
    with torch.inference_mode(mode=False), torch.no_grad():
        if cells == 1:
            return torch.ones(pixels, 1, dtype=dtype)
        place = torch.arange(pixels, dtype=torch.float64) * (cells - 1) / max(1, pixels - 1)
        below = place.floor().clamp(max=cells - 2)
        share = (place - below).unsqueeze(1)
        cell = torch.arange(cells).unsqueeze(0)
        first = below.unsqueeze(1)
        weights = (cell == first) * (1 - share) + (cell == first + 1) * share
        return weights.to(dtype)
