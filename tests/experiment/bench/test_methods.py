"""Methods of any sort by name, and the harmless stickers of the bench."""

from __future__ import annotations

import pytest

from segdoor.errors import ConfigError
from segdoor.experiment.bench.methods import (
    REGISTRIES,
    access_of,
    are_repairs,
    read_method,
    sort_of,
    without_settings,
)


def test_a_kind_is_the_name_of_one_method_of_one_sort() -> None:
    kinds = [kind for registry in REGISTRIES.values() for kind in registry.known]
    assert len(kinds) == len(set(kinds))
    for registry in REGISTRIES.values():
        assert all(method.kind == kind for kind, method in registry.known.items())


def test_the_sort_follows_from_the_name() -> None:
    for sort, registry in REGISTRIES.items():
        for kind in set(registry.known) & set(without_settings()):
            assert sort_of(read_method(kind)) == sort


@pytest.mark.parametrize(
    ("name", "sort", "access"),
    [
        ("ClassShares", "filter", ("data",)),
        ("Entropy", "detector", ("black box", "clean scenes")),
        ("Shifted:4", "purifier", ()),
        ("Margin", "scan", ("black box", "clean scenes")),
    ],
)
def test_the_sort_of_ones_own_class_follows_from_the_class(
    name: str, sort: str, access: tuple[str, ...]
) -> None:
    method = read_method(f"defense.foreign:{name}")
    assert (sort_of(method), access_of(method)) == (sort, access)


def test_repairs_need_what_they_are_given() -> None:
    assert access_of(read_method("clp")) == ("white box",)
    assert access_of(read_method("prune:3")) == ("clean scenes", "white box")
    assert are_repairs(["clp", "prune:3"])
    assert not are_repairs(["clp", "defense.foreign:Entropy"])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("no_such_method", "must name a known method of defense"),
        ("segdoor.scores.metrics.asr:AttackSuccessRate", "must name a method of defense"),
        ("defense.foreign:logits", "must name a class derived from"),
        ("clp:3,colour=1", "colour"),
    ],
)
def test_what_is_no_method_is_refused(text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        read_method(text)
