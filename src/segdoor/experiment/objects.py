"""The objects a run follows through its tests, and where distances are measured from."""

from __future__ import annotations

from collections.abc import Sequence

from segdoor.attack.poisoned_test import PoisonedTest
from segdoor.attack.site import Box
from segdoor.data.scene import ClassSet
from segdoor.evaluation.objects import Watched
from segdoor.experiment.config import ExperimentConfig

_SHOWN = ("poisoned", "clean", "other_trigger")


def watched_objects(
    config: ExperimentConfig, classes: ClassSet, tests: Sequence[PoisonedTest]
) -> Watched:
    """Return what the evaluation gets: victim classes, and trigger positions as numbers."""
    places = {
        test.name: {name: Box(*row.box).centre for name, row in test.triggered.items() if row.box}
        for test in tests
    }
    return Watched(
        classes=classes.indices(victim for victim, _ in config.attack.pairs),
        instead=classes.indices(target for _, target in config.attack.pairs),
        places={f"{who}/{name}": place for who in _SHOWN for name, place in places.items()},
        metric=config.tests.rules.distance,
    )
