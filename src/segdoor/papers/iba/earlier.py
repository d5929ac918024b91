"""Earlier settings of readings and recipes, so that studies begun with them continue alike.

Version 1: the poisoned test near drew positions, not objects; the reading official left scenes
without victims out, resized the labels as the network's input, shared the pixels of PRL among
scenes of a size and kept the recipe's batch; the recipes of the paper drew scale factors
log-uniformly and blurred before scaling. Version 2 is that of `papers.iba.reading` and
`victim.config`.
"""

from __future__ import annotations

from segdoor.attack.labels.hide import Hide
from segdoor.attack.labels.scatter import Scatter
from segdoor.experiment.config import Reading
from segdoor.experiment.resolving import merged
from segdoor.papers.iba.reading import in_order
from segdoor.settings import Tree
from segdoor.victim.config import PRESETS, Preset

NEWEST = 2
"""The version of new studies."""


def settings_before(version: int, reading: Reading, recipe: Preset) -> Tree:
    """Return the settings of an earlier version, from 1 on, where today's differ."""
    if version == NEWEST:
        return {}
    of_all: Tree = {
        "tests": {"draw": "position", "without_victims": "leave_out"},
        "examination": {"label_resize": "nearest_exact"},
        "training": {
            "augmentation": {"scale_distribution": "log_uniform", "blur": "before_scaling"}
        },
    }
    if reading == "paper":
        return of_all
    batch = {"training": {"batch_size": PRESETS[recipe].batch_size}}
    scatter: Tree = {"kind": Scatter.kind, "positions": "per_size"}
    labels = in_order({"kind": Hide.kind}, scatter, reading)
    return merged(merged(of_all, batch), {"attack": {"labels": labels}})
