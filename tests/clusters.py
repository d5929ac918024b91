"""A real Ray cluster on this machine, and the sudden end of its workers."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from uuid import uuid4

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


@contextmanager
def growing_cluster(place: Path) -> Generator[tuple[str, dict[str, str]]]:
    """Start a cluster whose only machine has no cores; Ray's autoscaler adds one that has one.

    The machine that is added is another process here, by Ray's own stand-in for a cloud.

    Yields:
        Its address, and the environment for those that connect.
    """
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    address = f"127.0.0.1:{port}"
    # The head's kind must be called so.
    kinds = {"ray.head.default": 0, "worker": 1}
    config = {
        "cluster_name": "growing", "max_workers": 1, "idle_timeout_minutes": 5,
        "upscaling_speed": 1.0, "head_node_type": "ray.head.default",
        "provider": {
            "type": "fake_multinode", "gcs_address": address, "disable_node_updaters": True,
            "disable_launch_config_check": True,
        },
        "available_node_types": {
            kind: {"resources": {"CPU": cores}, "node_config": {}, "max_workers": cores}
            for kind, cores in kinds.items()
        },
        "auth": {}, "docker": {}, "file_mounts": {}, "cluster_synced_files": [],
        **{f"{what}_commands": [] for what in (
            "initialization", "setup", "head_setup", "worker_setup", "head_start_ray",
            "worker_start_ray",
        )},
    }  # fmt: skip
    (place / "growing.json").write_text(json.dumps(config))
    environment = os.environ | {
        "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": uuid4().hex, "RAY_FAKE_CLUSTER": "1",
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "RAY_USAGE_STATS_ENABLED": "0",
        "AUTOSCALER_UPDATE_INTERVAL_S": "1",
        "PYTHONPATH": str(Path(segdoor.__file__).parents[1]),
    }  # fmt: skip
    head = subprocess.Popen(
        [sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block", f"--port={port}",
         "--node-ip-address=127.0.0.1", "--num-cpus=0", "--include-dashboard=false",
         "--object-store-memory=100000000", "--autoscaling-config", place / "growing.json"],
        env=environment, cwd=place, start_new_session=True, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        _wait_for_port(port)
        yield address, environment
    finally:
        # All that it started is of its group, the machine that was added too.
        os.killpg(head.pid, signal.SIGKILL)
        head.wait()


def _wait_for_port(port: int) -> None:
    for _ in range(600):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise TimeoutError


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
