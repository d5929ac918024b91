"""The two pieces from which every head is built."""

from __future__ import annotations

from collections import OrderedDict

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
