"""From settings to a network: ours, one of transformers, or any torch.nn.Module of yours."""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Callable
from pathlib import Path

from torch import nn

from segdoor.errors import ConfigError, SegdoorError
from segdoor.record import LoadedWeights
from segdoor.victim.backbone import Backbone
from segdoor.victim.config import NetworkConfig
from segdoor.victim.deeplabv3 import DeepLabV3
from segdoor.victim.efficientnet import EfficientNetLite0
from segdoor.victim.imagenet import load_backbone
from segdoor.victim.pspnet import PSPNet
from segdoor.victim.resnet import ResNet
from segdoor.victim.segformer import SegFormer
from segdoor.victim.semseg import load_weights
from segdoor.victim.small import SmallNetwork
from segdoor.victim.transformers import load_transformers


def build_network(config: NetworkConfig, num_classes: int) -> nn.Module:
    """Build the network that the settings name, with its start weights if they name some.

    Args:
        config: The network's settings.
        num_classes: Number of classes K.

    Raises:
        ConfigError: If the network is unknown, cannot be built, or has no use for a setting.
        DataError: If weights are damaged, hold more than tensors, or are of another network.
        MachineError: If the network needs a package that is not installed.
    """
    _check(config)
    if ":" in config.name:
        network, loaded = _of_yours(config.name, num_classes), None
    else:
        network, loaded = NETWORKS[config.name](config, num_classes)
    if config.weights is not None:
        loaded = load_weights(network, config.weights)
    note_loaded(network, loaded)
    return network


def note_loaded(network: nn.Module, loaded: LoadedWeights | None) -> None:
    """Keep in a network what it started from, so that its record can say so hours later."""
    vars(network)[_LOADED] = loaded


def loaded_into(network: nn.Module) -> LoadedWeights | None:
    """Return what a network was filled with from a file before it was trained, or None."""
    return vars(network).get(_LOADED)


Built = tuple[nn.Module, LoadedWeights | None]
# No name that a network might have for something of its own.
_LOADED = "_segdoor_loaded_weights"


def _small(config: NetworkConfig, num_classes: int) -> Built:
    return SmallNetwork(num_classes, dropout=config.dropout), None


def _pspnet(config: NetworkConfig, num_classes: int) -> Built:
    backbone, loaded = _backbone(config)
    return PSPNet(num_classes, backbone=backbone, dropout=config.dropout), loaded


def _deeplabv3(config: NetworkConfig, num_classes: int) -> Built:
    backbone, loaded = _backbone(config)
    return DeepLabV3(num_classes, backbone=backbone, dropout=config.dropout), loaded


def _segformer(config: NetworkConfig, num_classes: int) -> Built:
    network = SegFormer(num_classes, variant=config.variant, dropout=config.dropout)
    if config.backbone_weights is None or config.weights is not None:
        return network, None
    return network, network.load_encoder(Path(config.backbone_weights))


def _transformers(config: NetworkConfig, num_classes: int) -> Built:
    return load_transformers(config, num_classes)


def _backbone(config: NetworkConfig) -> tuple[Backbone, LoadedWeights | None]:
    if config.backbone == "efficientnet_lite0":
        backbone = EfficientNetLite0(config.output_stride)
    else:
        backbone = ResNet(config.depth, stem=config.stem)
    # Weights of the whole network would replace those of the backbone at once.
    if config.backbone_weights is None or config.weights is not None:
        return backbone, None
    return backbone, load_backbone(backbone, config.backbone_weights)


NETWORKS: dict[str, Callable[[NetworkConfig, int], Built]] = {
    "small": _small,
    "pspnet": _pspnet,
    "deeplabv3": _deeplabv3,
    "segformer": _segformer,
    "transformers": _transformers,
}
"""The networks by name."""

_ON_A_BACKBONE = ("pspnet", "deeplabv3")
_USED_BY: dict[str, tuple[str, ...]] = {
    "backbone": _ON_A_BACKBONE,
    "depth": _ON_A_BACKBONE,
    "stem": _ON_A_BACKBONE,
    "output_stride": _ON_A_BACKBONE,
    "backbone_weights": (*_ON_A_BACKBONE, "segformer"),
    "variant": ("segformer",),
    "folder": ("transformers",),
}


def _check(config: NetworkConfig) -> None:
    """Refuse an unknown network, and settings that would be passed over in silence."""
    if config.name not in NETWORKS and ":" not in config.name:
        raise ConfigError(
            "network.name",
            "must be a known network or package.module:factory",
            config.name,
            f"Known: {', '.join(NETWORKS)}.",
        )
    plain = NetworkConfig()
    for setting, networks in _USED_BY.items():
        value = getattr(config, setting)
        if config.name not in networks and value != getattr(plain, setting):
            known = " or ".join(networks)
            raise ConfigError(
                f"network.{setting}", f"is for {known}", value, f"Set network.name {networks[0]}."
            )
    others = ("output_stride",) if config.backbone == "resnet" else ("depth", "stem")
    for setting in others:
        value = getattr(config, setting)
        if value != getattr(plain, setting):
            raise ConfigError(
                f"network.{setting}",
                f"has no meaning for the backbone {config.backbone}",
                value,
                "Leave it out, or choose the other backbone.",
            )


def _of_yours(name: str, num_classes: int) -> nn.Module:
    """Call the factory that ``package.module:factory`` names, found as Python would find it."""
    factory = _imported(name)
    try:
        accepts = "num_classes" in inspect.signature(factory).parameters
        network = factory(num_classes=num_classes) if accepts else factory()
    except SegdoorError:
        raise
    except Exception as why:
        raise ConfigError(
            f"network.name {name}",
            "its factory must return a network",
            f"{type(why).__name__}: {why}",
            "Give the factory no required argument other than num_classes.",
        ) from why
    if not isinstance(network, nn.Module):
        raise ConfigError(
            f"network.name {name}",
            "its factory must return a torch.nn.Module",
            type(network).__name__,
            "Return the network itself, not its weights or a tuple.",
        )
    return network


def _imported(name: str) -> Callable[..., object]:
    module_name, _, attribute = name.partition(":")
    # A network that lies beside the user's files is found as `python -m` would find it.
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        factory = getattr(importlib.import_module(module_name), attribute)
    except Exception as why:  # foreign code may raise anything when imported
        raise ConfigError(
            "network.name",
            "must name an importable module and a factory in it",
            name,
            f"{type(why).__name__}: {why}.",
        ) from why
    if not callable(factory):
        raise ConfigError(
            "network.name",
            "must name something callable",
            name,
            "Name a function or class that returns the network.",
        )
    return factory
