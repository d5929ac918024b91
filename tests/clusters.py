"""A real Ray cluster on this machine, and the sudden end of its workers."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

import segdoor
from segdoor.cluster import connected


@pytest.fixture(scope="module")
def ray(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Start two workers, and yield the module ``ray``."""
    if find_spec("ray") is None and not os.environ.get("CI"):
        pytest.skip("ray is not installed: pip install 'segdoor[ray]'")
    home = Path(segdoor.__file__).parents[1]
    with pytest.MonkeyPatch.context() as patch:
        # Workers find the package and the work that tests define.
        patch.setenv("PYTHONPATH", os.pathsep.join([str(home), str(Path(__file__).parent)]))
        patch.setenv("SEGDOOR_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
        with connected(None, cores=2) as module:
            yield module


@dataclass(frozen=True)
class DiesOnce:
    """Work whose process is killed when it has done a certain part, but not said so.

    Attributes:
        work: The work.
        at: Tells whether a part is the one.
        mark: A file that remembers the death.
    """

    work: Any
    at: Callable[[Any], bool]
    mark: Path

    def __call__(self, part: Any) -> Any:
        result = self.work(part)
        if self.at(part) and not self.mark.exists():
            self.mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return result


@dataclass(frozen=True)
class MortalWorkers:
    """Workers one of whom is lost in every piece of work that has such a part.

    Attributes:
        workers: Who does the work.
        at: Tells whether a part is the one.
        deaths: A file for each.
    """

    workers: Any
    at: Callable[[Any], bool]
    deaths: list[Path]

    def map(self, work: Any, parts: Any, /) -> Iterator[Any]:
        """Have the work done, and one worker killed."""
        mark = Path(f"death-{len(self.deaths)}").absolute()
        mark.unlink(missing_ok=True)
        self.deaths.append(mark)
        yield from self.workers.map(DiesOnce(work, self.at, mark), parts)

    def num_deaths(self) -> int:
        """Return how many pieces of work lost a worker."""
        return sum(mark.exists() for mark in self.deaths)


def writer_of(folder: Path) -> int | None:
    """Return the process that holds the lock of a folder; None if nobody does."""
    try:
        lock = (folder / ".lock").stat()
    except FileNotFoundError:
        return None
    for line in Path("/proc/locks").read_text().splitlines():
        _, kind, *_, process, place, _, _ = line.split()
        if kind == "FLOCK" and int(place.rpartition(":")[2]) == lock.st_ino:
            return int(process)
    return None
