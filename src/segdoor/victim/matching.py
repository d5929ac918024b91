"""Whose names the tensors of a file have: those of a network, behind whatever training put before.

Parallel training writes `module.`, compilation `_orig_mod.`, frameworks `model.` or `net.`, and all
of them together. No list of such prefixes is kept: what stands before the names that the network
itself has is a prefix.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Final

from torch import Tensor

Tensors = Mapping[str, Tensor]

_COUNTER: Final = ".num_batches_tracked"
# Layers within layers; a damaged file may hold any name.
_DEEPEST: Final = 32
# They stand anywhere in a name, around the layer that they wrap.
_WRAPPERS: Final = frozenset(
    ("module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module")
)


@dataclass(frozen=True)
class Match:
    """What of a file fills a network.

    Attributes:
        tensors: Under the network's names.
        left_out: Names in the file of what lies outside the network.
        told: What was done to the names, as a clause; empty if they were the network's.
    """

    tensors: dict[str, Tensor]
    left_out: tuple[str, ...] = ()
    told: str = ""


def needed(names: Iterable[str]) -> set[str]:
    """Return names without batch norm's counters, which old files lack and which decide nothing."""
    return {name for name in names if not _is_counter(name)}


def matched(tensors: Tensors, expected: Collection[str]) -> Match | None:
    """Return what of a file fills a network; None if nothing does, or if several parts do.

    Args:
        tensors: The content of the file.
        expected: The network's names.
    """
    for lead in _leads(expected):
        for plain in (_as_it_is, _without_wrappers):
            found, wanted = _keyed(tensors, plain), _keyed(expected, plain, lead)
            places = [at for at in _prefixes(found) if _fills(at, found, wanted)]
            if "" in places or len(places) == 1:
                place = "" if "" in places else places[0]
                inside = {name: there[len(place) :] for there, name in found.items()
                          if there.startswith(place)}  # fmt: skip
                return _match(tensors, {name: wanted[there] for name, there in inside.items()})
    return None


def laid_bare(tensors: Tensors, marks: Iterable[str]) -> Match:
    """Return tensors without what stands before names by which their kind is known.

    Args:
        tensors: The content of a file.
        marks: Names, one of which every file of the kind has; the first one that is there counts.
    """
    found = _keyed(tensors, _without_wrappers)
    for mark in marks:
        # A dot before both, so that only whole parts of names are compared.
        places = [name[: -len(mark)] for name in found if f".{name}".endswith(f".{mark}")]
        first = min(places, key=len, default=None)
        if first is not None and all(place.startswith(first) for place in places):
            names = {name: at[len(first) :] for at, name in found.items() if at.startswith(first)}
            return _match(tensors, names)
    return Match(dict(tensors))


def best_prefix(names: Iterable[str], expected: Collection[str]) -> str:
    """Return the prefix behind which most of a network's names stand, to speak of what is amiss."""
    found = dict.fromkeys(names, "")
    wanted = needed(expected)
    count = {at: sum(at + name in found for name in wanted) for at in ("", *_prefixes(found))}
    return max(count, key=lambda place: (count[place], -len(place)))


def fitting_prefixes(names: Collection[str], expected: Collection[str]) -> list[str]:
    """Return the prefixes behind which a whole network stands, if they are most of a file."""
    found, wanted = dict.fromkeys(names, ""), dict.fromkeys(expected, "")
    whole = [place for place in _prefixes(found) if _is_whole(_behind(place, found), wanted)]
    inside = sum(len(_behind(place, found)) for place in whole)
    return whole if 2 * inside > len(found) else []


def _fills(place: str, found: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
    """Tell whether what stands behind a prefix is a whole network, and most of the file."""
    behind = _behind(place, found)
    return _is_whole(behind, wanted) and len(found) < 2 * len(behind)


def _is_whole(behind: AbstractSet[str], wanted: Mapping[str, str]) -> bool:
    return bool(behind) and needed(wanted) <= behind <= wanted.keys()


def _match(tensors: Tensors, names: Mapping[str, str]) -> Match:
    """Return what of a file is taken, by its names there and here."""
    inside = {here: tensors[there] for there, here in names.items()}
    return Match(inside, tuple(sorted(tensors.keys() - names.keys())), _clause(names))


def _clause(names: Mapping[str, str]) -> str:
    """Say what was done to names, by the first that was changed."""
    changed = next(((old, new) for old, new in names.items() if old != new), None)
    if changed is None:
        return ""
    old, new = changed
    before = old.removesuffix(new)
    if before != old and all(name == before + there for name, there in names.items()):
        return f"prefix '{before}' dropped"
    before = new.removesuffix(old)
    if before != new and all(there == before + name for name, there in names.items()):
        return f"prefix '{before}' added"
    return f"names such as '{old}' read as '{new}'"


def _as_it_is(name: str) -> str:
    return name


def _without_wrappers(name: str) -> str:
    return ".".join(part for part in name.split(".") if part not in _WRAPPERS)


def _keyed(names: Iterable[str], plain: Callable[[str], str], lead: str = "") -> dict[str, str]:
    """Return names by their plain form; by themselves if two have the same."""
    listed = list(names)
    keyed = {plain(name.removeprefix(lead)): name for name in listed}
    return keyed if len(keyed) == len(listed) else {name: name for name in listed}


def _leads(names: Collection[str]) -> Iterator[str]:
    """Yield what all names of a network begin with, from nothing to as much as there is."""
    yield ""
    first = next(iter(names), "").split(".")
    for length in range(1, len(first)):
        lead = ".".join(first[:length]) + "."
        if not all(name.startswith(lead) for name in names):
            return
        if not _is_a_place(lead):
            yield lead


def _prefixes(names: Iterable[str]) -> list[str]:
    """Return nothing, and all beginnings of names that end with a dot."""
    found = {"": None}
    for name in names:
        parts = name.split(".", _DEEPEST)
        found |= {".".join(parts[:length]) + ".": None for length in range(1, len(parts))}
    return [place for place in found if not _is_a_place(place)]


def _is_a_place(prefix: str) -> bool:
    """Tell whether a prefix is the place of a layer among others, which wraps nothing."""
    return prefix.replace(".", "").isdigit()


def _behind(place: str, names: Iterable[str]) -> set[str]:
    return {name[len(place) :] for name in names if name.startswith(place)}


def _is_counter(name: str) -> bool:
    return f".{name}".endswith(_COUNTER)
