"""What the values in label files mean, and how a changed label map is written in such values."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from segdoor.data.scene import ClassSet, Colour
from segdoor.errors import ConfigError, DataError
from segdoor.tensors import Image, Label, Values

_LISTED = 3


@dataclass(frozen=True)
class Coding:
    """What each value of a label file means; other values are refused.

    Attributes:
        meaning: Pairs of a stored value and its class id or the ignore index.
        rule: Which values a file may hold, as a clause.
        remedy: What to do about others, as a sentence.
        colours: The colours of which files hold one a pixel, if they hold no values: a colour's
            position stands for it as its value.
    """

    meaning: tuple[tuple[int, int], ...]
    rule: str
    remedy: str = "Correct the label map or the class list."
    colours: tuple[Colour, ...] = ()

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
    def key(self) -> tuple[object, ...]:
        """Return what two codings of the same meaning have in common; empty for class ids."""
        meaning = (self.meaning,) if self.changes or self.colours else ()
        return (*meaning, self.colours) if self.colours else meaning

    @property
    def changes(self) -> bool:
        """Return whether any value means another one."""
        return any(stored != meant for stored, meant in self.meaning)

    def strange(self, stored: Label) -> Values:
        """Return the values of a file that mean nothing."""
        counts = cv2.calcHist([stored], [0], None, [256], [0, 256])
        there = np.flatnonzero(counts).astype(np.uint8)
        return there[~np.isin(there, [value for value, _ in self.meaning])]

    def from_colours(self, picture: Image, source: object) -> Label:
        """Return the values that stand for a picture's colours.

        Args:
            picture: A label map of colours.
            source: What to blame.

        Raises:
            DataError: If a colour means nothing.
        """
        known = _packed(np.array(self.colours, np.uint8))
        order = np.argsort(known)
        packed = _packed(picture)
        places = np.searchsorted(known[order], packed).clip(max=len(known) - 1)
        values = order[places].astype(np.uint8)
        strange = packed[known[values] != packed]
        if strange.size:
            raise _strange_colours(strange, source)
        return values

    def in_colours(self, values: Label) -> Image:
        """Return the colours that values stand for."""
        return np.array(self.colours, np.uint8)[values]

    def decoded(self, stored: Label) -> Label:
        """Return class ids for a file's values, which must all have a meaning."""
        return cv2.LUT(stored, self._meanings) if self.changes else stored

    def encoded(self, label: Label, stored: Label, source: object = "label map") -> Label:
        """Express a changed label map in a file's values.

        Args:
            label: The changed class ids.
            stored: The values of the file before. A pixel whose class stays keeps its very value,
                of which several may mean the same; others get the first value of their class.
            source: What to blame.

        Raises:
            DataError: If no value means a new class, as where nothing is ever ignored.
        """
        if not self.changes:
            return label
        values = np.zeros(256, np.uint8)
        for value, meant in reversed(self.meaning):
            values[meant] = value
        lost = np.setdiff1d(label, [meant for _, meant in self.meaning])
        if lost.size:
            raise DataError(
                source,
                "must be of files in which something stands for every class that pixels change to",
                f"nothing for {lost[0]}",
                "List a free value, or colour, under 'ignore' in the class file.",
            )
        return np.where(label == self.decoded(stored), stored, values[label])

    @property
    def _meanings(self) -> Values:
        table = np.zeros(256, np.uint8)
        for value, meant in self.meaning:
            table[value] = meant
        return table


def _packed(colours: np.ndarray) -> np.ndarray:
    """Return colours as one number each."""
    red, green, blue = (colours[..., channel].astype(np.uint32) for channel in range(3))
    return red << 16 | green << 8 | blue


def _strange_colours(packed: np.ndarray, source: object) -> DataError:
    numbers, counts = np.unique(packed, return_counts=True)
    first = np.argsort(-counts, kind="stable")[:_LISTED]
    shown = [
        f"[{numbers[i] >> 16}, {numbers[i] >> 8 & 255}, {numbers[i] & 255}] in {counts[i]} pixels"
        for i in first
    ]
    more = len(numbers) - len(shown)
    return DataError(
        source,
        "every colour must be one that the class file gives to a class, or ignores",
        ", ".join(shown) + (f", and {more} more colours" if more else ""),
        "Add it to a class or to 'ignore'. Many colours in few pixels come from smoothed borders: "
        "export the labels again, without smoothing and as PNG.",
    )
