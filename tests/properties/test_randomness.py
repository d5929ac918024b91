from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

import strategies  # noqa: F401  (loads the Hypothesis profile)
from segdoor.randomness import Stream

parts = st.one_of(st.text(max_size=6), st.integers(-5, 2**70))
paths = st.lists(parts, max_size=4).map(tuple)
seeds = st.integers(0, 2**64)


@given(seeds, paths)
def test_the_same_stream_always_gives_the_same_numbers(seed: int, names: tuple[str | int]) -> None:
    first, second = Stream(seed).child(*names), Stream(seed).child(*names)
    assert first == second
    assert first.integer() == second.integer()
    drawn = first.generator().integers(0, 2**63, 4)
    assert np.array_equal(drawn, first.generator().integers(0, 2**63, 4))
    assert np.array_equal(drawn, second.generator().integers(0, 2**63, 4))


@given(st.tuples(seeds, paths), st.tuples(seeds, paths))
def test_streams_of_different_names_or_seeds_differ(
    first: tuple[int, tuple[str | int]], second: tuple[int, tuple[str | int]]
) -> None:
    integers = [Stream(seed).child(*names).integer() for seed, names in (first, second)]
    # Python takes 1 and True for equal; no such names are drawn here.
    assert (integers[0] == integers[1]) == (first == second)


@given(seeds, paths, paths)
def test_a_childs_child_is_the_child_of_both_names(
    seed: int, first: tuple[str | int], second: tuple[str | int]
) -> None:
    assert Stream(seed).child(*first).child(*second) == Stream(seed).child(*first, *second)


def test_look_alike_names_are_told_apart() -> None:
    root = Stream(0)
    streams = [
        root,
        root.child(""),
        root.child("a", "b"),
        root.child("a/b"),
        root.child("a,b"),
        root.child("a', 'b"),
        root.child("ab"),
        root.child("b", "a"),
        root.child(1),
        root.child("1"),
        root.child(1, 1),
        root.child(11),
        Stream(1),
        Stream(1).child(0),
        Stream(0).child(1, 0),
    ]
    assert len({stream.integer() for stream in streams}) == len(streams)


@given(seeds, st.lists(paths, min_size=2, max_size=5, unique=True), st.randoms())
def test_asking_in_another_order_changes_nothing(
    seed: int, names: list[tuple[str | int]], shuffler: object
) -> None:
    root = Stream(seed)
    first = {name: root.child(*name).generator().random() for name in names}
    shuffled = list(names)
    shuffler.shuffle(shuffled)
    second = {name: root.child(*name).generator().random() for name in shuffled}
    assert first == second


@given(seeds, paths)
def test_integers_have_63_bits(seed: int, names: tuple[str | int]) -> None:
    assert 0 <= Stream(seed).child(*names).integer() < 2**63


def test_integers_of_neighbouring_names_are_spread_evenly() -> None:
    bits = np.array(
        [[Stream(0).child("scene", k).integer() >> b & 1 for b in range(63)] for k in range(2000)]
    )
    # A thousand ones are expected of each bit; five standard deviations are about 112.
    assert np.abs(bits.sum(axis=0) - 1000).max() < 112


def test_first_draws_of_neighbouring_streams_are_unrelated() -> None:
    draws = np.array([Stream(k).child("poison").generator().random(2) for k in range(3000)])
    assert abs(np.corrcoef(draws[:-1, 0], draws[1:, 0])[0, 1]) < 0.1
    assert abs(np.corrcoef(draws[:, 0], draws[:, 1])[0, 1]) < 0.1
    assert abs(draws.mean() - 0.5) < 0.02


def test_numbers_do_not_change_between_processes_and_versions() -> None:
    # Poison and poisoned tests already handed out follow from these.
    integer = Stream(0).child("poison", "scene_17", 3).integer()
    code = "from segdoor.randomness import Stream; print(Stream(0).child('poison', 'scene_17', 3).integer())"
    for hash_seed in ("0", "1", "random"):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, check=True, env=environment
        )
        assert int(done.stdout) == integer
    assert integer == FROZEN


FROZEN = 8183367238538120148
