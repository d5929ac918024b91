"""From bytes to what networks take: pictures normalised on the device they are on."""

from __future__ import annotations

from typing import TypeAlias

from jaxtyping import UInt8
from torch import Tensor

from segdoor.victim.answer import Images
from segdoor.victim.config import NetworkConfig
from segdoor.victim.device import constant

Pictures: TypeAlias = UInt8[Tensor, "B H W 3"]
"""RGB pictures, 0 to 255."""


def normalised(pictures: Pictures, network: NetworkConfig) -> Images:
    """Return pictures as a network expects them: float32, B x 3 x H x W, channels last in memory.

    Args:
        pictures: On any device.
        network: Its mean, standard deviation and order of channels.
    """
    batch, height, width, _ = pictures.shape
    # Over whole rows, not three channels at a time: five times as fast on a CPU.
    centre = constant(network.mean, pictures.device).repeat(width) * 255
    spread = constant(network.std, pictures.device).repeat(width) * 255
    rows = (pictures.reshape(batch, height, 3 * width) - centre).div_(spread)
    images = rows.view(batch, height, width, 3).permute(0, 3, 1, 2)
    return images.flip(1) if network.channels == "bgr" else images
