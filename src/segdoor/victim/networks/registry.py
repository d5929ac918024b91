"""The networks by name."""

from __future__ import annotations

from segdoor.errors import ConfigError
from segdoor.plugins import Registry
from segdoor.victim.networks.deeplabv3 import DeepLabV3Plugin
from segdoor.victim.networks.network import NetworkPlugin
from segdoor.victim.networks.onnx import OnnxPlugin
from segdoor.victim.networks.own import Factory, imported
from segdoor.victim.networks.pspnet import PSPNetPlugin
from segdoor.victim.networks.sam import SamPlugin
from segdoor.victim.networks.segformer import SegFormerPlugin
from segdoor.victim.networks.small import SmallPlugin
from segdoor.victim.networks.torchscript import TorchScriptPlugin
from segdoor.victim.networks.transformers import TransformersPlugin

NETWORKS = Registry(
    "network",
    NetworkPlugin,
    "network",
    {
        "small": SmallPlugin,
        "pspnet": PSPNetPlugin,
        "deeplabv3": DeepLabV3Plugin,
        "segformer": SegFormerPlugin,
        "sam": SamPlugin,
        "transformers": TransformersPlugin,
        "onnx": OnnxPlugin,
        "torchscript": TorchScriptPlugin,
    },
)
"""The networks by name; add one by a file beside this one and a line here."""


def network_class(name: str) -> type[NetworkPlugin]:
    """Return the class of a kind; of a network of one's own its class, or `Factory`.

    Raises:
        ConfigError: If there is none.
    """
    if ":" not in name:
        if name in NETWORKS.known:
            return NETWORKS.known[name]
        raise ConfigError(
            "network.name",
            "must be a known network or package.module:factory",
            name,
            f"Known: {', '.join(NETWORKS.known)}.",
        )
    found = imported(name)
    if isinstance(found, type) and issubclass(found, NetworkPlugin):
        return found
    return Factory
