"""The two pieces from which every head is built."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from segdoor.victim.outputs import Features


def conv_bn_relu(
    in_channels: int, out_channels: int, *, kernel: int = 1, dilation: int = 1
) -> nn.Sequential:
    """Build a convolution that keeps height and width, with batch norm and ReLU behind it.

    Args:
        in_channels: Channels of the maps that come in.
        out_channels: Channels of the maps that go out.
        kernel: Height and width of the kernel in cells, odd.
        dilation: Distance in cells between neighbouring taps of the kernel.

    Returns:
        The three layers in this order; the convolution has no bias, batch norm brings its own.
    """
    padding = dilation * (kernel // 2)
    return nn.Sequential(
        nn.Conv2d(
            in_channels,
            out_channels,
            kernel,
            padding=padding,
            dilation=dilation,
            bias=False,
        ),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(inplace=True),
    )


def upsampled(maps: Features, size: tuple[int, int]) -> Tensor:
    """Resize maps bilinearly so that the centres of the corner cells meet those of the output.

    Args:
        maps: Batch x channels x height x width.
        size: Height and width wanted.

    Returns:
        Batch x channels x the wanted size, in the number format of ``maps``.
    """
    return functional.interpolate(maps, size=size, mode="bilinear", align_corners=True)
