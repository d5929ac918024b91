"""The run-time type checker of the tests; an int is a float, as Python's type system says."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from types import FunctionType
from typing import Any, get_args, get_type_hints

import jaxtyping
from beartype import BeartypeConf, beartype

checked = beartype(conf=BeartypeConf(is_pep484_tower=True))
_thoroughly = jaxtyping.jaxtyped


def install(package: str) -> None:
    """Check the types, and the array shapes, in annotations at every call within a package.

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
        return _with_axes(found) if any(map(_names_array, hints.values())) else found

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


def _with_axes(function: Callable[..., Any]) -> Callable[..., Any]:
    """Let an axis have one size in all arguments of a call and in what it returns."""

    @functools.wraps(function)
    def call(*args: Any, **named: Any) -> Any:
        with _thoroughly("context"):
            return function(*args, **named)

    return call
