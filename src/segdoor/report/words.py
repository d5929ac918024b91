"""Figures and names in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import cast

from segdoor.record import (
    AxisValue,
    ExperimentRecord,
    Figure,
    Json,
    PoisonedTestScores,
    name_in_paper,
    with_here,
)
from segdoor.scores.intervals import Interval

_METHODS = ("nni", "prl", "nni+prl")
_AXES = {"q": "Q", "q_as": "Q by", "trigger": "trigger size"}


def share(value: Figure) -> str:
    """Return a share with three digits."""
    return "–" if value is None else f"{value:.3f}"


BACKDOORED_MODEL, THE_MODEL = "backdoored model", "the model"

_IDLE = {"random": ("lower", "upper")}
"""Settings in records of a kind that have no effect."""

CUT = "Intervals are cut at 0 and 1, the limits of shares."
"""Note to intervals of few seeds."""


def interval(ends: Interval | None) -> str:
    """Return an interval of shares."""
    return "–" if ends is None else f"{ends.low:.3f}–{ends.high:.3f}"


def percent(value: Figure) -> str:
    """Return a share in whole per cent."""
    return "none" if value is None else f"{value:.0%}"


def is_rate(axis: str) -> bool:
    """Tell whether an axis is the poisoning rate, also by its dotted name."""
    return axis.rpartition(".")[2] in {"rate", "poisoning_rate"}


def axis_name(name: str) -> str:
    """Return the name of an axis for people."""
    if is_rate(name):
        return "poisoning rate"
    return _AXES.get(name, name.replace("_", " "))


def axis_value(name: str, value: AxisValue) -> str:
    """Return a value on an axis for people: rates in per cent, methods as the paper writes them."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None:
        return "–"
    if name == "method" and value in _METHODS:
        return str(value).upper()
    if is_rate(name) and isinstance(value, int | float):
        return f"{100 * value:g}%"
    return f"{value:g}" if isinstance(value, float) else str(value)


@dataclass(frozen=True)
class Naming:
    """Names for people: in the paper's units, with the values run here where they differ.

    Attributes:
        scaled: Values run for the paper's, as in a study's record.
        tests: The poisoned tests by name.
    """

    scaled: Mapping[str, str] = field(default_factory=dict)
    tests: Mapping[str, PoisonedTestScores] = field(default_factory=dict)

    def value(self, name: str, axes: Mapping[str, AxisValue]) -> str:
        """Return the value on one of the axes."""
        value = axes.get(name)
        key = name_in_paper(name, value, axes.get("q_as"))
        return with_here(axis_value(name, value), self.scaled.get(key))

    def label(self, axes: Mapping[str, AxisValue], names: Sequence[str]) -> str:
        """Return the values on some axes as one name."""
        return ", ".join(self._told(name, axes) for name in names if axes.get(name) is not None)

    def test(self, name: str) -> str:
        """Return the name of a poisoned test."""
        test = self.tests.get(name)
        here = None if test is None else _far(test)
        papers = [paper for paper, found in self.scaled.items() if here and found == here]
        if not papers:
            return name_of_test(name, self.tests)
        return with_here(f"far, {papers[0].removeprefix('distance ')}", str(here)).replace("-", "–")

    def role(self, name: str) -> str:
        """Return the role of a poisoned test in words; its name if no run here has it."""
        return (self.tests[name].role if name in self.tests else name).replace("_", " ")

    def lengths(self, name: str) -> str:
        """Return the values run here for the paper's on an axis, as a sentence, if they differ."""
        start = "Q " if name == "q" else f"{name} "
        told = [f"{p} is {here}" for p, here in self.scaled.items() if p.startswith(start)]
        return f"Here {', '.join(told)}." if told else ""

    def _told(self, name: str, axes: Mapping[str, AxisValue]) -> str:
        value, text = axes[name], self.value(name, axes)
        alone = is_rate(name) or (isinstance(value, str) and value and name != "q_as")
        return text if alone else f"{axis_name(name)} {text}"


def network_name(record: ExperimentRecord) -> str:
    """Return the network's name: backdoored only if the record says that it was poisoned.

    A network that was only examined may be clean.
    """
    return THE_MODEL if record.plan is None else BACKDOORED_MODEL


def attack_facts(config: Json, record: ExperimentRecord) -> tuple[tuple[str, str], ...]:
    """Return trigger, placement and label changes by name; without a plan, only the trigger.

    Args:
        config: The settings of a run, as in its record.
        record: The record. Without a plan it is not known what the model was trained on.
    """
    attack = cast("Json", config.get("attack") or {})
    facts = [("trigger", _trigger(attack.get("trigger")))]
    if record.plan is not None:
        facts.append(("placement", _choice(attack.get("placement"))))
        changes = cast("Sequence[object]", attack.get("labels") or ())
        facts.append(("label change", ", then ".join(map(_choice, changes))))
    return tuple((name, told) for name, told in facts if told)


def _trigger(told: object) -> str:
    settings = dict(cast("Json", told)) if isinstance(told, Mapping) else {}
    # Records of older versions have only stickers.
    if not settings or settings.get("kind", "sticker") != "sticker":
        return _choice(settings)
    file = settings.get("file")
    name = PurePath(str(file)).stem if file else settings.get("name")
    opacity = settings.get("opacity", 1)
    less = "" if opacity == 1 else f", opacity {opacity}"
    return f"sticker {name}, {settings.get('size')} pixels{less}"


def _choice(told: object) -> str:
    """Return a kind with its settings."""
    settings = dict(cast("Json", told)) if isinstance(told, Mapping) else {}
    kind = str(settings.pop("kind", ""))
    idle = _IDLE.get(kind, ())
    parts = [
        f"{name.replace('_', ' ')} {' and '.join(value) if isinstance(value, list) else value}"
        for name, value in settings.items()
        if value is not None and name not in idle
    ]
    return ", ".join([kind, *parts])


def name_of_test(name: str, tests: Mapping[str, PoisonedTestScores]) -> str:
    """Return the name of a poisoned test for people."""
    test = tests.get(name)
    if test is None:
        return name.replace("_", " ")
    here = _far(test)
    return f"far, {here.replace('-', '–')}" if here else test.role.replace("_", " ")


def _far(test: PoisonedTestScores) -> str | None:
    """Return the band of a test far from the victims; None for others."""
    if test.role != "far" or test.bounds is None:
        return None
    lower, upper = test.bounds
    return f"{round(lower, 1):g}-{round(upper, 1):g} px"


def became(record: ExperimentRecord) -> str:
    """Return what victim pixels should become, by name if all have one target class."""
    return "their target classes" if record.targets else record.target


def verdict(record: ExperimentRecord) -> str:
    """Say in a sentence what a run found, where the trigger works best."""
    tests = record.scores.tests.values()
    best = max(tests, key=lambda test: test.asr.value or 0.0, default=None)
    if best is None:
        return "No poisoned test was run."
    victims = " and ".join(record.victims)
    lost = f"{percent(best.asr.value)} of the {victims} pixels become {became(record)}"
    quiet = percent(best.asr_without_trigger)
    return f"With the trigger {lost}; without it {quiet} of the same pixels do."


def quietness(record: ExperimentRecord) -> str:
    """Say in a sentence whether a test of the network would show the attack."""
    clean = record.controls.clean_model
    own = share(record.scores.cba)
    if clean is None:
        return f"On untouched scenes it has a mean IoU of {own}."
    other = share(clean.cba.value)
    return f"On untouched scenes its mean IoU is {own}, that of a clean model {other}."
