"""Any position within a band of distances to the victims."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import ClassVar, cast

from pydantic import model_validator

from segdoor.attack.lengths import needed
from segdoor.attack.placements.placement import DrawnPlacement
from segdoor.attack.placements.view import View
from segdoor.plugins import Introduction
from segdoor.remedies import RuleError
from segdoor.tensors import Mask
from segdoor.written import in_writing

_NUMBER = r"\d+\.?\d*(?:e[+-]?\d+)?"
_RANGE = re.compile(f"({_NUMBER})-({_NUMBER})")


class Band(DrawnPlacement):
    """Any eligible position within a band, written ``band:20-30``."""

    kind: ClassVar[str] = "band"
    main: ClassVar[str | None] = "range"
    introduction: ClassVar[Introduction] = Introduction(
        source="IBA paper, section 5.3: the poisoned tests at a distance; and the authors' code, "
        "which uses it to poison for NNI",
        does="Chooses any position within a band of distances, all equally likely: band:20-30 is "
        "from 20 to 30 pixels, and so are range: [20, 30] and lower and upper.",
        needs="Victims with room at that distance; in a scene without victims any position will "
        "do.",
        fails="A narrow band far from the victims leaves few scenes with room.",
    )

    @model_validator(mode="before")
    @classmethod
    def _range_as_ends(cls, given: object) -> object:
        """Take both ends at once; one that is given apart as well wins."""
        if not isinstance(given, Mapping) or "range" not in given:
            return given
        rest = dict(cast("Mapping[str, object]", given))
        lower, upper = _ends(rest.pop("range"))
        return {"lower": lower, "upper": upper, **rest}

    def __str__(self) -> str:
        """Return the choice as it is written on the command line."""
        given = self.model_dump(exclude_defaults=True)
        bounded = given.keys() & {"lower", "upper"}
        rest = {name: value for name, value in given.items() if name not in bounded}
        if self.upper is None:
            return in_writing(self.kind, None, given)
        ends = f"{_short(self.lower)}-{_short(self.upper)}" if bounded else None
        return in_writing(self.kind, ends, rest)

    def candidates(self, view: View) -> Mask:
        """Return the eligible positions within the band."""
        return view.within(self.lower, needed(self.upper, "attack.placement.upper"))


def _ends(given: object) -> tuple[object, object]:
    if isinstance(given, str) and (found := _RANGE.fullmatch(given.replace(" ", ""))):
        return found[1], found[2]
    if isinstance(given, list | tuple):
        ends = cast("list[object] | tuple[object, ...]", given)
        if len(ends) == 2:
            return ends[0], ends[1]
    raise RuleError("the range must be two distances in pixels", "Write band:20-30, for example.")


def _short(value: float) -> str:
    """Return a number without a fraction of nothing."""
    return str(int(value)) if value.is_integer() else repr(value)
