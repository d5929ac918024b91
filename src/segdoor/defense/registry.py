"""The repairs by name, and how they are written in words."""

from __future__ import annotations

from segdoor.defense.finetune import Finetune
from segdoor.defense.prune import Prune
from segdoor.defense.repair import Repair
from segdoor.errors import ConfigError
from segdoor.settings import validated

REPAIRS: dict[str, type[Repair]] = {
    "finetune": Finetune,
    "prune": Prune,
}
"""The repairs by name."""


def parse_repair(text: str, *, option: str = "--with") -> Repair:
    """Return the repair that a text such as ``prune:30,layer=head.classifier`` names.

    Args:
        text: NAME:VALUE, and further settings behind commas.
        option: What to blame.

    Raises:
        ConfigError: If the repair or a setting is unknown, or a value breaks its rule; the message
            lists the known ones.
    """
    name, _, rest = text.partition(":")
    if name not in REPAIRS:
        known = ", ".join(REPAIRS)
        raise ConfigError(option, "must name a known repair", text or "nothing", f"Known: {known}.")
    kind = REPAIRS[name]
    given: dict[str, str] = {}
    for position, part in enumerate(rest.split(",")):
        key, sign, value = part.partition("=")
        if not sign and position == 0:
            key, value = kind.main, part
        if not value or not key or key in given:
            raise ConfigError(
                option,
                f"must be written {name}:{kind.main.upper()},setting=value, each setting once",
                text,
                f"{kind.main} is: {_meaning(kind)}",
            )
        given[key] = value
    return validated(kind, given, source=f"{option} {text}")


def _meaning(kind: type[Repair]) -> str:
    return kind.model_fields[kind.main].description or ""
