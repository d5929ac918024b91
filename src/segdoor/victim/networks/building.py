"""From settings to a network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

from torch import nn

from segdoor.errors import ConfigError
from segdoor.settings import validated
from segdoor.victim.backbones.registry import BACKBONES
from segdoor.victim.checkpoint import loaded_into, note_loaded
from segdoor.victim.config import NetworkConfig
from segdoor.victim.logits import arrange, num_logits
from segdoor.victim.networks.network import NetworkPlugin
from segdoor.victim.networks.own import Factory
from segdoor.victim.networks.registry import NETWORKS, network_class
from segdoor.victim.semseg import filled

# What every network has, or may pass over: recipes set the dropout whatever the network.
_OF_ALL = {
    "name", "weights", "mean", "std", "dropout", "channels", "void_logit", "class_order",
}  # fmt: skip


def build_network(
    config: NetworkConfig, num_classes: int, *, classes: Sequence[str] | None = None
) -> nn.Module:
    """Build the network that the settings name, with its start weights if there are any.

    Args:
        config: The network's settings.
        num_classes: Number of classes K.
        classes: Their names, which are compared with those that weights come with; None to compare
            none.

    Raises:
        ConfigError: If the network is unknown, cannot be built, or has no use for a setting.
        DataError: If weights are damaged, hold more than tensors, or are of another network.
        MachineError: If the network needs a package that is not installed.
    """
    plugin = plugin_of(config)
    _check_input(config, plugin)
    network = plugin.build(num_logits(config, num_classes))
    if config.weights is not None and "weights" not in type(plugin).model_fields:
        before, loaded = loaded_into(network), filled(network, config.weights)
        if before is not None and loaded.classes is None:
            # A model's folder names its classes, whatever weights it is filled with.
            loaded = loaded.model_copy(update={"classes": before.classes})
        note_loaded(network, loaded)
    loaded = arrange(network, loaded_into(network), config, classes or num_classes)
    note_loaded(network, loaded)
    return network


def plugin_of(config: NetworkConfig) -> NetworkPlugin:
    """Return the kind of network that settings name, with those of them that are its own.

    Raises:
        ConfigError: If there is none, or it has no use for a setting.
    """
    plugin = network_class(config.name)
    _check_used(config, plugin)
    if plugin is Factory:
        return Factory(name=config.name)
    given = dict(config)
    if config.weights is not None:
        # Weights of the whole network would replace those of the backbone at once.
        given["backbone_weights"] = None
    if "backbone" in plugin.model_fields:
        backbone = BACKBONES.named(config.backbone)
        given["backbone"] = {"kind": config.backbone, **_of(backbone.model_fields, given)}
    return validated(plugin, _of(plugin.model_fields, given), source="network.")


def _of(fields: Mapping[str, object], given: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in given.items() if name in fields}


def _check_used(config: NetworkConfig, plugin: type[NetworkPlugin]) -> None:
    """Refuse settings that would be passed over in silence."""
    plain = NetworkConfig()
    changed = {
        name: getattr(config, name)
        for name in NetworkConfig.model_fields
        if name not in _OF_ALL and getattr(config, name) != getattr(plain, name)
    }
    for name, value in changed.items():
        if name not in _settings_of(plugin):
            users = [kind for kind, other in NETWORKS.known.items() if name in _settings_of(other)]
            raise ConfigError(
                f"network.{name}",
                f"is for {' or '.join(users)}",
                value,
                f"Set network.name {users[0]}.",
            )
    for name, value in changed.items():
        own = plugin.model_fields.keys() | BACKBONES.named(config.backbone).model_fields.keys()
        if name not in own:
            raise ConfigError(
                f"network.{name}",
                f"has no meaning for the backbone {config.backbone}",
                value,
                "Leave it out, or choose the other backbone.",
            )


def _settings_of(plugin: type[NetworkPlugin]) -> set[str]:
    """Return the settings that a network uses itself, or that one of its backbones does."""
    backbones = BACKBONES.known.values() if "backbone" in plugin.model_fields else ()
    return {*plugin.model_fields, *(name for kind in backbones for name in kind.model_fields)}


def _check_input(config: NetworkConfig, plugin: NetworkPlugin) -> None:
    """Refuse a default that the network's own maker contradicts; other numbers count."""
    if config.channels == "bgr" and plugin.reads_bgr():
        raise ConfigError(
            "network.channels",
            "must be left out: the model brings them into the order bgr by itself",
            config.channels,
            "Leave it out.",
        )
    expected, chosen = plugin.expects(), (config.mean, config.std)
    usual = NetworkConfig(backbone=config.backbone)
    if expected is None or expected == chosen or chosen != (usual.mean, usual.std):
        return
    raise ConfigError(
        "network.mean and network.std",
        f"must be those that the network was made for: {_words(expected)}",
        f"the defaults {_words(chosen)}",
        "Set both, or correct preprocessor_config.json.",
    )


def _words(pair: tuple[object, object]) -> str:
    """Return mean and deviation as they are written among options."""
    return " and ".join(
        " ".join(map(str, cast("tuple[float, ...]", value)))
        if isinstance(value, tuple)
        else str(value)
        for value in pair
    )
