"""What the paper claims of models that were repaired."""

from __future__ import annotations

from collections.abc import Iterator

from segdoor.papers.iba.claims import Role
from segdoor.papers.iba.naming import (
    ALIKE,
    ALIKE_ACCURACY,
    ALONE,
    extent,
    named,
    repairs_of,
    three_methods,
)
from segdoor.papers.iba.results import Results
from segdoor.study.comparing import Comparison, Missing, above, at_least, on_common_seeds


def after_fine_tuning(results: Results, role: Role) -> Iterator[Comparison]:
    """After fine-tuning on 5 and 10 % NNI > PRL > baseline."""
    for place in results.places_of(*ALONE):
        points = [results.moved(place, method=method) for method in ALONE]
        if not any(repairs_of(results, point, "finetune") for point in points):
            continue
        for repair in ("finetune:0.05", "finetune:0.1"):
            baseline, nni, prl = on_common_seeds(*three_methods(results, place, role, repair))
            yield above(nni, prl)
            yield above(prl, baseline)


def pruning_costs_accuracy(results: Results, role: Role) -> Iterator[Comparison]:
    """Pruning leaves ASR and takes CBA."""
    for point in results.places():
        prunings = repairs_of(results, point, "prune")
        if not prunings:
            continue
        benign, pruned, before, *after = on_common_seeds(
            named(results, point, None, "CBA"),
            named(results, point, None, "CBA", prunings[-1]),
            named(results, point, role),
            *(named(results, point, role, "ASR", repair) for repair in prunings),
        )
        yield above(benign, pruned, margin=ALIKE_ACCURACY)
        if before.measured.values and before.mean <= ALIKE:
            yield Missing(f"{before.name}, above {ALIKE:g}: a lower one cannot fall")
            continue
        for repaired in after:
            yield at_least(repaired, before, margin=ALIKE)


def pruned_ranking(results: Results, role: Role) -> Iterator[Comparison]:
    """After pruning NNI and PRL stay above the baseline, at each number of channels."""
    for place in results.places_of(*ALONE):
        points = [results.moved(place, method=method) for method in ALONE]
        asked = {repair for point in points for repair in repairs_of(results, point, "prune")}
        for repair in sorted(asked, key=extent):
            baseline, nni, prl = on_common_seeds(*three_methods(results, place, role, repair))
            yield above(nni, baseline)
            yield above(prl, baseline)
