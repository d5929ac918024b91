"""From figures to verdicts: every comparison must be made, and be supported by its interval."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol, runtime_checkable

from segdoor.record import Decision, Evidence, Spread, Verdict
from segdoor.scores.differences import holm
from segdoor.scores.student import LEVEL
from segdoor.study.comparing import Compared, Comparison, Missing
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

    A comparison is of a difference paired by seed. It is supported if the 95 % interval of the
    difference lies where it is claimed to lie, and contradicted if it lies elsewhere; otherwise,
    with one seed, and where it is saturated it is undecided. Of several comparisons one may seem
    contradicted by chance, so contradictions are corrected for their number by Holm's method: the
    family is all comparisons that were made for one way of one ordering (one poisoned test, one
    part of the claim, one way of counting Q), those among them that nothing can contradict.
    Support needs no correction, since all must be supported.

    An ordering is contradicted if one comparison is. It is supported if all are and none lacks a
    figure; otherwise it is not measured where a figure is missing, and undecided where none is.

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
    made = [part for part in way.compared if isinstance(part, Compared)]
    missing = tuple(dict.fromkeys(part.what for part in way.compared if isinstance(part, Missing)))
    refused = holm([part.level_against for part in made])
    evidence = tuple(
        _evidence(part, len(made), contradicted=contradicted)
        for part, contradicted in zip(made, refused, strict=True)
    )
    outcomes = {part.outcome for part in evidence}
    if "contradicted" in outcomes:
        outcome = "contradicted"
    elif missing or not evidence:
        outcome = "not measured"
    else:
        outcome = "supported" if outcomes == {"supported"} else "undecided"
    return Verdict(
        number=number,
        statement=statement,
        reading=reading,
        judged_on=way.judged_on,
        verdict=outcome,
        evidence=evidence,
        missing=missing,
    )


def _evidence(part: Compared, num_compared: int, *, contradicted: bool) -> Evidence:
    difference = part.difference
    ends, num_seeds = difference.interval, len(difference.by_seed)
    outcome: Decision = "contradicted" if contradicted else "undecided"
    if ends is not None and not part.saturated and part.claimed.contains(ends):
        outcome = "supported"
    # What speaks against the claim has to do so in spite of Holm's correction.
    outside = part.claimed.outside(difference.mean)
    level = LEVEL / num_compared if outside > 0 else LEVEL
    needed = None if part.saturated else difference.seeds_for(abs(outside), level)
    if outcome != "undecided" and needed is not None:
        needed = min(needed, num_seeds)
    return Evidence(
        statement=part.statement,
        outcome=outcome,
        difference=Spread(
            mean=difference.mean,
            low=ends.low if ends else None,
            high=ends.high if ends else None,
            num_seeds=num_seeds,
        ),
        over_scenes=difference.scenes is not None,
        seeds_needed=needed,
        saturated=bool(part.saturated),
        remark=_remark(part, level) if outcome == "undecided" else "",
        runs=part.runs,
    )


def _remark(part: Compared, level: float) -> str:
    """Say why a comparison is undecided, where its interval does not say it."""
    if part.saturated:
        return part.saturated
    if part.difference.interval is None:
        return "one seed says nothing of the spread over seeds"
    if part.level_against <= LEVEL:
        return "against the claim by itself, but not after the correction for several comparisons"
    if part.difference.is_open(abs(part.claimed.outside(part.difference.mean)), level):
        return "the choice of the scenes alone leaves it open: no number of seeds would decide it"
    return ""
