"""Bytes and light: the curve of sRGB (IEC 61966-2-1), whose light is proportional to photons."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from jaxtyping import Float32

from segdoor.tensors import AnyImage

Light: TypeAlias = Float32[np.ndarray, "_ _ 3"]
"""Linear light of red, green and blue, 1 for white."""
Luminance: TypeAlias = Float32[np.ndarray, "_ _"]
"""Linear light as the eye weighs it."""

WEIGHTS = np.array([0.2126, 0.7152, 0.0722], np.float32)
"""Shares of red, green and blue in the luminance (ITU-R BT.709)."""


def to_light(image: AnyImage) -> Light:
    """Return the linear light of an image."""
    return linear(image.astype(np.float32) / 255)


def linear(signal: np.ndarray) -> np.ndarray:
    """Return the light of sRGB values from 0 to 1."""
    signal = np.asarray(signal, np.float32)
    high = ((signal + np.float32(0.055)) / np.float32(1.055)) ** np.float32(2.4)
    return np.where(signal <= 0.04045, signal / np.float32(12.92), high)


def to_bytes(light: Light) -> AnyImage:
    """Return the image of linear light, cut off at black and white."""
    light = np.clip(light, 0, 1)
    high = np.float32(1.055) * light ** np.float32(1 / 2.4) - np.float32(0.055)
    signal = np.where(light <= 0.0031308, light * np.float32(12.92), high)
    return np.rint(signal * 255).astype(np.uint8)


def luminance(light: Light) -> Luminance:
    """Return the luminance of every pixel."""
    return light @ WEIGHTS
