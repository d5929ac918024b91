"""Label changes as tests write them: hide, and pixel random labelling before or after it."""

from __future__ import annotations

from typing import Any

from segdoor.attack.labels.change import LabelChange
from segdoor.attack.labels.hide import Hide
from segdoor.attack.labels.scatter import Scatter


def changes(
    hide: Hide | None = None, *, order: str = "after", **scatter: Any
) -> tuple[LabelChange, ...]:
    both = (hide or Hide(), Scatter(**scatter))
    return both if order == "after" else both[::-1]
