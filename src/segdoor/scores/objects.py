"""Rows of objects: what a network made of every region of a victim class, one row each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from segdoor.tensors import Indices, ObjectCounts, ObjectDistances


@dataclass(frozen=True)
class ObjectRows:
    """The objects of one test's scenes, scene by scene.

    Attributes:
        counts: One row an object, int64, O x 5: position of its scene among the names of its
            table set, its class, its pixels, those predicted as the target class, and those
            predicted as its own class.
        distances: From the trigger's centre to the object's nearest pixel, float64, O, in pixels
            of the scene; NaN where there is no trigger.
    """

    counts: ObjectCounts
    distances: ObjectDistances

    @property
    def scenes(self) -> Indices:
        """Return the position of each object's scene."""
        return self.counts[:, 0]

    @property
    def classes(self) -> Indices:
        """Return each object's class."""
        return self.counts[:, 1]

    @property
    def pixels(self) -> Indices:
        """Return each object's number of pixels."""
        return self.counts[:, 2]

    @property
    def lost(self) -> Indices:
        """Return how many pixels of each object were taken for the target class."""
        return self.counts[:, 3]

    @property
    def kept(self) -> Indices:
        """Return how many pixels of each object were recognised."""
        return self.counts[:, 4]

    def only(self, scenes: list[int]) -> ObjectRows:
        """Return the objects of some scenes, by rising position, which are then counted from 0."""
        chosen = np.isin(self.scenes, scenes)
        counts = self.counts[chosen]
        counts[:, 0] = np.searchsorted(scenes, counts[:, 0])
        return ObjectRows(counts, self.distances[chosen])

    def joined(self, other: ObjectRows, *, offset: int) -> ObjectRows:
        """Return both, the other's scenes behind these.

        Args:
            other: Objects of other scenes.
            offset: Number of scenes of these.
        """
        behind = other.counts + np.array([offset, 0, 0, 0, 0])
        return ObjectRows(
            np.concatenate([self.counts, behind]),
            np.concatenate([self.distances, other.distances]),
        )
