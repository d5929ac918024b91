"""From figures to verdicts: every comparison must be made, and hold."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol, runtime_checkable

from segdoor.record import Evidence, Verdict
from segdoor.study.comparing import Comparison, Missing
from segdoor.study.figures import Found


class WayOfJudging(NamedTuple):
    """One way in which an ordering is judged.

    Attributes:
        judged_on: The way in words, such as the poisoned test.
        compared: Every comparison that the ordering needs.
    """

    judged_on: str
    compared: Sequence[Comparison]


@runtime_checkable
class Ordering(Protocol):
    """What a paper claims, and how it is compared."""

    @property
    def statement(self) -> str:
        """Return the claim in words."""
        ...

    def ways(self, found: Found) -> Iterable[WayOfJudging]:
        """Return all ways in which it is judged, each for itself.

        Args:
            found: The figures of a study.
        """
        ...


def judge(
    found: Found, orderings: Mapping[int, Ordering], numbers: Iterable[int]
) -> tuple[Verdict, ...]:
    """Return a verdict for each ordering in each of its ways.

    An ordering fails if a comparison of means over seeds fails. It holds if all of them hold and
    none lacks a figure; otherwise it is not measured.

    Args:
        found: The figures of a study.
        orderings: What the paper claims, by number.
        numbers: The orderings that are judged.
    """
    return tuple(
        _verdict(number, orderings[number].statement, way, found.reading)
        for number in numbers
        for way in orderings[number].ways(found)
    )


def _verdict(number: int, statement: str, way: WayOfJudging, reading: str) -> Verdict:
    evidence = tuple(part for part in way.compared if isinstance(part, Evidence))
    missing = tuple(dict.fromkeys(part.what for part in way.compared if isinstance(part, Missing)))
    outcome = "holds" if evidence and not missing else "not measured"
    if not all(part.holds for part in evidence):
        outcome = "fails"
    return Verdict(
        number=number,
        statement=statement,
        reading=reading,
        judged_on=way.judged_on,
        verdict=outcome,
        evidence=evidence,
        missing=missing,
    )
