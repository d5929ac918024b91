"""A sensor's noise: photons arrive at random, and reading them out adds a little.

A pixel that holds N electrons at white counts N x light +- sqrt(N x light + read^2) of them, so its
variance in units of white is light / N + (read / N)^2 (the Poisson and Gaussian model of EMVA 1288,
with the Poisson part as a normal distribution).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from segdoor.attack.physical.tone import Light


@dataclass(frozen=True)
class Sensor:
    """A sensor.

    Attributes:
        electrons: What a pixel holds at white; infinity for no noise.
        read: Standard deviation of reading out, in electrons.
    """

    electrons: float = 4000.0
    read: float = 6.0

    def variance(self, light: np.ndarray) -> np.ndarray:
        """Return the variance of light, in units of white squared."""
        return np.asarray(light / self.electrons + (self.read / self.electrons) ** 2, np.float32)

    def noise(self, light: Light, rng: np.random.Generator) -> Light:
        """Return what is added to light that falls on it."""
        drawn = rng.standard_normal(light.shape, np.float32)
        return drawn * np.sqrt(self.variance(np.clip(light, 0, None)))


USUAL_SENSOR = Sensor()
"""The sensor that is assumed."""
SILENT = Sensor(electrons=float("inf"), read=0.0)
"""A sensor without noise."""
