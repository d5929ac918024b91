"""Dilated ResNets: the backbone of both of the paper's networks.

Residual networks after He et al. 2016 (arXiv 1512.03385), with the stride of a bottleneck on its
3x3 convolution, as ImageNet files for PyTorch have it. Stages 3 and 4 are dilated 2 and 4 instead
of strided, their first blocks included, so that features come at an eighth of the image (Zhao et
al. 2017, arXiv 1612.01105, section 3.3).

The parameters bear the names of the ImageNet files: those of torchvision and timm for the plain
stem, those of semseg for the deep one. Only the classifier, ``fc``, is missing here.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from torch import Tensor, nn
from torch.nn import functional

from segdoor.errors import ConfigError
from segdoor.plugins import Introduction
from segdoor.victim.answer import Features, Images
from segdoor.victim.backbones.backbone import Backbone, BackboneFeatures, BackbonePlugin
from segdoor.victim.setting_types import Depth, Stem


@dataclass(frozen=True)
class Chain:
    """Convolutions in a row.

    Attributes:
        channels: Channels of the input and of each convolution's output.
        kernels: Height and width of each convolution's kernel, in cells.
    """

    channels: tuple[int, ...]
    kernels: tuple[int, ...]


@dataclass(frozen=True)
class Layout:
    """What distinguishes a depth.

    Attributes:
        kernels: The kernels of one residual block.
        expansion: A block's output channels over its width.
        num_blocks: Residual blocks in each of the four stages.
    """

    kernels: tuple[int, ...]
    expansion: int
    num_blocks: tuple[int, int, int, int]


@dataclass(frozen=True)
class Stage:
    """What is the same for a stage at every depth.

    Attributes:
        width: Channels of its 3x3 convolutions.
        stride: Step of its first block, in cells.
        dilation: Distance between the taps of all its 3x3 convolutions, in cells.
    """

    width: int
    stride: int
    dilation: int


STEMS: Final[dict[str, Chain]] = {
    "plain": Chain(channels=(3, 64), kernels=(7,)),
    "deep": Chain(channels=(3, 64, 64, 128), kernels=(3, 3, 3)),
}
"""How a network begins; the first convolution takes every other pixel."""

DEPTHS: Final[dict[int, Layout]] = {
    18: Layout(kernels=(3, 3), expansion=1, num_blocks=(2, 2, 2, 2)),
    34: Layout(kernels=(3, 3), expansion=1, num_blocks=(3, 4, 6, 3)),
    50: Layout(kernels=(1, 3, 1), expansion=4, num_blocks=(3, 4, 6, 3)),
    101: Layout(kernels=(1, 3, 1), expansion=4, num_blocks=(3, 4, 23, 3)),
}
"""He et al. 2016, table 1."""

STAGES: Final[dict[int, Stage]] = {
    1: Stage(width=64, stride=1, dilation=1),
    2: Stage(width=128, stride=2, dilation=1),
    3: Stage(width=256, stride=1, dilation=2),
    4: Stage(width=512, stride=1, dilation=4),
}
"""Where a classifying ResNet has a stride of 2, stages 3 and 4 have a dilation instead."""


class ResidualBlock(nn.Module):
    """Add a chain of convolutions to what went into it.

    Children are named ``conv1``, ``bn1``, ``conv2``, ... and, where the shape changes,
    ``downsample``: the names ImageNet files use.
    """

    def __init__(self, chain: Chain, *, stride: int, dilation: int) -> None:
        """Build the block.

        Args:
            chain: Its convolutions; the first one wider than a cell takes the stride.
            stride: Step in cells.
            dilation: Distance in cells between the taps of kernels wider than one.
        """
        super().__init__()
        self.num_convolutions = len(chain.kernels)
        _add_convolutions(self, chain, stride=stride, dilation=dilation)
        before, after = chain.channels[0], chain.channels[-1]
        self.downsample: nn.Sequential | None = None
        if stride != 1 or before != after:
            self.downsample = nn.Sequential(
                nn.Conv2d(before, after, 1, stride=stride, bias=False), nn.BatchNorm2d(after)
            )

    def forward(self, maps: Features) -> Tensor:
        """Return the rectified sum of the convolved maps and the shortcut.

        Args:
            maps: Batch x channels x height x width.

        Returns:
            Batch x channels x height x width, the last two divided by the stride.
        """
        shortcut: Tensor = maps if self.downsample is None else self.downsample(maps)
        return _convolved(self, maps, self.num_convolutions).add_(shortcut).relu_()


class ResNet(Backbone):
    """A ResNet without its classifier, dilated to an output stride of 8.

    Attributes:
        depth: 18, 34, 50 or 101.
        stem: ``"plain"`` or ``"deep"``.
        stage3_channels: Channels of the third stage: 1024, or 256 at depths 18 and 34.
        stage4_channels: Channels of the fourth stage: 2048, or 512 at depths 18 and 34.
        head_width: An eighth of the fourth stage's: 256, or 64 at depths 18 and 34.
    """

    def __init__(self, depth: int = 50, *, stem: str = "deep") -> None:
        """Build the backbone with fresh weights (He et al. 2015), drawn from torch's generator.

        Args:
            depth: One of ``DEPTHS``.
            stem: One of ``STEMS``; the paper's recipe uses the deep one.

        Raises:
            ConfigError: If the depth or the stem is unknown.
        """
        super().__init__()
        if depth not in DEPTHS:
            known = ", ".join(str(number) for number in DEPTHS)
            raise ConfigError("backbone depth", "must be a known one", depth, f"Known: {known}.")
        if stem not in STEMS:
            known = ", ".join(STEMS)
            raise ConfigError("backbone stem", "must be a known one", stem, f"Known: {known}.")
        chain, layout = STEMS[stem], DEPTHS[depth]
        self.depth = depth
        self.stem = stem
        self.num_convolutions = len(chain.kernels)
        self.stage3_channels = STAGES[3].width * layout.expansion
        self.stage4_channels = STAGES[4].width * layout.expansion
        # Deviation 2: semseg knows no ResNet-18 and 34; its 256 channels (512 in PSPNet) are read
        # as a share of the stages, so that small backbones get small heads.
        self.head_width = self.stage4_channels // 8
        _add_convolutions(self, chain, stride=2)
        self.layer1 = _built_stage(1, layout, in_channels=chain.channels[-1])
        self.layer2 = _built_stage(2, layout, in_channels=STAGES[1].width * layout.expansion)
        self.layer3 = _built_stage(3, layout, in_channels=STAGES[2].width * layout.expansion)
        self.layer4 = _built_stage(4, layout, in_channels=self.stage3_channels)
        self.draw_weights()

    def forward(self, images: Images) -> BackboneFeatures:
        """Return the features of the third and fourth stage.

        Args:
            images: Batch x 3 x height x width, of any height and width.
        """
        maps = _convolved(self, images, self.num_convolutions).relu_()
        maps = functional.max_pool2d(maps, kernel_size=3, stride=2, padding=1)
        stage3: Tensor = self.layer3(self.layer2(self.layer1(maps)))
        stage4: Tensor = self.layer4(stage3)
        return BackboneFeatures(stage3, stage4)


def _built_stage(number: int, layout: Layout, *, in_channels: int) -> nn.Sequential:
    stage = STAGES[number]
    out_channels = stage.width * layout.expansion
    inner = (stage.width,) * (len(layout.kernels) - 1)
    blocks: list[ResidualBlock] = []
    for index in range(layout.num_blocks[number - 1]):
        before, stride = (in_channels, stage.stride) if index == 0 else (out_channels, 1)
        chain = Chain((before, *inner, out_channels), layout.kernels)
        blocks.append(ResidualBlock(chain, stride=stride, dilation=stage.dilation))
    return nn.Sequential(*blocks)


def _add_convolutions(owner: nn.Module, chain: Chain, *, stride: int, dilation: int = 1) -> None:
    """Register conv1, bn1, conv2, bn2, ... on the owner itself."""
    steps = _steps(chain.kernels, stride)
    shapes = zip(pairwise(chain.channels), chain.kernels, steps, strict=True)
    for number, ((before, after), kernel, step) in enumerate(shapes, start=1):
        spread = dilation if kernel > 1 else 1
        padding = spread * (kernel // 2)
        owner.add_module(
            f"conv{number}",
            nn.Conv2d(
                before, after, kernel, stride=step, padding=padding, dilation=spread, bias=False
            ),
        )
        owner.add_module(f"bn{number}", nn.BatchNorm2d(after))


def _steps(kernels: tuple[int, ...], stride: int) -> list[int]:
    """Give the stride to the first kernel wider than one cell."""
    first_wide = next(index for index, kernel in enumerate(kernels) if kernel > 1)
    return [stride if index == first_wide else 1 for index in range(len(kernels))]


def _convolved(owner: nn.Module, maps: Tensor, num_convolutions: int) -> Tensor:
    """Run the owner's convolutions, with a ReLU between them but none at the end."""
    for number in range(1, num_convolutions + 1):
        if number > 1:
            maps = maps.relu_()
        convolved: Tensor = owner.get_submodule(f"conv{number}")(maps)
        maps = owner.get_submodule(f"bn{number}")(convolved)
    return maps


class ResNetPlugin(BackbonePlugin):
    """A dilated ResNet at an output stride of 8."""

    kind = "resnet"
    main = "depth"
    introduction = Introduction(
        source="He et al. 2016, arXiv 1512.03385, dilated as in Zhao et al. 2017, arXiv 1612.01105",
        does="A ResNet with dilation in the last two stages, the backbone of the paper's networks.",
        needs="ImageNet weights for the paper's results: bring the file.",
        fails="From random weights it learns little on small data sets; on a CPU it is slow.",
    )
    depth: Depth = 50
    """Number of layers."""
    stem: Stem = "deep"
    """The first layers: three 3x3 convolutions as in the paper (deep), or one 7x7 (plain)."""

    def build(self) -> ResNet:
        """Return the backbone with fresh weights."""
        return ResNet(self.depth, stem=self.stem)
