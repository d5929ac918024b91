"""Remap: several pairs of victim and target class, all changed at the same time."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from pydantic import Field, field_validator

from segdoor.attack.labels.change import Joined, LabelChange, LabelState, Pair, retargeted
from segdoor.plugins import Introduction
from segdoor.remedies import RuleError
from segdoor.tensors import Label


class Remap(LabelChange):
    """Every pixel of a victim class becomes that class's own target, whatever the others do."""

    kind: ClassVar[str] = "remap"
    main: ClassVar[str | None] = "classes"
    at_once: ClassVar[bool] = True
    introduction: ClassVar[Introduction] = Introduction(
        source="segdoor, for the four coarse attacks of BADSEG (arXiv 2603.16405): object or "
        "background to object or background",
        does="Turns each victim class into its own target class. All pairs are changed at once, so "
        "that a target may be a victim too: with car>road+road>building cars become road and not "
        "building. Unlike several hides, it can also exchange two classes.",
        needs="Scenes that show one of the victims. In a shell it must be quoted, because > writes "
        "to a file there. Victims of a large class, such as road, leave little room for a trigger "
        "that must not cover victims: see rules.on_victim.",
        fails="ASR is over the pixels of all pairs, so that the largest victim class decides it: "
        "--fail-on asr:TEST:CLASS>VALUE judges one class alone.",
    )

    classes: Joined = Field(
        default=("car>road",), min_length=1, examples=["car>road+tree>sky", "car>road+road>car"]
    )
    """Pairs of victim and target class with > between them; join several with +."""

    @field_validator("classes")
    @classmethod
    def _are_pairs(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        for text in given:
            victim, target = _of(text)
            if not (victim and target) or victim == target:
                raise RuleError(
                    f"must name two different classes as victim>target, not {text!r}",
                    "Write remap:car>road, for example; in a shell, put it in quotes.",
                )
        return tuple(">".join(_of(text)) for text in given)

    @property
    def pairs(self) -> tuple[Pair, ...]:
        """Return each victim class with its own target class."""
        return tuple(_of(text) for text in self.classes)

    def apply(self, state: LabelState, rng: np.random.Generator) -> Label:
        """Return the label map with every victim class turned into its target, all at once."""
        del rng
        return retargeted(state, self.pairs)


def _of(text: str) -> Pair:
    victim, _, target = text.partition(">")
    return victim.strip(), target.strip()
