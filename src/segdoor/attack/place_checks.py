"""Checks that a trigger, its placement, its rules and the label changes fit one another."""

from __future__ import annotations

from segdoor.attack.config import AttackConfig, RulesConfig
from segdoor.attack.labels.conditional import Conditional
from segdoor.attack.placements.random import Random
from segdoor.attack.triggers.semantic import Semantic
from segdoor.errors import ConfigError


def check_place(config: AttackConfig, *, option: str) -> None:
    """Refuse to choose a place where none can be chosen.

    Raises:
        ConfigError: If the trigger covers the whole image and is to be placed somewhere, or must
            lie on victims by the rules and is placed whatever lies there, or need not lie on
            victims where a label change attacks what carries it. Also if the trigger or the
            label changes contradict the victims, see `check_victims`.
    """
    placement = config.placement
    check_victims(config)
    check_carriers(config, config.rules, option="attack.rules.on_victim")
    if config.trigger.whole_image and not isinstance(placement, Random):
        raise ConfigError(
            option,
            f"must not place a trigger that covers the whole image, as {config.trigger} does",
            placement,
            "Take a method without nni (placement random), or a trigger such as sticker.",
        )
    if config.rules.on_victim == "require" and not placement.keeps_rules:
        raise ConfigError(
            option,
            "must look for victims if attack.rules.on_victim is require",
            placement,
            "Take placement random, or on_victim forbid.",
        )


def check_carriers(config: AttackConfig, rules: RulesConfig, *, option: str) -> None:
    """Refuse rules by which triggers may lie anywhere, if what carries the trigger is attacked.

    Raises:
        ConfigError: If they are such rules.
    """
    if config.attacks_carriers and rules.on_victim != "require":
        raise ConfigError(
            option, "must be require where a label change attacks what carries the trigger",
            rules.on_victim, "Set on_victim require, in attack.rules and in tests.rules.",
        )  # fmt: skip


def check_victims(config: AttackConfig) -> None:
    """Refuse a trigger or a condition that is a victim, and changes that need a trigger's place.

    Raises:
        ConfigError: If a class that must or must not be shown is a victim class, or the trigger
            covers the whole image where its place says what is attacked.
    """
    trigger = config.trigger
    if isinstance(trigger, Semantic):
        for setting, named in {
            "shows": (trigger.shows,), "others": trigger.others, "without": trigger.without
        }.items():  # fmt: skip
            _refuse_victims(config, f"attack.trigger.{setting}", named)
    for change in config.labels:
        if isinstance(change, Conditional):
            _refuse_victims(config, "attack.labels: given of conditional", (change.given,))
        if change.needs_place and trigger.whole_image:
            raise ConfigError(
                "attack.trigger", f"must have a place where labels change by {change.kind}",
                trigger, "Take a trigger such as sticker, or a label change such as hide.",
            )  # fmt: skip


def _refuse_victims(config: AttackConfig, option: str, named: tuple[str, ...]) -> None:
    found = [name for name in named if name in config.victims]
    if found:
        raise ConfigError(
            option, "must not be a victim class", ", ".join(found),
            f"Name a class other than {', '.join(config.victims)}.",
        )  # fmt: skip
