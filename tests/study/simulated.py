"""Simulated studies whose truth is known: victim pixels of scenes that are lost with some chance."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from segdoor.scores.metrics.asr import AttackSuccessRate
from segdoor.scores.metrics.metric import Task
from segdoor.scores.redrawn import Redrawn, redrawn
from segdoor.scores.tables import TableSet
from segdoor.study.comparing import Comparison, Named
from segdoor.study.figures import Found, OneFigure, SeedFigures
from segdoor.study.judging import WayOfJudging

TASK = Task(((1, 0),))


@dataclass(frozen=True, eq=False)
class OfTables:
    """A figure from tables that were made up."""

    tables: TableSet

    def redraw(self) -> Redrawn | None:
        return redrawn(AttackSuccessRate(), self.tables, TASK, self.tables.names)


@dataclass(frozen=True)
class Truth:
    """What a simulated study is drawn from; effects are on the scale of log odds.

    Attributes:
        effects: Of each method.
        num_seeds: Seeds of each method.
        num_scenes: Test scenes, the same for all.
        spread: Deviation over seeds, each method's its own.
        of_scenes: Deviation of what a method does to a scene, the same with every seed.
        level: Log odds without effects.
    """

    effects: Sequence[float]
    num_seeds: int = 3
    num_scenes: int = 40
    spread: float = 0.2
    of_scenes: float = 0.0
    level: float = 0.0

    def drawn(self, rng: np.random.Generator, *, with_scenes: bool = True) -> list[Named]:
        """Return the ASR of every method over seeds, from pixels of scenes of several sizes."""
        pixels = rng.integers(50, 400, self.num_scenes)
        base = self.level + rng.normal(0, 1, self.num_scenes)
        named: list[Named] = []
        for number, effect in enumerate(self.effects):
            own = rng.normal(0, self.of_scenes, self.num_scenes) if self.of_scenes else 0.0
            figures = SeedFigures()
            for seed in range(self.num_seeds):
                odds = base + own + effect + rng.normal(0, self.spread)
                odds = odds + rng.normal(0, 0.3, self.num_scenes)
                tables = tables_of(rng.binomial(pixels, 1 / (1 + np.exp(-odds))), pixels)
                value = AttackSuccessRate().value(tables, TASK)
                scenes = OfTables(tables) if with_scenes else None
                figures.add(seed, f"method{number}-s{seed}", OneFigure(value, scenes))
            named.append(Named(f"method {number}", figures, ("ASR", "near", None)))
        return named


def tables_of(lost: np.ndarray, pixels: np.ndarray) -> TableSet:
    counts = np.zeros((len(pixels), 2, 2), dtype=np.int64)
    counts[:, 1, 0], counts[:, 1, 1] = lost, pixels - lost
    return TableSet(tuple(f"scene{number}" for number in range(len(pixels))), counts)


@dataclass(frozen=True)
class Claimed:
    """An ordering of simulated methods."""

    compare: Callable[[Sequence[Named]], Iterable[Comparison]]
    methods: Sequence[Named]
    statement: str = "as it was simulated"

    def ways(self, found: Found) -> Iterable[WayOfJudging]:
        yield WayOfJudging("simulated scenes", list(self.compare(self.methods)))
