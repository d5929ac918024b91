"""The plan of a poisoning in the plainest way: one scene after another, from packed scenes."""

from __future__ import annotations

import numpy as np

from segdoor.attack.config import AttackConfig
from segdoor.attack.placing import PositionRules, place
from segdoor.attack.plan import PlanRow
from segdoor.attack.relabel import make_relabelling
from segdoor.data.scene import SceneDataset
from segdoor.randomness import Stream


def plain_rows(scenes: SceneDataset, config: AttackConfig, *, seed: int) -> list[PlanRow]:
    """Return the rows of a plan; the rate is taken of all scenes and scenes may run short."""
    trigger = config.trigger
    relabelling = make_relabelling(config, scenes.classes, seed=seed)
    ignored = scenes.classes.ignore_index
    ground = PositionRules(relabelling.victims, ignored, trigger.extent, rules=config.rules)
    poison = Stream(seed).child("poison")
    wanted = int(config.rate * len(scenes) + 0.5)
    rows: list[PlanRow] = []
    for name in sorted(scenes.names, key=lambda name: poison.child("order", name).integer()):
        label = scenes.label(scenes.names.index(name))
        if len(rows) == wanted or not np.isin(label, relabelling.victims).any():
            continue
        site = place(label, ground, config.placement, poison.child("position", name).generator())
        if site is None:
            continue
        number = poison.child("relabel", name).integer()
        changed = relabelling.apply(label, poisoned=True, box=site.box, seed=number)
        row = PlanRow(
            name=name,
            poisoned=True,
            box=site.box.as_tuple,
            distance=site.distance,
            class_under=site.class_name(scenes.classes),
            relabel_seed=number,
            changed_pixels=int((changed != label).sum()),
        )
        rows.append(row)
    return rows


def num_labelled(scenes: SceneDataset) -> int:
    """Return how many pixels of the scenes are not ignored."""
    ignored = scenes.classes.ignore_index
    return sum(int((scenes.label(i) != ignored).sum()) for i in range(len(scenes)))


def num_with_victims(scenes: SceneDataset, victims: tuple[str, ...]) -> int:
    """Return how many scenes show one of these classes."""
    wanted = scenes.classes.indices(victims)
    return sum(bool(np.isin(scenes.label(i), wanted).any()) for i in range(len(scenes)))
