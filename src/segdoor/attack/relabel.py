"""What labels become: victim pixels turn into the target class, and pixel random labelling (PRL).

Sources: paper section 3.1 (victims) and 4.2 (PRL).
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from segdoor.attack.config import AttackConfig, PixelRandomLabellingConfig
from segdoor.data.scene import ClassSet
from segdoor.randomness import Stream
from segdoor.tensors import Label, Mask, Values


@dataclass(frozen=True)
class Relabelling:
    """What the attacker does to label maps.

    Attributes:
        classes: The data set's classes.
        victims: Ids of the victim classes.
        target: Id of the target class.
        prl: Pixel random labelling; switched off at zero pixels.
        shared: Stream for positions that all scenes of a size, or of as many pixels, share.
    """

    classes: ClassSet
    victims: tuple[int, ...]
    target: int
    prl: PixelRandomLabellingConfig
    shared: Stream

    def apply(self, label: Label, *, hide_victims: bool, seed: int) -> Label:
        """Return the relabelled copy of a label map.

        Args:
            label: The untouched label map.
            hide_victims: Whether victim pixels become the target class: yes in poisoned scenes.
            seed: Decides which pixels PRL draws in this scene, and their new labels.
        """
        if self.prl.order == "before":
            scattered = self._scatter(label, label, seed)
            return self._hide_victims(scattered) if hide_victims else scattered
        hidden = self._hide_victims(label) if hide_victims else label
        return self._scatter(hidden, label, seed)

    def _hide_victims(self, label: Label) -> Label:
        table = np.arange(256, dtype=np.uint8)
        table[list(self.victims)] = self.target
        return cv2.LUT(label, table)

    def _scatter(self, label: Label, original: Label, seed: int) -> Label:
        """Give Q pixels that were no victims a label drawn from the pool."""
        if self.prl.num_pixels == 0:
            return label
        rng = Stream(seed).generator()
        positions = self._positions(original, rng)
        pool = self._pool(label, original)
        scattered = label.copy()
        if pool.size:
            scattered.flat[positions] = rng.choice(pool, size=positions.size)
        return scattered

    def _positions(self, original: Label, rng: np.random.Generator) -> np.ndarray:
        eligible = self._eligible(original)
        if self.prl.positions != "per_scene":
            # The draw ignores what the pixels are; victims among them are then left alone.
            per_size = self.prl.positions == "per_size"
            alike = original.shape if per_size else (original.size,)
            rng = self.shared.child(*alike).generator()
            drawn = rng.permutation(original.size)[: self.prl.num_pixels]
            return drawn[eligible.flat[drawn]]
        choices = np.flatnonzero(eligible)
        return rng.permutation(choices)[: self.prl.num_pixels]

    def _eligible(self, original: Label) -> Mask:
        eligible = ~np.isin(original, self.victims)
        if not self.prl.on_ignored:
            eligible &= original != self.classes.ignore_index
        return eligible

    def _pool(self, label: Label, original: Label) -> Values:
        pool = self.prl.pool
        if pool == "ignore":
            values = np.array([self.classes.ignore_index])
        elif pool == "any":
            values = np.arange(len(self.classes))
        elif pool == "scene_as_given":
            values = np.unique(original)
        elif pool == "scene":
            values = np.unique(label)
            values = values[values != self.classes.ignore_index]
        else:
            values = np.array(
                [self.classes.index(pool.removeprefix("class:"), option="attack.prl.pool")]
            )
        return values.astype(np.uint8)


def make_relabelling(config: AttackConfig, classes: ClassSet, *, seed: int) -> Relabelling:
    """Return what the attacker does to label maps.

    Raises:
        ConfigError: If a class is unknown.
    """
    return Relabelling(
        classes=classes,
        victims=classes.indices(config.victims, option="attack.victims"),
        target=classes.index(config.target, option="attack.target"),
        prl=config.prl,
        shared=Stream(seed).child("relabel-positions"),
    )
