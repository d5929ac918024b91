"""What a metric is: from what a test left to a figure, with a sentence, a direction, an interval.

A metric never sees a network. What it needs of every scene it names once, as numbers that are
added over scenes; a figure is a function of their sum, and for an interval scenes are drawn again.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from segdoor.plugins import Plugin
from segdoor.scores.intervals import Interval, bootstrap_sums
from segdoor.scores.metrics.functions import AbsentClass
from segdoor.scores.tables import TableSet


@dataclass(frozen=True)
class Task:
    """What the attack was after, and how figures are counted.

    Attributes:
        pairs: Id of each victim class, with that of its target class.
        absent_class: What a class that neither occurs nor is predicted does to a mean IoU.
        spares_victims: Whether some victim pixels are to stay.
    """

    pairs: tuple[tuple[int, int], ...]
    absent_class: AbsentClass = "leave_out"
    spares_victims: bool = False

    @property
    def victims(self) -> tuple[int, ...]:
        """Return the ids of the victim classes."""
        return tuple(victim for victim, _ in self.pairs)

    @property
    def targets(self) -> tuple[int, ...]:
        """Return the id of the target class of each victim class."""
        return tuple(target for _, target in self.pairs)


@dataclass(frozen=True)
class Part:
    """A metric over some of what it is a share of.

    Attributes:
        by: What tells the parts apart, such as size.
        name: The part, such as small.
        metric: The metric.
    """

    by: str
    name: str
    metric: Metric


class Metric(Plugin):
    """A figure of a test.

    Attributes:
        title: What its column is called.
        meaning: What it says, in a sentence for people.
        bad: Which way is bad for who uses the network.
        test: The test it is of.
    """

    title: ClassVar[str]
    meaning: ClassVar[str]
    bad: ClassVar[Literal["high", "low"]]
    test: ClassVar[Literal["poisoned", "benign"]] = "poisoned"

    @property
    def sentence(self) -> str:
        """Return what the figure says with these settings, in a sentence for people."""
        return self.meaning

    def concerns(self, task: Task) -> bool:
        """Return whether it says anything of such an attack; yes, if it is not said."""
        del task
        return True

    def summands(self, tables: TableSet, task: Task) -> np.ndarray | None:
        """Return what is added over scenes, whole numbers, N x ...: the tables, if it is not said.

        Args:
            tables: Tables and, where they were counted, rows of objects of one test.
            task: Victim classes, each with its target class.

        Returns:
            The numbers; None if the test did not leave what is needed.
        """
        del task
        return tables.counts

    @abstractmethod
    def figure(self, total: np.ndarray, task: Task) -> float:
        """Return the figure of a sum over scenes; NaN where it means nothing."""

    def figures(self, totals: np.ndarray, task: Task) -> np.ndarray:
        """Return the figures of many sums at once, one after the other if it is not said.

        Args:
            totals: Sums of the summands, R x ...
            task: Victim classes and target class.

        Returns:
            The figures, R.
        """
        return np.array([self.figure(total, task) for total in totals])

    def denominator(self, total: np.ndarray, task: Task) -> int | None:
        """Return how many things the figure is a share of, if it is a share of things."""
        del total, task
        return None

    def parts(self) -> Iterator[Part]:
        """Yield the same metric over parts of what it is a share of; none if it is not said."""
        yield from ()

    def value(self, tables: TableSet, task: Task) -> float:
        """Return the figure of a test; NaN also if it did not leave what is needed."""
        summands = self.summands(tables, task)
        return float("nan") if summands is None else self.figure(summands.sum(axis=0), task)

    def interval(self, tables: TableSet, task: Task) -> Interval:
        """Return the figure's 95 % interval over scenes drawn again with replacement."""
        summands = self.summands(tables, task)
        if summands is None:
            return Interval(float("nan"), float("nan"))
        return bootstrap_sums(summands, lambda total: self.figure(total, task))
