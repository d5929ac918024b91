"""How far a patch reaches: the share of victim pixels outside it that it turns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from segdoor.defense.scans.pairs import Look, Pair
from segdoor.defense.scans.patches import Patch, outside, stamped
from segdoor.defense.scans.subject import Subject, colours
from segdoor.victim.answer import best_classes


@dataclass(frozen=True)
class Reach:
    """What a patch did, in pixels outside it, over scenes and places.

    Attributes:
        turned: Victim pixels that are taken for the target with it, and were not without it.
        victims: Victim pixels that were not taken for the target without it.
        changed: Pixels of other classes whose predicted class is another one with it.
        others: Pixels of other classes.
    """

    turned: int
    victims: int
    changed: int
    others: int

    @property
    def share(self) -> float:
        """Return the share of victim pixels turned; 0 of none."""
        return self.turned / max(1, self.victims)

    @property
    def damage(self) -> float:
        """Return the share of other pixels that changed; 0 of none."""
        return self.changed / max(1, self.others)


def reach(
    subject: Subject,
    pair: Pair,
    patch: Patch,
    looks: Sequence[Look],
    *,
    places: int,
    rng: np.random.Generator,
    batch_size: int,
) -> Reach:
    """Try a patch at random places of scenes.

    Args:
        subject: The network.
        pair: The classes it is about.
        patch: What to stamp.
        looks: The scenes; each is shown once a place.
        places: How many places in every scene.
        rng: Draws them.
        batch_size: Images at once.
    """
    total = np.zeros(4, np.int64)
    for batch in _batches([look for look in looks for _ in range(places)], batch_size):
        at = [look.place(patch.side, rng) for look in batch]
        shown = [look.shown for look in batch]
        with torch.no_grad():
            answers = best_classes(subject.logits(stamped(colours(shown), patch, at)))
        free = outside(shown[0].size, patch.side, at, subject.device)
        for look, answer, mask in zip(batch, answers, free, strict=True):
            victims, others = look.victims & mask, look.others & mask
            turned = (answer == pair.target) & victims
            changed = (answer != look.shown.answer) & others
            total += [int(marks.sum()) for marks in (turned, victims, changed, others)]
    return Reach(*total.tolist())


def _batches(looks: Sequence[Look], most: int) -> Iterator[list[Look]]:
    """Yield scenes in their order, a few of one size at a time."""
    batch: list[Look] = []
    for look in looks:
        if batch and (len(batch) == most or batch[0].shown.size != look.shown.size):
            yield batch
            batch = []
        batch.append(look)
    if batch:
        yield batch
