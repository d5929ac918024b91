"""Verdicts of a committed study worked out again by NumPy and SciPy from its tables alone."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import scipy.optimize
import scipy.stats

from recorded import RESULTS
from segdoor.record import Evidence, load_study

STUDY = RESULTS / "overview-camvid"
NEAR = {"anywhere near": "near", "nearest position": "nearest"}
FAR = {"first": "far_21.1_31.6", "second": "far_31.6_42.2"}
ROUNDS = 6000


@cache
def classes() -> tuple[int, int]:
    """Return victim and target class, from the record of a run."""
    from segdoor.record import load_record

    record = load_record(next(STUDY.glob("runs/*")))
    names = [entry.name for entry in record.data.classes]
    return names.index("car"), names.index("road")


@cache
def lost_and_all(key: str, test: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the lost and all victim pixels of each scene of the whole test."""
    victim, target = classes()
    with np.load(STUDY / "runs" / key / "tables.npz") as arrays:
        everywhere = {
            str(name): place for place, name in enumerate(arrays["poisoned/benign.names"])
        }
        counts = arrays[f"poisoned/{test}.counts"]
        places = [everywhere[str(name)] for name in arrays[f"poisoned/{test}.names"]]
    lost, all_ = np.zeros(len(everywhere)), np.zeros(len(everywhere))
    lost[places], all_[places] = counts[:, victim, target], counts[:, victim].sum(axis=1)
    return lost, all_


def differences(found: Evidence, test: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the difference of ASR by seed, and its mean over seeds with scenes drawn again."""
    keys = [sorted(found.runs[:3], key=seed_of), sorted(found.runs[3:], key=seed_of)]
    assert [seed_of(key) for key in keys[0]] == [seed_of(key) for key in keys[1]] == [0, 1, 2]
    sides = [[lost_and_all(key, test) for key in side] for side in keys]
    by_seed = np.subtract(*([lost.sum() / all_.sum() for lost, all_ in side] for side in sides))
    rng = np.random.default_rng(1)
    num_scenes = len(sides[0][0][0])
    chosen = rng.integers(0, num_scenes, (ROUNDS, num_scenes))
    drawn = [
        np.mean(
            [lost[chosen].sum(axis=1) / all_[chosen].sum(axis=1) for lost, all_ in side], axis=0
        )
        for side in sides
    ]
    return by_seed, drawn[0] - drawn[1]


def seed_of(key: str) -> int:
    found = re.search(r"-s(\d+)-", key)
    assert found is not None
    return int(found[1])


def level_at_zero(by_seed: np.ndarray, drawn: np.ndarray) -> float:
    """Return the level at which the interval of seeds and scenes just ends at 0."""
    error = by_seed.std(ddof=1) / len(by_seed) ** 0.5
    ends = np.percentile(drawn, [2.5, 97.5])
    reach = np.abs(ends - by_seed.mean()).max() / scipy.stats.norm.ppf(0.975)

    def beyond(level: float) -> float:
        student = scipy.stats.t.isf(level / 2, len(by_seed) - 1) * error
        scenes = scipy.stats.norm.isf(level / 2) * reach
        return float(np.hypot(student, scenes) - abs(by_seed.mean()))

    return float(scipy.optimize.brentq(beyond, 1e-12, 1))


def outcomes(all_found: list[tuple[Evidence, str]]) -> list[str]:
    """Return what came of comparisons that claim a difference above 0."""
    values, supported = [], []
    for found, test in all_found:
        by_seed, drawn = differences(found, test)
        p_value = level_at_zero(by_seed, drawn)
        supported.append(by_seed.mean() > 0 and p_value < 0.05)
        values.append(1.0 if by_seed.mean() > 0 else p_value)
    refused = np.zeros(len(values), dtype=bool)
    for rank, place in enumerate(np.argsort(values)):
        if values[place] > 0.05 / (len(values) - rank):
            break
        refused[place] = True
    return [
        "supported" if up else "contradicted" if down else "undecided"
        for up, down in zip(supported, refused, strict=True)
    ]


def compared(number: int) -> list[list[tuple[Evidence, str]]]:
    """Return the comparisons of ASR > ASR in one test, by the way of judging."""
    study = load_study(STUDY / "overview.camvid-small.study.json")
    ways: list[list[tuple[Evidence, str]]] = []
    for verdict in study.verdicts:
        if verdict.number == number:
            test = NEAR.get(verdict.judged_on) or FAR[verdict.judged_on.split()[0]]
            ways.append([(found, test) for found in verdict.evidence])
    return ways


@pytest.mark.parametrize("number", [1, 3])
def test_outcomes_come_out_the_same(number: int) -> None:
    ways = compared(number)
    assert len(ways) == 2
    for found in ways:
        assert [part.outcome for part, _ in found] == outcomes(found)


@pytest.mark.parametrize("number", [1, 2, 3])
def test_intervals_come_out_the_same(number: int) -> None:
    for part, test in (pair for way in compared(number) for pair in way):
        if "at most" in part.statement:
            continue
        difference = part.difference
        assert difference is not None
        assert difference.low is not None
        assert difference.high is not None
        by_seed, drawn = differences(part, test)
        assert difference.mean == pytest.approx(by_seed.mean(), abs=1e-12)
        student = scipy.stats.ttest_1samp(by_seed, 0).confidence_interval()
        reach = np.abs(np.percentile(drawn, [2.5, 97.5]) - by_seed.mean()).max()
        half = (difference.high - difference.low) / 2
        assert part.over_scenes
        assert difference.high - difference.mean == pytest.approx(half)
        # Other draws of the scenes give nearly the same.
        assert half == pytest.approx(np.hypot((student.high - student.low) / 2, reach), rel=0.1)
        assert half >= (student.high - student.low) / 2 - 1e-12


def test_the_study_is_where_the_test_looks() -> None:
    assert Path(STUDY / "overview.camvid-small.study.json").is_file()
    assert classes()[0] != classes()[1]
