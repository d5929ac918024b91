"""Thresholds on figures, as pipelines write them: ``asr>0.3``, ``asr:near>0.3``, ``iou<0.5``."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from segdoor.errors import ConfigError
from segdoor.scores.metrics.registry import METRICS

OPTION = "--fail-on"
BENIGN = "benign"
IOU = "iou"
FIGURES = (*METRICS.known, IOU)
"""Figures that can have a threshold: every built-in metric, and the IoU of a class."""
_OF_VICTIMS = ("asr", "victim_recovery", "vanished_objects", "kept_victims")
"""Figures of victim pixels, available for a single victim class."""
_WITHOUT_TRIGGER = ("asr", "victim_recovery")
"""Those that are also defined in the benign test."""
_FORM = re.compile(r"\s*([\w.]+)\s*(?::(.*?))?\s*(<=|>=|<|>)\s*([^<>=]*?)\s*", re.DOTALL)
_SPELLING = (
    "must be FIGURE>VALUE or FIGURE<VALUE, a test or class after the figure, as in "
    "asr>0.3, asr:near>0.3 or iou:car<0.5"
)


@dataclass(frozen=True)
class Names:
    """What a run will measure.

    Attributes:
        tests: The poisoned tests, each with its role.
        victims: The victim classes.
        classes: All classes.
        figures: The metrics that apply to such an attack.
    """

    tests: Mapping[str, str]
    victims: tuple[str, ...]
    classes: tuple[str, ...]
    figures: tuple[str, ...]


@dataclass(frozen=True)
class Threshold:
    """A figure, and where it is too high or too low.

    Attributes:
        text: The threshold as given.
        figure: A metric, or iou.
        sign: Where it fails: >, >=, < or <=.
        value: What it is compared with.
        where: The test, the class or both, as given; empty for all.
    """

    text: str
    figure: str
    sign: str
    value: float
    where: str = ""

    def crossed_by(self, figure: float) -> bool:
        """Tell whether a figure crosses the threshold; NaN never does."""
        if figure == self.value:
            return "=" in self.sign
        return figure > self.value if self.high else figure < self.value

    @property
    def high(self) -> bool:
        """Tell whether high figures fail."""
        return self.sign[0] == ">"


@dataclass(frozen=True)
class Place:
    """Where a threshold is judged.

    Attributes:
        tests: Names of the tests, "benign" among them.
        classes: Names of the classes, each judged by itself; (None,) for a figure over all.
    """

    tests: tuple[str, ...]
    classes: tuple[str | None, ...]


def read_thresholds(texts: Iterable[str]) -> tuple[Threshold, ...]:
    """Read thresholds; tests and classes are looked up later, by `place_of`.

    Raises:
        ConfigError: If one is malformed, names no figure, or can never be crossed.
    """
    return tuple(dict.fromkeys(_read(text) for text in texts))


def _read(text: str) -> Threshold:
    parts = _FORM.fullmatch(text)
    if parts is None:
        raise ConfigError(
            OPTION, _SPELLING, text or "nothing",
            "Quote it, since a shell uses > and < for files; give the option once per threshold.",
        )  # fmt: skip
    figure, where, sign, number = parts.groups(default="")
    if figure not in FIGURES:
        known = f"Known: {', '.join(FIGURES)}."
        raise ConfigError(OPTION, "must name a figure", figure, _near(figure, FIGURES) + known)
    return Threshold(text.strip(), figure, sign, _share(number, text, sign), where.strip())


def _share(number: str, text: str, sign: str) -> float:
    try:
        value = float(number)
    except ValueError:
        value = math.nan
    if not 0 <= value <= 1:
        raise ConfigError(
            OPTION, "must compare with a share from 0 to 1", text, "Write 0.3 for 30 %."
        )
    if (sign, value) in {(">", 1.0), ("<", 0.0)}:
        raise ConfigError(
            OPTION, "must be a value that can be crossed", text,
            f"Write {sign}= if {value:g} itself is meant.",
        )  # fmt: skip
    return value


def place_of(threshold: Threshold, names: Names) -> Place:
    """Return the tests and classes of a threshold.

    Raises:
        ConfigError: If it names something that the run or the figure does not have.
    """
    if threshold.figure == IOU:
        return Place((BENIGN,), _classes(threshold, names))
    if threshold.figure == "cba":
        if threshold.where:
            raise _unfit(threshold, "is over all classes of the benign test", "iou:CLASS<VALUE")
        return Place((BENIGN,), (None,))
    if threshold.figure not in names.figures:
        raise ConfigError(
            OPTION, "must be a figure that this attack has", threshold.text,
            f"Available: {', '.join((*names.figures, IOU))}.",
        )  # fmt: skip
    test, of_class = _split(threshold, names)
    if of_class and threshold.figure not in _OF_VICTIMS:
        raise _unfit(threshold, "is over several classes", "iou:CLASS<VALUE, of the benign test")
    if test == BENIGN and threshold.figure not in _WITHOUT_TRIGGER:
        raise _unfit(threshold, "is one of poisoned tests", f"{threshold.figure}:TEST")
    role = tuple(name for name, what in names.tests.items() if test in (name, what))
    exact = (test,) if test in names.tests or test == BENIGN else role
    return Place(exact or tuple(names.tests), (of_class or None,))


def _classes(threshold: Threshold, names: Names) -> tuple[str, ...]:
    if threshold.where and threshold.where not in names.classes:
        raise _unknown(threshold, "must name a class of the data set", names.classes)
    return (threshold.where,) if threshold.where else names.classes


def _split(threshold: Threshold, names: Names) -> tuple[str, str]:
    """Return the test and the victim class that are named; class names may contain colons."""
    where, tests = threshold.where, {*names.tests, *names.tests.values(), BENIGN}
    if not where or where in tests:
        return where, ""
    if where in names.victims:
        return "", where
    test, _, rest = where.partition(":")
    if test in tests and rest in names.victims:
        return test, rest
    known = (*names.tests, *sorted(tests - set(names.tests)), *names.victims)
    raise _unknown(threshold, "must name a test, a victim class or TEST:CLASS of this run", known)


def _unknown(threshold: Threshold, rule: str, known: tuple[str, ...]) -> ConfigError:
    advice = f"{_near(threshold.where, known)}Known: {', '.join(known)}."
    return ConfigError(f"{OPTION} {threshold.text}", rule, threshold.where, advice)


def _unfit(threshold: Threshold, rule: str, instead: str) -> ConfigError:
    advice = f"Leave out ':{threshold.where}', or write {instead}."
    return ConfigError(f"{OPTION} {threshold.text}", f"{threshold.figure} {rule}", "", advice)


def _near(word: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(word, list(known), n=1)
    return f"Did you mean '{near[0]}'? " if near else ""
