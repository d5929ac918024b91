"""Work in other processes and on other machines with Ray: the connection, and workers.

Workers first change to the caller's folder, so paths mean the same everywhere: the machines share
the folders that the work reads and writes.
"""

from __future__ import annotations

import os
import socket
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import Any, Literal, TypeVar

from segdoor.errors import ConfigError, MachineError, first_line
from segdoor.waiting import waiting_for
from segdoor.workers import Workers, usable_cores

On = Literal["local", "ray"]
"""Where the work runs: on this machine alone, or on a Ray cluster."""

LOST_WORKERS = 3
"""How often work is restarted after its worker was lost."""

_PARTS_A_TASK = 4
_HELD_A_WORKER = 4
_OBJECT_STORE = 256 * 2**20
_SECONDS_TO_ANSWER = 5.0

PartT = TypeVar("PartT")
ResultT = TypeVar("ResultT")


@contextmanager
def connected(address: str | None, *, cores: int | None = None) -> Generator[Any]:
    """Connect to a Ray cluster while the block runs, and yield the module ``ray``.

    An existing connection is kept.

    Args:
        address: ``auto``, ``host:port`` or ``ray://host:port``; if None, a temporary cluster is
            started that listens only on this machine's loopback.
        cores: Cores of the cluster that is started; all that this process may use if None.

    Raises:
        MachineError: If Ray is missing or does not start, or the cluster cannot be reached or is
            lost.
    """
    ray = _ray(alone=address is None)
    if ray.is_initialized():
        yield ray
        return
    if address is not None:
        check_reachable(address)
    quiet = {"logging_level": "ERROR", "log_to_driver": False}
    culprit = f"--address {address}" if address else "--on ray"
    wanted = {"num_cpus": cores or usable_cores(), "include_dashboard": False}
    wanted |= {"object_store_memory": _OBJECT_STORE}
    try:
        with waiting_for(f"Ray ({address or 'starting here'}); it gives up within minutes"):
            ray.init(address or "local", **quiet, **({} if address else wanted))
    except (ray.exceptions.RayError, OSError, RuntimeError, ValueError) as why:
        raise MachineError(
            culprit, "must be a Ray cluster that can be used", first_line(why), "See docs/scale.md."
        ) from None
    try:
        yield ray
    except (ray.exceptions.RayError, ConnectionError) as why:
        raise MachineError(
            culprit, "must stay reachable", first_line(why), "Run the same command again to resume."
        ) from None
    finally:
        ray.shutdown()


def check_reachable(address: str) -> None:
    """Refuse an address that does not answer within five seconds: Ray would try for minutes.

    Raises:
        MachineError: If there is no answer.
        ConfigError: If it has no port.
    """
    scheme, _, place = address.rpartition("://")
    host, _, port = place.partition("/")[0].rpartition(":")
    if address in {"auto", "local"} or scheme not in {"", "ray"}:
        return
    if not host or not port.isdecimal() or int(port) >= 2**16:
        rule = "must be auto, host:port or ray://host:port"
        raise ConfigError("--address", rule, address, "Write head.example:6379.")
    try:
        socket.create_connection((host.strip("[]"), int(port)), _SECONDS_TO_ANSWER).close()
    except (OSError, UnicodeError) as why:
        raise MachineError(
            f"--address {address}",
            "must be a Ray cluster that answers",
            first_line(why),
            "Check host and port, and that the cluster is up.",
        ) from None


def check_room(ray: Any, *, cpus: float, gpus: float) -> None:  # noqa: ANN401 - the module itself
    """Refuse tasks that no machine of a cluster has room for: Ray would wait for one for ever.

    Raises:
        MachineError: If no machine has as many of both.
    """
    there = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    if any(node.get("CPU", 0) >= cpus and node.get("GPU", 0) >= gpus for node in there):
        return
    found = "; ".join(f"{node.get('CPU', 0):g} and {node.get('GPU', 0):g}" for node in there)
    raise MachineError(
        "--on ray",
        f"needs a machine with {cpus:g} cores and {gpus:g} GPUs for a task",
        found or "no machines",
        "Lower --cpus, --gpus or training.threads; add --autoscaling to a cluster that grows.",
    )


def _ray(*, alone: bool) -> Any:  # noqa: ANN401 - the module itself
    """Import Ray, which is an extra and takes a second."""
    # Read when Ray is imported: send no statistics.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    # Ray reports dead workers on standard output, where our results go, whatever `log_to_driver`
    # says. Our code reports them when it restarts the work.
    os.environ.setdefault("RAY_DEDUP_LOGS_SKIP_REGEX", ".")
    if alone:
        # Anyone who can reach a cluster can run code on it, so it requires a token. Despite its
        # name, the second makes Ray listen on the loopback only, on every system.
        os.environ.setdefault("RAY_AUTH_MODE", "token")
        os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
    try:
        return import_module("ray")
    except ImportError:
        raise MachineError(
            "--on ray", "needs the package ray", remedy='Install it: pip install "segdoor[ray]".'
        ) from None


@contextmanager
def workers_on(on: On, count: int | None, address: str | None) -> Generator[Workers | int | None]:
    """Provide workers while the block runs, as `hired` takes them.

    Args:
        on: Where the work runs.
        count: How many parts may be worked on at once; None for as many as there are cores.
        address: Of the cluster; a temporary one is started if None.

    Raises:
        ConfigError: If an address is given for work on this machine, or the count is below 1.
        MachineError: If Ray is missing or cannot be reached.
    """
    if on == "local":
        if address is not None:
            raise ConfigError("--address", "must come with --on ray", address, "Add --on ray.")
        yield count
        return
    if count is not None and count < 1:
        raise ConfigError("--workers", "must be at least 1", count, "Leave it out for all cores.")
    with connected(address, cores=count) as ray:
        cores = int(ray.cluster_resources().get("CPU", 1))
        yield RayWorkers(count or max(1, cores))


class RayWorkers:
    """Divides work among the processes of a cluster; lost ones are replaced.

    Data common to all parts is sent to each process once. At most four results per worker wait to
    be fetched, however many parts there are.
    """

    def __init__(self, count: int) -> None:
        """Run at most this many tasks at once."""
        self._count = count

    def map(self, work: Callable[[PartT], ResultT], parts: Iterable[PartT], /) -> Iterator[ResultT]:
        """Yield the result of each part, in the order of the parts.

        Raises:
            MachineError: If the workers of a part were lost again and again.
        """
        ray = import_module("ray")
        task = ray.remote(_do).options(num_cpus=1, max_retries=LOST_WORKERS)
        held, home, rest = ray.put(work), Path.cwd(), iter(parts)
        line: deque[Any] = deque()
        busy: list[Any] = []
        try:
            while True:
                while len(busy) < self._count and len(line) < _HELD_A_WORKER * self._count:
                    some = list(islice(rest, _PARTS_A_TASK))
                    if not some:
                        break
                    # In a list the worker gets the reference itself, not its value.
                    line.append(task.remote([held], some, home))
                    busy.append(line[-1])
                if not line:
                    return
                if line[0] in busy:
                    _, busy = ray.wait(busy, num_returns=1)
                else:
                    yield from _results(ray, line.popleft())
        finally:
            _stop(ray, busy)


@dataclass(frozen=True)
class _Problem:
    """An error returned by a worker: if it were raised there, Ray would wrap it."""

    why: Exception


def _do(held: Sequence[Any], parts: Sequence[PartT], home: Path) -> list[Any] | _Problem:
    """Do some parts of work, in any process."""
    try:
        os.chdir(home)
        work = _work(held[0])
        return [work(part) for part in parts]
    except Exception as why:  # noqa: BLE001 - the caller decides
        return _Problem(why)


@lru_cache(maxsize=1)
def _work(held: Any) -> Callable[[Any], Any]:  # noqa: ANN401 - Ray's references have no useful type
    """Return the work of a reference, which a process unpacks once for all its parts."""
    return import_module("ray").get(held)


def _results(ray: Any, task: Any) -> list[Any]:  # noqa: ANN401
    try:
        results = ray.get(task)
    except ray.exceptions.RayError as why:
        raise MachineError(
            "--on ray", "must not lose the workers of a part", first_line(why), "Use fewer workers."
        ) from None
    if isinstance(results, _Problem):
        raise results.why
    return results


def _stop(ray: Any, tasks: Sequence[Any]) -> None:  # noqa: ANN401
    """Stop tasks that are no longer needed, and wait until they write no more."""
    for task in tasks:
        ray.cancel(task)
    if tasks:
        with waiting_for(f"{len(tasks)} tasks on Ray to end, for a minute at most"):
            ray.wait(list(tasks), num_returns=len(tasks), timeout=60)
