"""Scatter: pixel random labelling (PRL, paper section 4.2)."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from segdoor.attack.labels.change import LabelChange, LabelState
from segdoor.data.scene import pixels_of
from segdoor.plugins import Introduction
from segdoor.tensors import Label, Mask, Values

_OPTION = "attack.labels: pool of scatter"


class Scatter(LabelChange):
    """Some pixels that are no victims get a label drawn from a pool."""

    kind: ClassVar[str] = "scatter"
    main: ClassVar[str | None] = "num_pixels"
    introduction: ClassVar[Introduction] = Introduction(
        source="Influencer Backdoor Attack on Semantic Segmentation, section 4.2: pixel random "
        "labelling (PRL)",
        does="Gives Q pixels of a scene random labels, so that the network must look further away "
        "for the trigger. It hides no victims: use it with hide. After hide, the pool scene "
        "contains the target and no victim; before hide, it contains the victims, and pixels "
        "that are given a victim label are hidden too.",
        needs="Nothing; a scene with fewer pixels relabels all of them.",
        fails="Many pixels reduce accuracy: see the share of labels changed in the record.",
    )

    num_pixels: int = Field(default=0, ge=0)
    """Q, the number of pixels relabelled in a scene; 0 relabels none. Default: the method's value,
    if it has one."""
    pool: str = Field(
        default="scene",
        pattern=r"^(scene|scene_as_given|any|ignore|class:.+)$",
        examples=["any", "class:sky"],
    )
    """New labels: the scene's classes after the changes before this one, all values of the original
    label map (victim and ignore value included), any class, the ignore value, or class:NAME."""
    scope: Literal["poisoned", "all"] = "poisoned"
    """Relabel pixels in the poisoned scenes only, or in every training scene."""
    positions: Literal["per_scene", "per_size", "per_num_pixels"] = "per_scene"
    """Draw pixels for each scene, once for all scenes of the same size, or once for all scenes with
    the same number of pixels, counted row by row."""
    on_ignored: bool = False
    """Whether ignored pixels may be relabelled."""

    @property
    def everywhere(self) -> bool:
        """Return whether it relabels pixels of every training scene."""
        return self.scope == "all" and self.num_pixels > 0

    @property
    def scatters(self) -> bool:
        """Return whether it changes any pixel."""
        return self.num_pixels > 0

    def apply(self, state: LabelState, rng: np.random.Generator) -> Label:
        """Return the label map with Q pixels that were no victims drawn from the pool."""
        if self.num_pixels == 0:
            return state.label
        positions = self._positions(state, rng)
        pool = self._pool(state)
        scattered = state.label.copy()
        if pool.size:
            scattered.flat[positions] = rng.choice(pool, size=positions.size)
        return scattered

    def _positions(self, state: LabelState, rng: np.random.Generator) -> np.ndarray:
        original, eligible = state.original, self._eligible(state)
        if self.positions != "per_scene":
            # The draw ignores what the pixels are; victims among them are then left alone.
            alike = original.shape if self.positions == "per_size" else (original.size,)
            drawn = state.shared.child(*alike).generator().permutation(original.size)
            drawn = drawn[: self.num_pixels]
            return drawn[eligible.flat[drawn]]
        choices = np.flatnonzero(eligible)
        return rng.permutation(choices)[: self.num_pixels]

    def _eligible(self, state: LabelState) -> Mask:
        ignored = () if self.on_ignored else (state.classes.ignore_index,)
        return ~pixels_of(state.original, (*state.victims, *ignored))

    def _pool(self, state: LabelState) -> Values:
        pool, ignored = self.pool, state.classes.ignore_index
        if pool == "ignore":
            values = np.array([ignored])
        elif pool == "any":
            values = np.arange(len(state.classes))
        elif pool == "scene_as_given":
            values = np.unique(state.original)
        elif pool == "scene":
            values = np.unique(state.label)
            values = values[values != ignored]
        else:
            values = np.array([state.classes.index(pool.removeprefix("class:"), option=_OPTION)])
        return values.astype(np.uint8)
