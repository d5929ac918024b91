"""Any metric of a poisoned test beside its controls, as a record holds it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from segdoor.record import Estimate, Figure, MetricPart, MetricRecord, MetricScores
from segdoor.scores.metrics.metric import Metric, Task
from segdoor.scores.tables import TableSet


@dataclass(frozen=True)
class Compared:
    """A poisoned test and its controls, all over the same scenes.

    Attributes:
        triggered: The backdoored model with the trigger in place.
        without_trigger: The same on the untouched scenes.
        other_trigger: The same with another trigger at the same positions.
        clean_model: A clean model with the trigger in place; None without one.
    """

    triggered: TableSet
    without_trigger: TableSet
    other_trigger: TableSet
    clean_model: TableSet | None

    def controls(self, metric: Metric, task: Task) -> dict[str, Figure]:
        """Return the metric of each control, by the fields of a record."""
        tables = (self.without_trigger, self.other_trigger, self.clean_model)
        names = ("without_trigger", "other_trigger", "clean_model")
        return {
            name: None if of is None else value_of(metric, of, task)
            for name, of in zip(names, tables, strict=True)
        }


def scores_of(metrics: Iterable[Metric], shown: Compared, task: Task) -> dict[str, MetricScores]:
    """Return the metrics of a poisoned test; metrics without the data they need are absent.

    Args:
        metrics: What to compute; those of the benign test are left out.
        shown: The test and its controls.
        task: Victim classes and target class.
    """
    found = dict[str, MetricScores]()
    for metric in metrics:
        total = _total(metric, shown.triggered, task)
        if metric.test == "poisoned" and total is not None:
            found[str(metric)] = MetricScores(
                value=estimate(metric, shown.triggered, task),
                **shown.controls(metric, task),
                denominator=metric.denominator(total, task),
                parts=tuple(_parts(metric, shown, task)),
            )
    return found


def introduced(metrics: Iterable[Metric], known: Iterable[str]) -> dict[str, MetricRecord]:
    """Return what a record says about the metrics that it has figures of."""
    there = set(known)
    return {
        str(metric): MetricRecord(
            title=metric.title, meaning=metric.sentence, bad=metric.bad, test=metric.test
        )
        for metric in metrics
        if str(metric) in there
    }


def estimate(metric: Metric, tables: TableSet, task: Task) -> Estimate:
    """Return a metric with its interval over scenes."""
    interval = metric.interval(tables, task)
    return Estimate(
        value=value_of(metric, tables, task),
        low=figure(interval.low),
        high=figure(interval.high),
    )


def value_of(metric: Metric, tables: TableSet, task: Task) -> Figure:
    """Return a metric as records hold it."""
    return figure(metric.value(tables, task))


def figure(value: float) -> Figure:
    """Return a figure as records hold it: JSON knows no NaN."""
    return None if math.isnan(value) else float(value)


def _parts(metric: Metric, shown: Compared, task: Task) -> Iterable[MetricPart]:
    for part in metric.parts():
        total = _total(part.metric, shown.triggered, task)
        yield MetricPart(
            by=part.by,
            name=part.name,
            value=estimate(part.metric, shown.triggered, task),
            **shown.controls(part.metric, task),
            denominator=None if total is None else part.metric.denominator(total, task),
        )


def _total(metric: Metric, tables: TableSet, task: Task) -> np.ndarray | None:
    summands = metric.summands(tables, task)
    return None if summands is None else summands.sum(axis=0)
