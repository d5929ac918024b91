"""ImageNet weights for a backbone: whose file it is, what it holds, and whether that fits.

A file fits or it is refused: nothing is loaded in part, as a ResNet-101's file, say, would let a
ResNet-50 do without a word.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from torch import Tensor

from segdoor.errors import DataError
from segdoor.files import digest_of
from segdoor.record import LoadedWeights
from segdoor.victim.backbones.backbone import Backbone
from segdoor.victim.backbones.efficientnet_lite0 import timm_name
from segdoor.victim.backbones.resnet import DEPTHS, STEMS
from segdoor.victim.checkpoint import check_shapes, some
from segdoor.victim.matching import laid_bare
from segdoor.victim.weights_file import read_tensors

Tensors = Mapping[str, Tensor]

_CLASSIFIERS: Final = ("fc.", "classifier.", "head.", "conv_head.")
_COUNTER: Final = ".num_batches_tracked"
# Names that tell a file's kind, the more special ones first.
_MARKS: Final = (
    "_conv_stem.weight", "conv_stem.weight", "layer1.0.conv1.weight", "conv1.0.weight",
)  # fmt: skip
# timm has the deep stem as one sequence, whose last norm keeps the plain stem's name.
_TIMM_STEM: Final = {
    "conv1.0": "conv1", "conv1.1": "bn1", "conv1.3": "conv2",
    "conv1.4": "bn2", "conv1.6": "conv3", "bn1": "bn3",
}  # fmt: skip


@dataclass(frozen=True)
class Architecture:
    """What a state dict belongs to.

    Attributes:
        name: In words: "a ResNet-50 with a deep stem".
        settings: The settings that build it, in words; empty if none do.
    """

    name: str
    settings: str = ""


def load_backbone(backbone: Backbone, source: Path | Literal["imagenet"]) -> LoadedWeights:
    """Fill a backbone with ImageNet weights.

    Args:
        backbone: The backbone, changed in place.
        source: A .safetensors or .pth file with the names of torchvision, timm, semseg or
            EfficientNet-PyTorch; or ``"imagenet"`` for the weights of an installed package.

    Returns:
        What was taken and what was left out.

    Raises:
        ConfigError: If no package carries weights for this backbone.
        DataError: If the file is damaged, holds more than tensors, or is of another network.
        MachineError: If the package is not installed.
    """
    path = source if isinstance(source, Path) else backbone.packaged_weights()
    content, expected = read_tensors(path), backbone.state_dict()
    # A whole network's file may hold it behind a prefix, among other parts.
    bare = laid_bare(content.tensors, (*_MARKS, next(iter(expected))))
    style, tensors = recognised(bare.tensors)
    _check_names(path, tensors, expected)
    taken = {name: tensor for name, tensor in tensors.items() if name in expected}
    check_shapes(path, taken, expected, f"Take a file of {architecture(expected).name}.")
    backbone.load_state_dict(taken, strict=False)
    return LoadedWeights(
        part="backbone",
        file=path.name,
        sha256=digest_of(path),
        style=style,
        num_taken=len(taken),
        num_counters_missing=len(expected) - len(taken),
        left_out=tuple(sorted({*(tensors.keys() - taken.keys()), *bare.left_out})),
        remarks=tuple(filter(None, (content.told, bare.told))),
    )


def recognised(tensors: Tensors) -> tuple[str, Tensors]:
    """Return whose names tensors have, and the tensors under the names used here.

    Args:
        tensors: The content of a file.
    """
    if "_conv_stem.weight" in tensors:
        return "EfficientNet-PyTorch", {timm_name(name): at for name, at in tensors.items()}
    if "conv1.0.weight" in tensors:
        return "timm, deep stem", {_plain_name(name): at for name, at in tensors.items()}
    known = {"conv_stem.weight": "timm", "conv3.weight": "semseg, deep stem"}
    for name, style in known.items():
        if name in tensors:
            return style, tensors
    return "torchvision or timm", tensors


def architecture(tensors: Tensors) -> Architecture:
    """Tell from names and shapes what a state dict belongs to.

    Args:
        tensors: Under the names used here.
    """
    if "layer1.0.conv1.weight" in tensors and "conv1.weight" in tensors:
        return _resnet(tensors)
    if "conv_stem.weight" in tensors:
        lite = not any(".se." in name for name in tensors)
        known = lite and "blocks.5.3.conv_pw.weight" in tensors
        if known and "blocks.5.4.conv_pw.weight" not in tensors:
            return Architecture("an EfficientNet-Lite0", "network.backbone efficientnet_lite0")
        return Architecture("an EfficientNet, but not Lite0")
    return Architecture(f"{len(tensors)} tensors such as {some(tensors)}")


def _resnet(tensors: Tensors) -> Architecture:
    num_blocks = tuple(
        len({name.split(".")[1] for name in tensors if name.startswith(f"layer{stage}.")})
        for stage in (1, 2, 3, 4)
    )
    num_kernels = 3 if "layer1.0.conv3.weight" in tensors else 2
    depths = [
        depth
        for depth, layout in DEPTHS.items()
        if (layout.num_blocks, len(layout.kernels)) == (num_blocks, num_kernels)
    ]
    body = f"ResNet-{depths[0]}" if depths else f"ResNet of {num_blocks} blocks"
    stem = _stem(tensors)
    if depths and stem in STEMS:
        settings = f"network.depth {depths[0]} and network.stem {stem}"
        return Architecture(f"a {body} with a {stem} stem", settings)
    return Architecture(f"a {body} with a {stem} stem")


def _stem(tensors: Tensors) -> str:
    names = [f"conv{number}.weight" for number in (1, 2, 3) if f"conv{number}.weight" in tensors]
    channels = tuple(tensors[name].shape[0] for name in names)
    kernels = tuple(tensors[name].shape[-1] for name in names)
    for stem, chain in STEMS.items():
        if (chain.channels[1:], chain.kernels) == (channels, kernels):
            return stem
    return f"{kernels} kernels and {channels} channels"


def _check_names(path: Path, tensors: Tensors, expected: Tensors) -> None:
    wanted, found = architecture(expected), architecture(tensors)
    rule = f"must hold ImageNet weights of {wanted.name}"
    if found != wanted:
        other_kind = "ResNet" in found.name and "ResNet" not in wanted.name
        settings = f"network.backbone resnet, {found.settings}" if other_kind else found.settings
        change = f"Set {settings}, or take" if found.settings else "Take"
        raise DataError(path, rule, found.name, f"{change} a file of {wanted.name}.")
    # The last norm of EfficientNet stands behind its 1x1 convolution to the classifier.
    classifiers = _CLASSIFIERS + (("bn2.",) if "conv_stem.weight" in expected else ())
    missing = {name for name in expected.keys() - tensors.keys() if not name.endswith(_COUNTER)}
    strange = {
        name for name in tensors.keys() - expected.keys() if not name.startswith(classifiers)
    }
    if missing or strange:
        raise DataError(
            path,
            rule,
            f"{len(missing)} missing ({some(missing)}), {len(strange)} unknown ({some(strange)})",
            "It is incomplete, or of a variant of that network; take another file.",
        )


def _plain_name(name: str) -> str:
    layer, dot, part = name.rpartition(".")
    return _TIMM_STEM.get(layer, layer) + dot + part
