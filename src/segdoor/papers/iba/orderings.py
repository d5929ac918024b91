"""The fifteen orderings that the paper claims, as comparisons that are free to fail.

The statements and the rule of judgement are explained in docs/claims.md.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import cast

from segdoor.papers.iba.accuracy import (
    accuracy_stays,
    falls_with_many_labels,
    falls_with_size,
    several_cost_more,
)
from segdoor.papers.iba.claims import Role
from segdoor.papers.iba.config import Counting, Preset
from segdoor.papers.iba.naming import FAR, Comparing
from segdoor.papers.iba.repaired import after_fine_tuning, pruned_ranking, pruning_costs_accuracy
from segdoor.papers.iba.results import Results, results_of
from segdoor.papers.iba.success import (
    both_at_once,
    far,
    near,
    near_the_mean,
    number_has_a_best,
    rises_with_rate,
    rule_matters_little,
    size_has_a_best,
)
from segdoor.papers.iba.units import Point
from segdoor.study.comparing import Comparison
from segdoor.study.figures import Found
from segdoor.study.judging import WayOfJudging

_EXAMS: dict[Role, str] = {
    "near": "anywhere near",
    "nearest": "nearest position",
    "far1": "first far band",
    "far2": "second far band",
}
_Q: dict[Counting, str] = {"area": "Q scaled by area", "number": "Q as the paper's number"}


@dataclass(frozen=True)
class Ordering:
    """What the paper claims, and how it is compared.

    Attributes:
        statement: The claim in words.
        tests: The poisoned tests that it is judged on, each separately.
        parts: Functions that yield the comparisons of each part of the claim, by its name; parts
            are judged separately, and a single part has no name.
    """

    statement: str
    tests: tuple[Role, ...]
    parts: Mapping[str, Comparing]

    def ways(self, found: Found) -> Iterator[WayOfJudging]:
        """Yield what is compared on each poisoned test, and for each way of counting Q.

        Where the counting makes no difference, or the second has no runs, its way is left out.

        Args:
            found: The figures of a study.
        """
        countings = cast("Preset", found.preset).q_as
        counted = {cast("Point", quantity.point).q_as for quantity in found.figures}
        made: list[Counting] = [q_as for q_as in countings if q_as in counted]
        for role, (part, compare) in itertools.product(self.tests, self.parts.items()):
            seen: list[list[Comparison]] = []
            for q_as in made or list(countings[:1]):
                results = results_of(found, q_as)
                compared = list(compare(results, role))
                if compared not in seen:
                    seen.append(compared)
                    yield WayOfJudging(_told(results, role, part, counted=len(made) > 1), compared)


_TESTS: tuple[Role, ...] = ("near", "nearest")
ORDERINGS: dict[int, Ordering] = {
    1: Ordering("Near the victims: NNI > PRL >= baseline", _TESTS, {"": near}),
    2: Ordering(
        "Far from the victims: PRL > baseline > NNI, and PRL loses little with distance",
        FAR,
        {"": far},
    ),
    3: Ordering("ASR rises with the poisoning rate", _TESTS, {"": rises_with_rate}),
    4: Ordering("CBA and PBA stay within 0.02 of the clean model's", _TESTS, {"": accuracy_stays}),
    5: Ordering(
        "After fine-tuning on 5 and 10 %: NNI > PRL > baseline", _TESTS, {"": after_fine_tuning}
    ),
    6: Ordering("Pruning: ASR holds while CBA falls", _TESTS, {"": pruning_costs_accuracy}),
    7: Ordering("ASR over the trigger's size is an inverted U", _TESTS, {"": size_has_a_best}),
    8: Ordering(
        "ASR rises with Q to about 100; then flat on Cityscapes to 50 000, falling on VOC",
        _TESTS,
        {"": number_has_a_best},
    ),
    9: Ordering(
        "Several classes or victim pixels under the trigger change little",
        _TESTS,
        {
            "trigger on several classes": rule_matters_little("single_class", changed=False),
            "trigger on victims": rule_matters_little("on_victim", changed="require"),
        },
    ),
    10: Ordering(
        "NNI+PRL: best near the victims, as poor as NNI far away", _TESTS, {"": both_at_once}
    ),
    11: Ordering(
        "Several victim classes: ASR near the mean of the single ones", _TESTS, {"": near_the_mean}
    ),
    12: Ordering("After pruning NNI and PRL stay above the baseline", _TESTS, {"": pruned_ranking}),
    13: Ordering("PBA and CBA fall with the trigger's size", _TESTS, {"": falls_with_size}),
    14: Ordering(
        "PBA and CBA are stable to Q = 10 000 and fall above it",
        _TESTS,
        {"": falls_with_many_labels},
    ),
    15: Ordering(
        "Several victim classes: lower PBA and CBA than the single ones",
        _TESTS,
        {"": several_cost_more},
    ),
}
"""The orderings by their number in docs/claims.md."""


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
