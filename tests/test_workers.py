from __future__ import annotations

import pickle
import threading
import time

import pytest

from segdoor import workers as workers_module
from segdoor.errors import ConfigError, DataError, MachineError
from segdoor.workers import MOST_WORKERS, Alone, Threads, Workers, hired, parts_of, usable_cores


def squares(part: list[int]) -> list[int]:
    # The first parts take longest, so that results would come in another order.
    time.sleep(0.002 * (10 - part[0]))
    return [number**2 for number in part]


@pytest.mark.parametrize("count", [1, 2, 5, None])
def test_results_come_in_the_order_of_the_parts(count: int | None) -> None:
    with hired(count) as team:
        results = list(team.map(squares, parts_of(list(range(10)), 3)))
    assert results == [[0, 1, 4], [9, 16, 25], [36, 49, 64], [81]]


def test_one_worker_is_the_caller_and_two_are_others() -> None:
    for count, kind in ((1, Alone), (2, Threads)):
        with hired(count) as team:
            assert isinstance(team, kind)
            (found,) = team.map(lambda _: threading.current_thread(), [0])
        assert (found is threading.current_thread()) == (count == 1)


def test_the_first_problem_in_the_order_of_the_parts_is_raised_and_the_rest_left_undone() -> None:
    before, begun = set(threading.enumerate()), list[int]()

    def work(part: int) -> int:
        begun.append(part)
        time.sleep(0.01)
        if part in {1, 2}:
            raise DataError(part, "must be whole")
        return part

    with pytest.raises(DataError, match="1: must be whole"), hired(2) as team:
        list(team.map(work, range(1000)))
    assert len(begun) < 500
    assert set(threading.enumerate()) <= before


def test_an_interruption_leaves_no_thread_and_does_not_wait_for_all() -> None:
    before, start = set(threading.enumerate()), time.monotonic()

    def interrupted(team: Workers) -> None:
        next(team.map(lambda _: time.sleep(0.05), range(1000)))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), hired(2) as team:
        interrupted(team)
    assert time.monotonic() - start < 20
    assert set(threading.enumerate()) <= before


@pytest.mark.parametrize("count", [-1, 0, MOST_WORKERS + 1])
def test_there_is_no_such_number_of_workers(count: int) -> None:
    with pytest.raises(ConfigError, match=rf"--workers: must lie .*found: {count}"), hired(count):
        pass


def test_a_thread_that_does_not_start_is_the_machine_s_fault(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with hired(2) as team:
        monkeypatch.setattr(threading.Thread, "start", refuse)
        with pytest.raises(MachineError, match=r"can't start new thread\).* Use fewer") as caught:
            team.map(squares, [[1]])
        monkeypatch.undo()
    assert caught.value.exit_code == 3


def test_every_usable_core_is_one_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    assert usable_cores() >= 1
    monkeypatch.setattr(workers_module.os, "sched_getaffinity", lambda _: set(range(1000)))
    assert usable_cores() == MOST_WORKERS


def test_parts_are_the_whole() -> None:
    assert parts_of(range(7), 3) == [range(3), range(3, 6), range(6, 7)]
    assert parts_of([], 3) == []


def test_work_on_scenes_can_be_sent_elsewhere() -> None:
    from segdoor.attack.config import AttackConfig, explicit
    from segdoor.attack.planning import _Scenes
    from segdoor.data.street import StreetDataset

    street = StreetDataset(split="train", num_scenes=3, height=48, width=64)
    work = _Scenes.of(street, explicit(AttackConfig(rate=0.3), street), 0).glance
    sent = pickle.loads(pickle.dumps(work))  # noqa: S301 - our own
    assert sent([0, 2]) == work([0, 2])


def test_when_a_part_fails_nobody_is_still_at_work() -> None:
    at_work, lock = set[int](), threading.Lock()

    def work(part: int) -> None:
        with lock:
            at_work.add(part)
        time.sleep(0.002 if part == 0 else 0.2)
        if part == 0:
            raise DataError(part, "must be whole", remedy="Mend it.")
        with lock:
            at_work.discard(part)

    with hired(3) as team:
        with pytest.raises(DataError, match="must be whole"):
            list(team.map(work, range(100)))
        assert at_work == {0}
