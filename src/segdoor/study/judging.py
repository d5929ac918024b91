"""From figures to verdicts: every comparison must be made, and hold."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import replace

from segdoor.experiment.config import Reading
from segdoor.record import Evidence, Verdict
from segdoor.study.claims import Role
from segdoor.study.comparing import Comparison, Missing
from segdoor.study.config import Counting
from segdoor.study.orderings import ORDERINGS
from segdoor.study.results import Results

_EXAMS: dict[Role, str] = {
    "near": "anywhere near",
    "nearest": "nearest position",
    "far1": "first far band",
    "far2": "second far band",
}
_Q: dict[Counting, str] = {"area": "Q scaled by area", "number": "Q as the paper's number"}


def judge(
    results: Results, numbers: Iterable[int], *, reading: Reading, countings: tuple[Counting, ...]
) -> tuple[Verdict, ...]:
    """Return a verdict for each ordering, on each exam and for each way of counting Q.

    An ordering fails if a comparison of means over seeds fails. It holds if all of them hold and
    none lacks a figure; otherwise it is not measured.

    Args:
        results: The figures of a study.
        numbers: The orderings.
        reading: Which reading of the paper they were measured in.
        countings: Ways of counting Q in the runs; where it makes no difference, or there are no
            runs of the second, its verdict is left out.
    """
    made: list[Counting] = [
        q_as for q_as in countings if any(q.point.q_as == q_as for q in results.figures)
    ]
    verdicts: list[Verdict] = []
    for number in numbers:
        ordering = ORDERINGS[number]
        for role, (part, compare) in itertools.product(ordering.exams, ordering.parts.items()):
            seen: list[list[Comparison]] = []
            for q_as in made or list(countings[:1]):
                looked_at = replace(results, q_as=q_as)
                compared = list(compare(looked_at, role))
                if compared not in seen:
                    seen.append(compared)
                    told = _told(looked_at, role, part, counted=len(made) > 1)
                    verdicts.append(_verdict(number, compared, reading, told))
    return tuple(verdicts)


def _told(results: Results, role: Role, part: str, *, counted: bool) -> str:
    """Return what a verdict is judged on: poisoned test, part, and how Q is counted if asked."""
    words = [_EXAMS[role]]
    if role in {"far1", "far2"}:
        words.append(results.band(role))
    words += [part] if part else []
    if counted:
        words.append(_Q[results.q_as])
        q = results.told("q", results.usual_q)
        words += [q] if q != str(results.usual_q) else []
    return ", ".join(words)


def _verdict(
    number: int, compared: Sequence[Comparison], reading: Reading, judged_on: str
) -> Verdict:
    evidence = tuple(found for found in compared if isinstance(found, Evidence))
    missing = tuple(dict.fromkeys(lack.what for lack in compared if isinstance(lack, Missing)))
    outcome = "holds" if evidence and not missing else "not measured"
    if not all(found.holds for found in evidence):
        outcome = "fails"
    return Verdict(
        number=number,
        statement=ORDERINGS[number].statement,
        reading=reading,
        judged_on=judged_on,
        verdict=outcome,
        evidence=evidence,
        missing=missing,
    )
