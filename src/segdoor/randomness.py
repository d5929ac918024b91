"""Named random streams: every random choice is a function of one seed and of what it is for.

Two streams with different names are independent, and asking for one never advances another, so
results depend neither on the order of the work nor on the number of workers.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Stream:
    """A name for randomness, such as ``Stream(0).child("poison", "scene_17")``.

    Attributes:
        seed: The seed a person gave.
        names: What the stream is for, from the general to the particular.
    """

    seed: int
    names: tuple[str | int, ...] = ()

    def child(self, *names: str | int) -> Stream:
        """Return the stream for a part of this stream's purpose."""
        return Stream(self.seed, (*self.names, *names))

    def integer(self) -> int:
        """Return this stream's 63-bit integer; the same stream always gives the same one."""
        # repr keeps 1 and "1" apart, and a name containing a separator cannot imitate two names.
        key = hashlib.sha256(repr((self.seed, self.names)).encode()).digest()
        return int.from_bytes(key[:8], "big") >> 1

    def generator(self) -> np.random.Generator:
        """Return a fresh NumPy generator at the start of this stream."""
        return np.random.Generator(np.random.PCG64(self.integer()))
