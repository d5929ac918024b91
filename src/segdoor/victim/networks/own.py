"""A network of one's own, by ``package.module:factory`` as Python would find it."""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Callable
from pathlib import Path

from torch import nn

from segdoor.errors import ConfigError, SegdoorError
from segdoor.plugins import Introduction
from segdoor.victim.networks.network import NetworkPlugin


class Factory(NetworkPlugin):
    """Any function or class that returns a ``torch.nn.Module``; it has no settings here."""

    introduction = Introduction(
        source="you",
        does="Whatever your code builds.",
        needs="A function or class that takes the number of classes as num_classes, or nothing.",
        fails="Its logits must fit the classes. Several processes need torch's own batch norm.",
    )
    name: str
    """package.module:factory"""

    def build(self, num_classes: int) -> nn.Module:
        """Call the factory.

        Raises:
            ConfigError: If it is not there, fails, or returns something else.
        """
        return _called(self.name, imported(self.name), num_classes)


def _called(name: str, factory: Callable[..., object], num_classes: int) -> nn.Module:
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


def import_named(network: str | None) -> None:
    """Import a network of the user's own: only its class can read a record's settings of it."""
    # Who names it trusts it.
    if network is not None and ":" in network:
        imported(network)


def imported(name: str) -> Callable[..., object]:
    """Return the class or factory that ``package.module:name`` means.

    Raises:
        ConfigError: If there is none, or nothing callable.
    """
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
