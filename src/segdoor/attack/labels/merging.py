"""Two layers of settings that both speak of label changes, made one.

Settings are plain trees here, as they are before they are validated.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

from segdoor.attack.labels.change import LabelChange, VictimChange
from segdoor.attack.labels.hide import Hide
from segdoor.attack.labels.registry import LABELS
from segdoor.errors import ConfigError
from segdoor.plugins import in_a_word

Tree = dict[str, object]

SHORTHAND = ("victims", "target")
"""Settings of the first change with victims and one target that may stand without it."""


def settled(below: Mapping[str, object], above: Mapping[str, object]) -> tuple[Tree, Tree]:
    """Return two layers of an attack's settings with the label changes of both in the second one.

    A list above replaces which changes there are. What a change does not say it takes from the
    one of its kind below: from that in the same place among its kind, or the first.

    Args:
        below: Settings of an attack, with or without label changes.
        above: Those that win.
    """
    under = with_shorthand(_changes(below) or [{"kind": Hide.kind}], below)
    over = _changes(above)
    changes = under if over is None else _filled(over, under)
    labels = with_shorthand(changes, above)
    return _without(below), {**_without(above), "labels": labels}


def with_shorthand(changes: Sequence[Tree], given: Mapping[str, object]) -> list[Tree]:
    """Return label changes, with victims and target, if given, in the first that has them."""
    asked = {name: given[name] for name in SHORTHAND if name in given}
    first = first_with_victims(changes)
    return [{**change, **asked} if change is first else change for change in changes]


def _has_victims(change: Tree) -> bool:
    """Tell whether a change is of a kind that comes along and names victims."""
    return issubclass(LABELS.known.get(str(change.get("kind")), LabelChange), VictimChange)


def first_with_victims(changes: Sequence[Tree]) -> Tree | None:
    """Return the first change with victims and one target, as hide has; None without one."""
    return next((change for change in changes if _has_victims(change)), None)


def check_shorthand(changes: Sequence[Tree], given: Mapping[str, object]) -> None:
    """Refuse victims and target that the list of label changes does not bear out.

    Args:
        changes: The changes, with those settings alone that were said.
        given: Victims and target, as far as they were said without them.

    Raises:
        ConfigError: If the first change with victims and one target says otherwise, or there is
            none.
    """
    first = first_with_victims(changes)
    for name, value in given.items():
        there = None if first is None else first.get(name, value)
        if _plain(there) != _plain(value):
            raise ConfigError(
                f"attack.{name}", "must be what attack.labels says, or be left out",
                in_a_word(_plain(value)),
                "Say it in one place.",
            )  # fmt: skip


def _plain(value: object) -> object:
    parts = value.split("+") if isinstance(value, str) else value
    return tuple(cast("Sequence[object]", parts)) if isinstance(parts, list | tuple) else parts


def _changes(tree: Mapping[str, object]) -> list[Tree] | None:
    return cast("list[Tree]", tree["labels"]) if "labels" in tree else None


def _without(tree: Mapping[str, object]) -> Tree:
    return {key: value for key, value in tree.items() if key not in {*SHORTHAND, "labels"}}


def _filled(over: Sequence[Tree], under: Sequence[Tree]) -> list[Tree]:
    filled: list[Tree] = []
    for place, change in enumerate(over):
        alike = [other for other in under if other["kind"] == change["kind"]]
        number = sum(other["kind"] == change["kind"] for other in over[:place])
        known = (alike[number:] or alike or [_victims_of(under, change)])[0]
        filled.append({**known, **change})
    return filled


def _victims_of(under: Sequence[Tree], change: Tree) -> Tree:
    """Return whom to turn into what: that does not depend on whether all of them vanish."""
    first = first_with_victims(under) if _has_victims(change) else None
    known = LABELS.known.get(str(change["kind"]))
    chooses = known is not None and issubclass(known, VictimChange) and known.chooses_target
    names = SHORTHAND[:1] if chooses else SHORTHAND
    return {name: first[name] for name in names if name in first} if first else {}
