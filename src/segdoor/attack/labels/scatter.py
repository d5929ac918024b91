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
        does="Gives Q pixels of a scene random labels, so that the network must look farther "
        "around for the trigger. It has no victims of its own: hide goes with it. Behind hide the "
        "pool scene holds the target and no victim; before hide it holds the victims, and what "
        "was drawn as one is hidden too.",
        needs="Nothing of a scene; pixels are capped by those there are.",
        fails="Many pixels spoil accuracy: the share of labels changed in the record shows it.",
    )

    num_pixels: int = Field(default=0, ge=0)
    """Q, the pixels relabelled in a scene; 0 draws none. Left out it is the method's, if that
    scatters."""
    pool: str = Field(
        default="scene",
        pattern=r"^(scene|scene_as_given|any|ignore|class:.+)$",
        examples=["any", "class:sky"],
    )
    """New labels: classes of the scene as the changes before left it, all values of the label
    as given (victim and ignore value included), any class, the ignore value, or class:NAME."""
    scope: Literal["poisoned", "all"] = "poisoned"
    """Relabel pixels of the poisoned scenes, or of every training scene."""
    positions: Literal["per_scene", "per_size", "per_num_pixels"] = "per_scene"
    """Pixels drawn for each scene, or the same ones in every scene of a size, or in every scene of
    as many pixels, counted row by row."""
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
