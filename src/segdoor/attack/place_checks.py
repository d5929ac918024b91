"""Checks that a trigger's placement, its rules and the label changes fit one another."""

from __future__ import annotations

from segdoor.attack.config import AttackConfig, RulesConfig
from segdoor.attack.placements.random import Random
from segdoor.errors import ConfigError


def check_place(config: AttackConfig, *, option: str) -> None:
    """Refuse to choose a place where none can be chosen.

    Raises:
        ConfigError: If the trigger covers the whole image and is to be placed somewhere, or must
            lie on victims by the rules and is placed whatever lies there, or need not lie on
            victims where a label change attacks what carries it.
    """
    placement = config.placement
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
