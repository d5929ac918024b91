"""Label changes as settings told them when there were three fields: victims, target, prl.

Names of runs, digests of poisoned scenes and the like follow from that form, so that what was made
before goes on. What it cannot say is told in the form of today.
"""

from __future__ import annotations

from collections.abc import Sequence

from segdoor.attack.labels.change import LabelChange
from segdoor.attack.labels.hide import Hide
from segdoor.attack.labels.scatter import Scatter

Tree = dict[str, object]


def labels_before(labels: Sequence[LabelChange], *, brief: bool = False) -> Tree | None:
    """Return victims, target and pixel random labelling; None where these cannot say it."""
    hides = [change for change in labels if type(change) is Hide]
    scatters = [change for change in labels if type(change) is Scatter]
    if len(hides) != 1 or len(scatters) > 1 or len(hides) + len(scatters) != len(labels):
        return None
    order = "before" if scatters and type(labels[0]) is Scatter else "after"
    prl = {**(scatters or [Scatter()])[0].model_dump(mode="json"), "order": order}
    told: Tree = {**hides[0].model_dump(mode="json"), "prl": prl}
    return _brief(told) if brief else told


def _brief(told: Tree) -> Tree:
    usual = labels_before((Hide(),)) or {}
    prl, usual_prl = told["prl"], usual["prl"]
    assert isinstance(prl, dict)
    assert isinstance(usual_prl, dict)
    differing = {name: value for name, value in prl.items() if value != usual_prl[name]}
    kept = {name: value for name, value in told.items() if value != usual[name]}
    return {**kept, "prl": differing} if differing else kept
