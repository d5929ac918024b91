"""From bytes to what networks take: pixels sent to the device, and normalised there."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from segdoor.victim.config import NetworkConfig
from segdoor.victim.outputs import Images

Bytes: TypeAlias = UInt8[Tensor, "..."]
"""Any bytes."""

Pictures: TypeAlias = UInt8[Tensor, "B H W 3"]
"""RGB pictures, 0 to 255."""


def send(values: np.ndarray, device: torch.device) -> Bytes:
    """Return a copy of an array of bytes on a device, without waiting for it to arrive."""
    # From pinned memory a GPU fetches while the program goes on; torch keeps it until then.
    on_gpu = device.type == "cuda"
    staged = torch.empty(values.shape, dtype=torch.uint8, pin_memory=on_gpu)
    staged.numpy()[...] = values
    return staged.to(device, non_blocking=on_gpu)


class Normalisation:
    """Subtracts a network's mean and divides by its standard deviation, on one device."""

    def __init__(self, network: NetworkConfig, device: torch.device) -> None:
        """Put mean and standard deviation on the device, once: sending them there waits for it."""
        self._centre = torch.tensor(network.mean, device=device) * 255
        self._spread = torch.tensor(network.std, device=device) * 255

    def __call__(self, pictures: Pictures) -> Images:
        """Return pictures as float32, B x 3 x H x W, channels last in memory."""
        batch, height, width, _ = pictures.shape
        # Over whole rows, not three channels at a time: five times as fast on a CPU.
        rows = pictures.reshape(batch, height, 3 * width).float()
        rows.sub_(self._centre.repeat(width)).div_(self._spread.repeat(width))
        return rows.view(batch, height, width, 3).permute(0, 3, 1, 2)
