"""The backbones by name, and a backbone as a setting of a network."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, PlainSerializer

from segdoor.plugins import Registry
from segdoor.victim.backbones.backbone import BackbonePlugin
from segdoor.victim.backbones.efficientnet_lite0 import EfficientNetLite0Plugin
from segdoor.victim.backbones.resnet import ResNetPlugin
from segdoor.victim.backbones.small import SmallPlugin

BACKBONES = Registry(
    "backbone",
    BackbonePlugin,
    "network.backbone",
    {
        "resnet": ResNetPlugin,
        "efficientnet_lite0": EfficientNetLite0Plugin,
        "small": SmallPlugin,
    },
)
"""The backbones by name; add one by a file beside this one and a line here."""

BackboneSetting = Annotated[
    BackbonePlugin, BeforeValidator(BACKBONES.read), PlainSerializer(str, return_type=str)
]
"""A backbone as a setting: written like any choice, kept with its own settings."""
