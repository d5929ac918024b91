"""What the values in label files mean, and how a changed label map is written in such values."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from segdoor.data.scene import ClassSet
from segdoor.errors import ConfigError
from segdoor.tensors import Label, Values


@dataclass(frozen=True)
class Coding:
    """What each value of a label file means; other values are refused.

    Attributes:
        meaning: Pairs of a stored value and its class id or the ignore index.
        rule: Which values a file may hold, as a clause.
        remedy: What to do about others, as a sentence.
    """

    meaning: tuple[tuple[int, int], ...]
    rule: str
    remedy: str = "Correct the label map or the class list."

    @classmethod
    def plain(cls, classes: ClassSet) -> Coding:
        """Return the coding of files that hold class ids themselves."""
        ids = (*range(len(classes)), classes.ignore_index)
        last = f"{len(classes) - 1} or {classes.ignore_index} (ignored)"
        return cls(tuple((value, value) for value in ids), f"label values must be 0 to {last}")

    def check(self, classes: ClassSet) -> None:
        """Refuse a coding whose values mean neither a class nor the ignore index.

        Raises:
            ConfigError: If there is such a value.
        """
        for stored, meant in self.meaning:
            if meant >= len(classes) and meant != classes.ignore_index:
                raise ConfigError(
                    "coding of label files",
                    f"must mean class ids below {len(classes)}, or {classes.ignore_index} for "
                    "ignored",
                    f"{stored} means {meant}",
                    "Correct the coding, or list the class.",
                )

    @property
    def changes(self) -> bool:
        """Return whether any value means another one."""
        return any(stored != meant for stored, meant in self.meaning)

    def strange(self, stored: Label) -> Values:
        """Return the values of a file that mean nothing."""
        counts = cv2.calcHist([stored], [0], None, [256], [0, 256])
        there = np.flatnonzero(counts).astype(np.uint8)
        return there[~np.isin(there, [value for value, _ in self.meaning])]

    def decoded(self, stored: Label) -> Label:
        """Return class ids for a file's values, which must all have a meaning."""
        return cv2.LUT(stored, self._meanings) if self.changes else stored

    def encoded(self, label: Label, stored: Label) -> Label:
        """Express a changed label map in a file's values.

        Args:
            label: The changed class ids.
            stored: The values of the file before. A pixel whose class stays keeps its very value,
                of which several may mean the same.
        """
        if not self.changes:
            return label
        values = np.zeros(256, np.uint8)
        for value, meant in reversed(self.meaning):
            values[meant] = value
        return np.where(label == self.decoded(stored), stored, values[label])

    @property
    def _meanings(self) -> Values:
        table = np.zeros(256, np.uint8)
        for value, meant in self.meaning:
            table[value] = meant
        return table
