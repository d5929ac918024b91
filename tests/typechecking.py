"""The run-time type checker of the tests; an int is a float, as Python's type system says.

A function with arrays is checked at its first calls in each test, then at one call in twenty: an
interval calls its metric a thousand times, and a run has dozens of intervals.
"""

from __future__ import annotations

import functools
import inspect
from collections import Counter
from collections.abc import Callable
from types import FunctionType
from typing import Any, get_args, get_type_hints

import jaxtyping
from beartype import BeartypeConf, beartype

checked = beartype(conf=BeartypeConf(is_pep484_tower=True))
_thoroughly = jaxtyping.jaxtyped
_num_calls: Counter[Callable[..., Any]] = Counter()
ALWAYS, ONE_IN = 100, 20


def begin_test() -> None:
    """Check every function at its first calls again."""
    _num_calls.clear()


def install(package: str) -> None:
    """Check the types, and the array shapes, in annotations at calls within a package.

    jaxtyping would look at every argument three times, and explain itself better. That takes ten
    times as long, most of it in functions without arrays, which need nothing of it.
    """
    jaxtyping.jaxtyped = _decorator
    jaxtyping.install_import_hook(package, f"{__name__}.checked")


def _decorator(*, typechecker: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Stand for `jaxtyping.jaxtyped`, as the modules of a checked package call it."""

    def decorate(thing: Any) -> Any:
        hints = _hints(thing) if isinstance(thing, FunctionType) else None
        if hints is None:
            return _thoroughly(thing, typechecker=typechecker)
        found = typechecker(thing)
        if any(map(_names_array, hints.values())):
            return _with_axes(found, thing)
        return found

    return decorate


def _hints(function: FunctionType) -> dict[str, Any] | None:
    try:
        return get_type_hints(function)
    except NameError:  # a class that names itself is not there yet
        return None


def _names_array(hint: Any) -> bool:
    if inspect.isclass(hint) and issubclass(hint, jaxtyping.AbstractArray):
        return True
    return any(map(_names_array, get_args(hint)))


def _with_axes(function: Callable[..., Any], unchecked: Callable[..., Any]) -> Callable[..., Any]:
    """Let an axis have one size in all arguments of a call and in what it returns."""

    @functools.wraps(function)
    def call(*args: Any, **named: Any) -> Any:
        _num_calls[unchecked] += 1
        if _num_calls[unchecked] > ALWAYS and _num_calls[unchecked] % ONE_IN:
            return unchecked(*args, **named)
        with _thoroughly("context"):
            return function(*args, **named)

    return call
