"""Methods of any sort by name: the sort follows from the name, or from the class."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Iterable, Mapping
from typing import Any, Literal, TypeAlias

from segdoor.defense.detectors.detector import Detector
from segdoor.defense.detectors.registry import DETECTORS
from segdoor.defense.filters.filter import Filter
from segdoor.defense.filters.registry import FILTERS
from segdoor.defense.purifiers.purifier import Purifier
from segdoor.defense.purifiers.registry import PURIFIERS
from segdoor.defense.repairs.registry import REPAIRS
from segdoor.defense.repairs.repair import Repair
from segdoor.defense.scans.registry import SCANS
from segdoor.defense.scans.scan import Scan
from segdoor.errors import ConfigError
from segdoor.plugins import Plugin, Registry
from segdoor.settings import Settings

Method: TypeAlias = Repair | Filter | Detector | Purifier | Scan
"""A method of defense."""

Sort = Literal["repair", "filter", "detector", "purifier", "scan"]
"""What a method is."""

REGISTRIES: Mapping[Sort, Registry[Any]] = {
    "repair": REPAIRS,
    "filter": FILTERS,
    "detector": DETECTORS,
    "purifier": PURIFIERS,
    "scan": SCANS,
}
"""Where the methods of each sort are listed; a kind is in one of them alone."""

_KNOWN: Mapping[str, type[Plugin]] = ChainMap(*(dict_of.known for dict_of in REGISTRIES.values()))  # pyright: ignore[reportArgumentType] - only read
_METHODS: Registry[Plugin] = Registry("method of defense", Plugin, "--with", _KNOWN)


def read_method(text: str) -> Method:
    """Return the method that a text names, of whatever sort.

    Args:
        text: A kind with its settings, ``kind:main,setting=value``, or a class of one's own as
            ``package.module:Class``; its code is run.

    Raises:
        ConfigError: If there is no such method, or a setting breaks its rule.
    """
    method = _METHODS.read(text)
    if isinstance(method, Repair | Filter | Detector | Purifier | Scan):
        return method
    raise ConfigError(
        "--with",
        "must name a method of defense",
        f"{text}, a {type(method).__mro__[1].__name__}",
        "Derive it from Repair, Filter, Detector, Purifier or Scan.",
    )


def without_settings() -> tuple[str, ...]:
    """Return the built-in methods that need no setting, sort by sort."""
    return tuple(
        kind
        for registry in REGISTRIES.values()
        for kind, method in registry.known.items()
        if not any(field.is_required() for field in method.model_fields.values())
    )


def are_repairs(methods: Iterable[str]) -> bool:
    """Tell whether methods are repairs, all of them."""
    return all(isinstance(read_method(text), Repair) for text in methods)


def sort_of(method: Method) -> Sort:
    """Return what a method is."""
    bases: dict[type[Settings], Sort] = {
        Repair: "repair", Filter: "filter", Detector: "detector", Purifier: "purifier",
        Scan: "scan",
    }  # fmt: skip
    return next(sort for base, sort in bases.items() if isinstance(method, base))


def access_of(method: Method) -> tuple[str, ...]:
    """Return what a defender must have for a method."""
    if isinstance(method, Repair):
        return ("clean scenes", "white box") if method.share else ("white box",)
    return tuple(sorted(method.access))
