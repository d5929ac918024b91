"""What the paper reports, cell by cell, and which of its cells contradict others."""

from __future__ import annotations

import csv
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Literal, NamedTuple

from segdoor.errors import DataError
from segdoor.papers.iba.config import PaperData
from segdoor.papers.iba.units import Point
from segdoor.settings import Settings, validated
from segdoor.study.figures import Metric

Role = Literal["nearest", "near", "far1", "far2"]
"""A poisoned test by its place in the paper: at the nearest position, anywhere in the near band,
or in the first or second far band. Triggers that must lie on victim pixels have a single test,
which stands for the first two."""

_FILE = Path(__file__).with_name("claims.csv")
_ROLES: dict[str, tuple[Role, ...]] = {
    "": ("near", "nearest"),
    "0-60": ("near", "nearest"),
    "60-90": ("far1",),
    "90-120": ("far2",),
}
_ROLES_OF_VOC: dict[str, tuple[Role, ...]] = {
    "": ("near", "nearest"),
    "0-30": ("near", "nearest"),
    "30-60": ("far1",),
    "60-90": ("far2",),
}
# The text says more than the table: "simply inject the trigger pattern on the victim pixels".
_ON_VICTIM = "trigger on victim pixels allowed"
_REPAIR = re.compile(r"(?:finetune (?P<percent>\d+)% clean|prune (?P<channels>\d+)/256)")


def bands(data: PaperData) -> dict[str, str]:
    """Return the paper's band of distances, in its pixels, of each poisoned test."""
    roles = _ROLES if data == "cityscapes" else _ROLES_OF_VOC
    return {role: band for band, found in roles.items() if band for role in found}


class Claim(Settings):
    """One number of the paper's twelve tables."""

    table: str
    """The table."""
    dataset: PaperData
    """Its data set."""
    model: str
    """Its network."""
    method: Literal["clean", "baseline", "nni", "prl", "nni+prl"]
    """How scenes were poisoned; clean for the row of the clean model."""
    poisoning_rate: float
    """Poisoning rate."""
    victim: str
    """Victim classes, joined by +."""
    target: str
    """Target class."""
    trigger_size: int
    """Side of the trigger in pixels."""
    distance: str
    """Band of the trigger's distance in pixels; empty for the free position."""
    variation: str
    """What else differs: rules of placement, or a repair."""
    metric: Metric
    """What is measured."""
    value: float
    """The number."""
    note: str
    """A remark on it."""

    @property
    def repair(self) -> str | None:
        """Return the repair as studies write it; None without, and where nothing is pruned."""
        found = _REPAIR.fullmatch(self.variation)
        if found is None or found["channels"] == "0":
            return None
        if found["channels"]:
            return f"prune:{found['channels']}"
        return f"finetune:{int(found['percent']) / 100:g}"

    @property
    def roles(self) -> tuple[Role | None, ...]:
        """Return the poisoned tests that measure it; only None for CBA, which has no trigger."""
        if self.metric == "CBA":
            return (None,)
        if self.variation == _ON_VICTIM:
            return ("near",)
        bands = _ROLES if self.dataset == "cityscapes" else _ROLES_OF_VOC
        return bands[self.distance]

    def is_of(self, point: Point, usual_q: int) -> bool:
        """Tell whether a point of a grid is what the number was measured on."""
        return self._place() == point.model_copy(update={"q": None, "q_as": None}) and point.q in {
            None,
            usual_q,
        }

    def _place(self) -> Point:
        return Point(
            method=self.method, rate=self.poisoning_rate, network=self.model, victims=self.victim,
            target=self.target, trigger=self.trigger_size, q=None, q_as=None,
            single_class=self.variation != "trigger on multiple class(es)",
            on_victim="require" if self.variation == _ON_VICTIM else "forbid",
        )  # fmt: skip


class DoubtedClaim(NamedTuple):
    """A number, and why it is never counted."""

    claim: Claim
    doubt: str | None


@cache
def load_claims() -> tuple[DoubtedClaim, ...]:
    """Return all numbers of the paper's tables, in its order.

    Raises:
        DataError: If the built-in file is damaged.
    """
    try:
        with _FILE.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
    except (OSError, ValueError, csv.Error) as why:
        raise DataError(_FILE, "must be a readable table", why, "Install segdoor again.") from None
    claims = [
        # From text: strict except that numbers are written as text.
        validated(Claim, row, source=f"{_FILE.name}, line {line}")
        for line, row in enumerate(rows, start=2)
    ]
    told = _contradictions(claims)
    return tuple(
        DoubtedClaim(claim, _by_itself(claim) or told.get(number))
        for number, claim in enumerate(claims)
    )


def _by_itself(claim: Claim) -> str | None:
    """Return why a number is doubted although no other table repeats it."""
    if claim.table == "6" and "repeats" in claim.note:
        return "Table 6 repeats the figure of 1 % at 5 %"
    if claim.table == "7" and claim.poisoning_rate == 0.15 and "single" in claim.variation:
        return "Table 7 calls the row 20 %; its values are those of 15 %"
    if claim.repair == "finetune:0.1":
        return "fine-tuned on 10 % in Table 5, on 15 % in Figure 6"
    if claim.repair == "finetune:0.01" and claim.method == "baseline":
        return "Table 5 shows a rise where the text tells of a fall"
    if claim.table == "11" and claim.metric == "CBA":
        return "Table 11's CBA varies with the distance of the test, which it cannot"
    return None


def _contradictions(claims: Sequence[Claim]) -> dict[int, str]:
    """Return why numbers are doubted that tables report differently, by their place.

    If all but one of at least four agree, only the odd one is doubted.
    """
    groups: defaultdict[object, list[int]] = defaultdict(list)
    for number, claim in enumerate(claims):
        if claim.table != "11" or claim.metric != "CBA":
            place = claim.model_dump(include={"dataset"}), claim._place()  # noqa: SLF001 - its own
            groups[repr((place, claim.repair, claim.metric, claim.roles))].append(number)
    told: dict[int, str] = {}
    for group in groups.values():
        counts = Counter(claims[number].value for number in group)
        if len(counts) == 1:
            continue
        agreed = counts.most_common(1)[0]
        odd_one = len(group) > 3 and agreed[1] == len(group) - 1
        reason = "; ".join(f"Table {claims[n].table}: {claims[n].value:.4f}" for n in group)
        for number in group:
            if not (odd_one and claims[number].value == agreed[0]):
                told[number] = f"the tables differ: {reason}"
    return told
