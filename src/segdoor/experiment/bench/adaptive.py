"""Attackers who know a method of defense, and change their settings to get past it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from segdoor.attack.config import AttackConfig
from segdoor.attack.triggers.sticker import Sticker
from segdoor.defense.filters.filter import Filter
from segdoor.errors import ConfigError

# Found by trying: at 0.3 patch mining still finds the sticker on CamVid (docs/defenders.md).
_OPACITY = 0.2
_RATE = 0.4


@dataclass(frozen=True)
class Adapted:
    """An attack that was changed.

    Attributes:
        does: What is different in it, with the settings that say so.
        config: Its settings.
    """

    does: str
    config: AttackConfig


def adapted(method: Filter, attack: AttackConfig) -> Adapted:
    """Return the attack of somebody who knows a filter.

    Args:
        method: The filter, which names its attacker.
        attack: What the attacker would do otherwise.

    Raises:
        ConfigError: If there is no such attacker, or the attack cannot be changed so.
    """
    attacker = ADAPTIVE.get(method.adaptive or "")
    if attacker is None:
        known = ", ".join(ADAPTIVE)
        raise ConfigError(method.kind, "must name an adaptive attacker", method.adaptive, known)
    return attacker(attack)


def _faint(attack: AttackConfig) -> Adapted:
    """Let the scene show through the sticker, so that no two scenes hold the same picture."""
    if not isinstance(attack.trigger, Sticker):
        raise ConfigError(
            "--adaptive", "needs a run whose trigger is a sticker", attack.trigger.kind,
            "Measure the method on such a run.",
        )  # fmt: skip
    opacity = min(attack.trigger.opacity, _OPACITY)
    trigger = attack.trigger.model_copy(update={"opacity": opacity})
    told = f"a sticker through which the scene shows (attack.trigger.opacity {opacity:g})"
    return Adapted(told, attack.model_copy(update={"trigger": trigger}))


def _frequent(attack: AttackConfig) -> Adapted:
    """Poison so much that every part of the data teaches the backdoor, and parts agree on it."""
    rate = max(attack.rate, _RATE)
    told = f"so much poison that every part of the scenes holds enough (attack.rate {rate:g})"
    changed = {"rate": rate, "shortfall": "all_available"}
    return Adapted(told, attack.model_copy(update=changed))


ADAPTIVE: Mapping[str, Callable[[AttackConfig], Adapted]] = {
    "faint": _faint,
    "frequent": _frequent,
}
"""What an attacker changes, by the name that methods have for him (`Defense.adaptive`)."""
