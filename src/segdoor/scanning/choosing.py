"""Which methods a scan runs, and why the others are not run."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from segdoor.defense.defense import Access, Defense
from segdoor.errors import ConfigError
from segdoor.plugins import Plugin, Registry
from segdoor.scanning.policy import MethodsPolicy

DefenseT = TypeVar("DefenseT", bound=Defense)

Remedies = Mapping[Access, str]
"""What a defender who lacks something must give, by what is lacking."""


@dataclass(frozen=True)
class Skipped:
    """A built-in method that is not run.

    Attributes:
        kind: Its name.
        method: Its class.
        why: Why it is not run, and what would run it.
    """

    kind: str
    method: type[Defense]
    why: str


@dataclass(frozen=True)
class Choice(Generic[DefenseT]):
    """The methods of a scan.

    Attributes:
        run: Those that are run, in their order.
        skipped: The other built-in ones.
    """

    run: tuple[DefenseT, ...]
    skipped: tuple[Skipped, ...]


def choose(
    registry: Registry[DefenseT],
    named: Sequence[str],
    policy: MethodsPolicy,
    *,
    has: Collection[Access],
    remedies: Remedies,
) -> Choice[DefenseT]:
    """Choose the methods that are run.

    Args:
        registry: The methods of the sort.
        named: Those that were asked for, as they are written; the policy's if there are none.
        policy: Which methods run by default.
        has: What the defender has.
        remedies: What to give for what the defender has not.

    Raises:
        ConfigError: If a method is unknown, needs something that is not there, or none is left.
    """
    registry = replace(registry, option="--with" if named else "methods of the policy")
    if named or policy.methods is not None:
        texts = named or policy.methods or ()
        chosen = tuple({str(method): method for method in map(registry.read, texts)}.values())
        for method in chosen:
            _check_possible(method, registry.option, has, remedies)
    else:
        known = registry.known.items()
        fitting = [kind for kind, plugin in known
                   if _why_not(kind, plugin, policy, has, remedies) is None]  # fmt: skip
        chosen = tuple(map(registry.read, fitting))
    running = {method.kind for method in chosen}
    skipped = tuple(
        Skipped(
            kind,
            plugin,
            _why_not(kind, plugin, policy, has, remedies)
            or f"other methods were named: --with {kind}",
        )
        for kind, plugin in registry.known.items()
        if kind not in running
    )
    if not chosen:
        told = "; ".join(f"{one.kind}: {one.why}" for one in skipped) or "none is built in"
        raise ConfigError(
            "--with", f"must name a {registry.what} that can be run", told,
            f"Known: {registry.listed}; your own as package.module:Class.",
        )  # fmt: skip
    return Choice(chosen, skipped)


def _check_possible(
    method: Defense, option: str, has: Collection[Access], remedies: Remedies
) -> None:
    """Refuse a method that was asked for and lacks something: a gate must not pass over it."""
    # Whoever names a method grants it the time to train.
    lacking = sorted(method.access - {*has, "training"})
    if lacking:
        remedy = remedies[lacking[0]]
        raise ConfigError(f"{option} {method}", f"needs {_IN_WORDS[lacking[0]]}", "none", remedy)


def _why_not(
    kind: str,
    method: type[Plugin],
    policy: MethodsPolicy,
    has: Collection[Access],
    remedies: Remedies,
) -> str | None:
    """Return why a built-in method does not run by default; None if it does."""
    assert issubclass(method, Defense)
    lacking = sorted(method.access - {*has, "training"})
    needed = [name for name, field in method.model_fields.items() if field.is_required()]
    if lacking:
        return f"needs {_IN_WORDS[lacking[0]]}. {remedies[lacking[0]]}"
    if kind in policy.controls:
        return f"a control, which finds nothing. Run it with --with {kind}."
    if "training" in method.access:
        return f"trains networks first. Run it with --with {kind}."
    if needed:
        return f"needs its setting {needed[0]}. Run it with --with {kind}:{needed[0].upper()}."
    return None


_IN_WORDS: dict[Access, str] = {
    "data": "scenes",
    "files": "scenes from files",
    "clean scenes": "clean scenes",
    "training": "time to train networks",
    "black box": "a model",
    "white box": "a model with gradients",
}
