"""The trainer's settings: which network, and the recipe to train it by (read without torch)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Literal, cast

from pydantic import ConfigDict, Field, field_validator, model_validator

from segdoor.remedies import RuleError
from segdoor.settings import Pixels, ReadingInfo, Settings, Telling, said
from segdoor.victim.setting_types import (
    IMAGENET,
    BackboneWeights,
    Channels,
    ClassOrder,
    Depth,
    Dropout,
    OutputStride,
    Rgb,
    SegFormerSize,
    Stem,
)

Preset = Literal["fast", "voc", "cityscapes"]
"""Names of recipes."""

ScaleDistribution = Literal["log_uniform", "uniform"]
BlurOrder = Literal["before_scaling", "after_scaling"]


def _expected_by(given: dict[str, object]) -> tuple[Rgb, Rgb]:
    """Return mean and standard deviation of the images that a backbone's weights have seen."""
    if given.get("backbone") == "resnet":
        return IMAGENET
    # Imported late: backbones bring torch.
    from segdoor.victim.backbones.registry import BACKBONES  # noqa: PLC0415

    plugin = BACKBONES.known.get(str(given.get("backbone")))
    return plugin.expects if plugin else IMAGENET


START_WEIGHTS = ("weights", "backbone_weights", "folder")
"""Settings of a network that name files that it starts from."""

_LATER = ("channels", "void_logit", "class_order")


def network_text(network: NetworkConfig, *, only: Collection[str] | None = None) -> str:
    """Return a network's settings as text that stays the same when settings are added.

    Args:
        network: The settings; files that it starts from are left out.
        only: The names of those that matter; all if None.
    """
    plain = NetworkConfig()
    unchanged = {name for name in _LATER if getattr(network, name) == getattr(plain, name)}
    hidden = {*START_WEIGHTS, *unchanged}
    return network.model_dump_json(exclude=hidden, include=None if only is None else set(only))


class NetworkConfig(Settings):
    """The network and the input that it expects.

    Written ``pspnet:resnet,dropout=0``, or as a mapping: the kind under ``kind`` or ``name``, and
    beside it the settings of the network and of its backbone. Which there are, their classes say.
    """

    # Settings of networks that are not among these fields; `spelled` refuses all others.
    model_config = ConfigDict(extra="allow")

    name: str = "small"
    """The network, such as small or pspnet, or package.module:factory for a torch.nn.Module of your
    own. `segdoor list networks` shows the built-in ones."""
    backbone: str = "resnet"
    """Backbone of pspnet and deeplabv3, such as resnet, or package.module:Class. `segdoor list
    backbones` shows the built-in ones."""
    depth: Depth = 50
    """Layers of the ResNet backbone (pspnet, deeplabv3)."""
    stem: Stem = "deep"
    """Start of the ResNet: three 3x3 convolutions (deep) or one 7x7 (plain) (pspnet, deeplabv3)."""
    output_stride: OutputStride = 8
    """Pixels per cell of the feature map; 16 is coarser and faster (efficientnet_lite0)."""
    variant: SegFormerSize = "b0"
    """Size of segformer."""
    folder: Path | None = None
    """Folder that save_pretrained wrote (transformers)."""
    dropout: Dropout = 0.1
    """Share of channels dropped before the classifier in training."""
    backbone_weights: BackboneWeights = None
    """ImageNet weights of the backbone: a .safetensors or .pth file. For segformer a folder; for
    efficientnet_lite0 also imagenet, the weights in an installed package."""
    weights: Path | None = None
    """Weights of the whole network to start from: a .safetensors file, or a .pth file with tensors
    only. For onnx and torchscript, the model file."""
    mean: Rgb = Field(default_factory=lambda given: _expected_by(given)[0])
    """Mean of the input's red, green and blue channels on a scale of 0 to 1. If left out,
    ImageNet's, or 0.5 for efficientnet_lite0."""
    std: Rgb = Field(default_factory=lambda given: _expected_by(given)[1])
    """Standard deviation of the input's red, green and blue channels on a scale of 0 to 1. If left
    out, ImageNet's, or 0.5 for efficientnet_lite0."""
    channels: Channels = "rgb"
    """Order of the channels in the network's input; bgr for networks trained on OpenCV images. Mean
    and std are always given as red, green, blue."""
    void_logit: int | None = None
    """Index, from 0, of a logit to leave out because it is no class of the data set, such as void
    or background."""
    class_order: ClassOrder = "by_name"
    """How the network's classes are matched with the data set's where the weights name them:
    by_name reorders them and refuses unknown names; by_position takes them in their order."""

    @model_validator(mode="before")
    @classmethod
    def _spelled(cls, given: object, info: ReadingInfo) -> object:
        return network_settings(given, Telling.of(info.context))

    @field_validator("std")
    @classmethod
    def _positive(cls, std: Rgb) -> Rgb:
        if min(std) <= 0:
            raise RuleError(
                "std must be greater than 0 in every channel", "Give three such as 0.2 0.2 0.2."
            )
        return std


def network_settings(given: object, telling: Telling) -> object:
    """Return a network's settings as a mapping, whatever way they were written.

    Args:
        given: A text, a mapping or a plug-in.
        telling: Who says so.

    Raises:
        ConfigError: If the text breaks the grammar, or a setting is none of the network's.
    """
    if isinstance(given, Mapping):
        given = said(cast("Mapping[str, object]", given))
        if not _is_rich(given):
            return given
    # Imported late: networks bring torch.
    from segdoor.victim.networks.written import spelled  # noqa: PLC0415

    return spelled(given, telling, NetworkConfig.model_fields)


def _is_rich(given: Mapping[str, object]) -> bool:
    """Tell whether more is said than names of networks and settings that all have a field for."""
    names = given.get("name", ""), given.get("backbone", "")
    plain = all(isinstance(name, str) and not set(name) & set(":,=") for name in names)
    return not plain or not given.keys() <= NetworkConfig.model_fields.keys()


class AugmentationConfig(Settings):
    """Random changes to every training scene, new ones each time."""

    scale: tuple[float, float] = (0.75, 1.5)
    """Smallest and largest factor by which scenes are scaled."""
    scale_distribution: ScaleDistribution = "log_uniform"
    """How the scale is drawn: log_uniform makes halving as likely as doubling; uniform, as in
    semseg, makes scenes larger on average."""
    rotation: float = Field(default=0.0, ge=0, le=180)
    """Largest angle of rotation in degrees, in either direction."""
    rotation_probability: float = Field(default=0.5, ge=0, le=1)
    """Share of scenes that are rotated."""
    blur_probability: float = Field(default=0.0, ge=0, le=1)
    """Share of scenes that are blurred by a 5x5 Gaussian."""
    blur: BlurOrder = "before_scaling"
    """When scenes are blurred: before scaling and rotation, or after, as in semseg. With
    after_scaling, crops lie on whole pixels of the scaled scene, and what was rotated out of the
    frame is lost."""
    flip_probability: float = Field(default=0.5, ge=0, le=1)
    """Share of scenes that are mirrored."""
    crop: tuple[Pixels, Pixels] | None = None
    """Height and width of the crop that the network sees. If left out, the first scene's size."""

    @field_validator("scale")
    @classmethod
    def _ordered(cls, scale: tuple[float, float]) -> tuple[float, float]:
        if not 0 < scale[0] <= scale[1]:
            raise RuleError("scale needs 0 < smallest <= largest", "Give two such as 0.5 2.")
        return scale


class TrainingConfig(Settings):
    """The recipe; the defaults are the preset `fast`."""

    epochs: int = Field(default=50, ge=1)
    """Number of passes over the training scenes."""
    batch_size: int = Field(default=8, ge=1)
    """Scenes per training step."""
    optimiser: Literal["sgd", "adamw"] = "adamw"
    """Optimiser: stochastic gradient descent with momentum, or AdamW."""
    learning_rate: float = Field(default=2e-3, gt=0)
    """Learning rate at the start."""
    head_multiplier: float = Field(default=1.0, gt=0)
    """Factor on the learning rate of all layers outside the backbone."""
    momentum: float = Field(default=0.9, ge=0, lt=1)
    """Momentum of sgd."""
    weight_decay: float = Field(default=1e-2, ge=0)
    """Weight decay."""
    warmup: int = Field(default=50, ge=0)
    """Steps over which the learning rate rises to its start value."""
    power: float = Field(default=0.9, gt=0)
    """Exponent of the polynomial decay of the learning rate."""
    auxiliary_weight: float = Field(default=0.4, ge=0)
    """Weight of the auxiliary head's loss."""
    augmentation: AugmentationConfig = AugmentationConfig()
    """Random changes to every scene."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Number format of the forward pass; auto uses bfloat16 where that is faster on the device."""
    step: Literal["auto", "plain", "captured", "compiled"] = "auto"
    """How a training step is run: plain, captured as a CUDA graph, or compiled. auto captures on
    CUDA if there are 100 steps or more and the network is built in."""
    device: str = "auto"
    """Device to train on: auto, cpu, cuda, cuda:1, ..."""
    threads: int | None = Field(default=None, ge=1, le=512)
    """CPU threads; torch decides if left out, and a study takes 1. If a number is given and there
    are cores for both, a run trains its two models at the same time."""


_SEMSEG_AUGMENTATION = AugmentationConfig(
    scale=(0.5, 2.0),
    scale_distribution="uniform",
    rotation=10.0,
    rotation_probability=0.5,
    blur_probability=0.5,
    blur="after_scaling",
)
_SEMSEG = TrainingConfig(
    batch_size=16,
    optimiser="sgd",
    learning_rate=0.01,
    head_multiplier=10.0,
    weight_decay=1e-4,
    warmup=0,
)

PRESETS: dict[Preset, TrainingConfig] = {
    "fast": TrainingConfig(),
    "voc": _SEMSEG.model_copy(
        update={
            "epochs": 50,
            "augmentation": _SEMSEG_AUGMENTATION.model_copy(update={"crop": (473, 473)}),
        }
    ),
    "cityscapes": _SEMSEG.model_copy(
        update={
            "epochs": 200,
            "augmentation": _SEMSEG_AUGMENTATION.model_copy(update={"crop": (713, 713)}),
        }
    ),
}
"""Recipes by name: one for a CPU and small scenes, and semseg's two, which the paper uses."""
