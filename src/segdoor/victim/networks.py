"""From settings to a network: the paper's, a small one, or any torch.nn.Module of yours."""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Callable
from pathlib import Path

from torch import nn

from segdoor.errors import ConfigError, SegdoorError
from segdoor.victim.checkpoint import load_weights
from segdoor.victim.config import NetworkConfig
from segdoor.victim.deeplabv3 import DeepLabV3
from segdoor.victim.pspnet import PSPNet
from segdoor.victim.small import SmallNetwork


def build_network(config: NetworkConfig, num_classes: int) -> nn.Module:
    """Build the network that the settings name, with its start weights if they name some.

    Args:
        config: The network's settings.
        num_classes: Number of classes K.

    Raises:
        ConfigError: If the network is unknown or cannot be built.
        DataError: If the weights are of another network.
    """
    if ":" in config.name:
        network = _of_yours(config.name, num_classes)
    elif config.name in NETWORKS:
        network = NETWORKS[config.name](config, num_classes)
    else:
        known = ", ".join(NETWORKS)
        raise ConfigError(
            "network.name",
            "must be a known network or package.module:factory",
            config.name,
            f"Known: {known}.",
        )
    if config.weights is not None:
        load_weights(network, config.weights)
    return network


def _small(config: NetworkConfig, num_classes: int) -> nn.Module:
    return SmallNetwork(num_classes, dropout=config.dropout)


def _pspnet(config: NetworkConfig, num_classes: int) -> nn.Module:
    backbone = (config.depth, config.stem)
    return PSPNet(num_classes, backbone=backbone, dropout=config.dropout)


def _deeplabv3(config: NetworkConfig, num_classes: int) -> nn.Module:
    backbone = (config.depth, config.stem)
    return DeepLabV3(num_classes, backbone=backbone, dropout=config.dropout)


NETWORKS: dict[str, Callable[[NetworkConfig, int], nn.Module]] = {
    "small": _small,
    "pspnet": _pspnet,
    "deeplabv3": _deeplabv3,
}
"""The networks by name."""


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
