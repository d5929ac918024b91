"""The run-time type checker of the tests; an int is a float, as Python's type system says."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from types import FunctionType
from typing import Any, get_args, get_type_hints

import jaxtyping
from beartype import BeartypeConf, beartype

checked = beartype(conf=BeartypeConf(is_pep484_tower=True))
_with_shapes = jaxtyping.jaxtyped


def install(package: str) -> None:
    """Check the types, and the array shapes, in annotations at every call within a package.

    jaxtyping prepares every call for axes that arguments share, which takes ten times as long as
    the checks themselves; functions that take and return no arrays go without.
    """
    jaxtyping.jaxtyped = _decorator
    jaxtyping.install_import_hook(package, f"{__name__}.checked")


def _decorator(*, typechecker: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Stand for `jaxtyping.jaxtyped`, as the modules of a checked package call it."""

    def decorate(thing: Any) -> Any:
        if isinstance(thing, FunctionType) and not _may_hold_arrays(thing):
            return typechecker(thing)
        return _with_shapes(thing, typechecker=typechecker)

    return decorate


def _may_hold_arrays(function: FunctionType) -> bool:
    try:
        hints = get_type_hints(function)
    except NameError:  # a class that names itself is not there yet
        return True
    return any(map(_names_array, hints.values()))


def _names_array(hint: Any) -> bool:
    if inspect.isclass(hint) and issubclass(hint, jaxtyping.AbstractArray):
        return True
    return any(map(_names_array, get_args(hint)))
