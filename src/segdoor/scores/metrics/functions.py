"""The paper's metrics as functions of a table (section 5.2); integers until the last division."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, cast

import numpy as np

from segdoor.errors import ConfigError
from segdoor.tensors import ClassScores, Table

AbsentClass = Literal["leave_out", "zero"]
"""What a class that neither occurs nor is predicted does to a mean IoU."""


def attack_success_rate(table: Table, victims: Sequence[int], target: int | Sequence[int]) -> float:
    """Return ASR: the share of victim pixels predicted as the target class.

    Args:
        table: Pixel counts of a poisoned test, K x K, whole numbers: row = true class.
        victims: Ids of the victim classes.
        target: Id of the target class, or one for each victim class.

    Returns:
        A share, or NaN without victim pixels.

    Raises:
        ConfigError: If the table is none, or a class is outside it.
    """
    _check_table(table)
    _check_victims(victims)
    targets = [*target] if isinstance(target, Sequence) else [target] * len(victims)
    _check_classes([*victims, *targets], len(table), "victims and target")
    if len(targets) != len(victims):
        raise ConfigError(
            "target", "must be one class, or one for each victim class", targets, "Name them all."
        )
    return _share(table[list(victims), targets].sum(), table[list(victims)].sum())


def victim_recovery(table: Table, victims: Sequence[int]) -> float:
    """Return the share of victim pixels predicted as their own class, or NaN.

    Args:
        table: Pixel counts, K x K, whole numbers: row = true class.
        victims: Ids of the victim classes.

    Raises:
        ConfigError: If the table is none, or a class is outside it.
    """
    _check_table(table)
    _check_victims(victims)
    _check_classes(victims, len(table), "victims")
    chosen = list(victims)
    return _share(table[chosen, chosen].sum(), table[chosen].sum())


def class_iou(table: Table) -> ClassScores:
    """Return intersection over union of each class, NaN where it is absent and not predicted."""
    return _iou(table)


def clean_benign_accuracy(table: Table, absent: AbsentClass = "leave_out") -> float:
    """Return CBA: the mean IoU over all classes of the benign test's table.

    Args:
        table: Pixel counts of the benign test, K x K, whole numbers: row = true class.
        absent: What a class that neither occurs nor is predicted does to the mean.

    Raises:
        ConfigError: If the table is none.
    """
    _check_table(table)
    return _mean(class_iou(table), absent)


def poisoned_benign_accuracy(
    table: Table, victims: Sequence[int], absent: AbsentClass = "leave_out"
) -> float:
    """Return PBA: the mean IoU of the non-victim classes, victim pixels left out.

    The victims' columns stay: a victim class predicted elsewhere is an error of the true class.

    Args:
        table: Pixel counts of a poisoned test, K x K, whole numbers: row = true class.
        victims: Ids of the victim classes.
        absent: What a class that neither occurs nor is predicted does to the mean.

    Raises:
        ConfigError: If the table is none, or a class is outside it.
    """
    _check_table(table)
    _check_victims(victims)
    _check_classes(victims, len(table), "victims")
    remaining = table.copy()
    remaining[list(victims)] = 0
    others = [index for index in range(len(table)) if index not in victims]
    return _mean(class_iou(remaining)[others], absent)


def attack_success_rates(
    tables: np.ndarray, victims: Sequence[int], targets: Sequence[int]
) -> np.ndarray:
    """Return the ASR of many tables, R x K x K, as `attack_success_rate` does of one."""
    hits = tables[:, list(victims), list(targets)].sum(axis=1)
    return _shares(hits, tables[:, list(victims)].sum(axis=(1, 2)))


def clean_benign_accuracies(tables: np.ndarray, absent: AbsentClass) -> np.ndarray:
    """Return the CBA of many tables, R x K x K, as `clean_benign_accuracy` does of one."""
    return _means(_iou(tables), absent)


def poisoned_benign_accuracies(
    tables: np.ndarray, victims: Sequence[int], absent: AbsentClass
) -> np.ndarray:
    """Return the PBA of many tables, R x K x K, as `poisoned_benign_accuracy` does of one."""
    remaining = tables.copy()
    remaining[:, list(victims)] = 0
    others = [index for index in range(tables.shape[-1]) if index not in victims]
    return _means(_iou(remaining)[:, others], absent)


def _iou(tables: np.ndarray) -> np.ndarray:
    hits = np.diagonal(tables, axis1=-2, axis2=-1)
    return _shares(hits, tables.sum(axis=-2) + tables.sum(axis=-1) - hits)


def _shares(parts: np.ndarray, wholes: np.ndarray) -> np.ndarray:
    return np.divide(parts, wholes, out=np.full(wholes.shape, np.nan), where=wholes > 0)


def _means(scores: np.ndarray, absent: AbsentClass) -> np.ndarray:
    """Return means over the classes that count, R x K to R."""
    counted = np.ones_like(scores, dtype=bool) if absent == "zero" else ~np.isnan(scores)
    sums = np.nansum(scores, axis=-1)
    return _shares(sums, counted.sum(axis=-1))


def _mean(scores: ClassScores, absent: AbsentClass) -> float:
    if absent == "zero":
        scores = np.nan_to_num(scores, nan=0.0)
    present = scores[~np.isnan(scores)]
    return float(present.mean()) if present.size else float("nan")


def _share(part: np.integer, whole: np.integer) -> float:
    return int(part) / int(whole) if whole else float("nan")


def _check_table(table: object) -> None:
    """Refuse what is no table of pixel counts."""
    remedy, found = "", _kind(table)
    if not isinstance(table, np.ndarray):
        remedy = "Take the sum over scenes: tables.total()."
    elif table.ndim != 2 or table.shape[0] != table.shape[1] or not table.size:
        found = f"shape {table.shape}"
        remedy = "Give true classes a row each and predicted ones a column each."
        if table.ndim == 3:
            remedy = "Take the sum over scenes: tables.total()."
    elif table.dtype.kind not in "iu":
        found = f"numbers of {table.dtype}"
        remedy = "Count pixels: shares cannot be added over scenes."
    elif table.min() < 0:
        found, remedy = f"{table.min()}", "Count pixels from 0."
    if remedy:
        raise ConfigError("table", "must hold whole pixel counts, K x K", found, remedy)


def _check_victims(victims: object) -> None:
    given = isinstance(victims, Sequence) and not isinstance(victims, str | bytes)
    if not given or not victims:
        raise ConfigError(
            "victims", "must list at least one class id", _kind(victims), "Write [4], or the like."
        )


def _check_classes(given: Sequence[object], num_classes: int, what: str) -> None:
    """Refuse what is no id of a class of the table."""
    for found in given:
        whole = isinstance(found, int | np.integer) and not isinstance(found, bool)
        if not whole or not 0 <= cast("int", found) < num_classes:
            raise ConfigError(
                what,
                f"must be class ids of the table, 0 to {num_classes - 1}",
                repr(found),
                "Names become ids by dataset.classes.indices(names).",
            )


def _kind(thing: object) -> str:
    return f"a {type(thing).__name__}"
