"""Work on a real Ray cluster: the results of one process, whoever is lost."""

from __future__ import annotations

import ast
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

import segdoor
from clusters import DiesOnce, MortalWorkers, ray
from segdoor.attack.materialise import CopyOrder
from segdoor.cluster import RayWorkers, check_reachable, check_room, connected, workers_on
from segdoor.errors import ConfigError, DataError, MachineError
from segdoor.experiment.poisoning import plan_step, poison_step
from segdoor.experiment.wishes import wishes_from
from segdoor.papers.iba.reading import asked
from segdoor.progress import Silent
from written import tree, write_source

# One process of the tests runs them all: two clusters that start at once get in each other's way.
pytestmark = pytest.mark.xdist_group("ray")

__all__ = ["ray"]


def double(part: int) -> int:
    return 2 * part


def is_seventeen(part: int) -> bool:
    return part == 17


def is_first_scene(part: Sequence[int]) -> bool:
    return part[0] == 0


def holds_links(part: Sequence[object]) -> bool:
    return "notes.txt" in part


def holds_pictures(part: Sequence[object]) -> bool:
    return str(part[0]).endswith("jpg")


def refuse_seven(part: int) -> int:
    if part == 7:
        raise DataError("file", "must not be seven", part, "Take another.")
    return part


def test_results_come_in_order_though_a_worker_is_killed(ray: Any, tmp_path: Path) -> None:
    work = DiesOnce(double, is_seventeen, tmp_path / "death")
    assert list(RayWorkers(2).map(work, range(50))) == [2 * part for part in range(50)]
    assert work.mark.exists()


def test_an_error_arrives_as_it_was_raised(ray: Any) -> None:
    results = RayWorkers(2).map(refuse_seven, range(100))
    with pytest.raises(DataError) as caught:
        list(results)
    assert (caught.value.rule, caught.value.value) == ("must not be seven", "7")


def test_parts_are_taken_as_results_are_asked_for(ray: Any) -> None:
    taken = []

    def parts() -> Iterator[int]:
        for part in range(10_000):
            taken.append(part)
            yield part

    results = RayWorkers(2).map(double, parts())
    assert [next(results) for _ in range(5)] == [0, 2, 4, 6, 8]
    assert len(taken) < 100


def test_work_whose_workers_always_die_ends_with_an_error(ray: Any, tmp_path: Path) -> None:
    with pytest.raises(MachineError, match="--on ray: must not lose the workers"):
        list(RayWorkers(1).map(sys.exit, [1]))


def listening(port: int) -> set[str]:
    """Return the addresses, as the system writes them, at which a port is open."""
    lines = [
        line.split()
        for table in ("tcp", "tcp6")
        for line in Path("/proc/net", table).read_text().splitlines()[1:]
    ]
    places = [line[1].split(":") for line in lines if line[3] == "0A"]
    return {place for place, number in places if int(number, 16) == port}


@pytest.mark.skipif(sys.platform != "linux", reason="reads Linux's tables of sockets")
def test_the_cluster_listens_on_the_loopback_alone(ray: Any) -> None:
    (node,) = ray.nodes()
    places = listening(node["NodeManagerPort"])
    assert places
    assert all(place.endswith("0100007F") for place in places)


def step(workers: Any) -> tuple[dict[str, str], dict[str, str]]:
    """Poison a source of files, and return what was written."""
    attack = {"rate": 0.4, "trigger": {"size": 7}, "labels": ["hide", "scatter:9"]}
    data = {"name": "folder", "root": "source"}
    given = asked(wishes_from({"method": "prl", "data": data, "attack": attack, "seed": 3}))
    out, copy = Path("plans"), Path("copy")
    order = CopyOrder(copy, replace=True)
    poison_step(given, out=out, replace=True, copy=order, workers=workers, observer=Silent())
    return tree(out), tree(copy) | tree(Path("copy.segdoor"))


@pytest.mark.parametrize(
    ("at", "least"),
    [(is_first_scene, 1), (holds_pictures, 2), (holds_links, 1)],
    ids=["planning", "hashing and writing", "linking"],
)
def test_plan_and_copy_are_those_of_one_process(
    at: Callable[[Any], bool], least: int, ray: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_source(Path("source"), ending="jpg", palette=True)
    alone = step(1)
    assert step(3) == alone
    mortal = MortalWorkers(RayWorkers(2), at, [])
    assert step(mortal) == alone
    assert mortal.num_deaths() == least


def test_scenes_of_a_pack_are_planned_alike(ray: Any) -> None:
    given = asked(wishes_from({"data": {"size": [64, 96], "num_train": 40, "num_test": 1}}))
    plans = [plan_step(given, workers=w, observer=Silent()) for w in (1, RayWorkers(2))]
    assert plans[0] == plans[1]
    assert plans[0].rows


@pytest.mark.parametrize(
    "module", ["cluster.py", "study/resources.py", "study/remote.py", "study/store.py"]
)
def test_every_refusal_is_explained(module: str) -> None:
    home = Path(segdoor.__file__).parent
    page = " ".join((Path(__file__).parents[1] / "docs" / "scale.md").read_text().split())
    calls = [node for node in ast.walk(ast.parse((home / module).read_text()))
             if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
             and node.func.id in {"ConfigError", "MachineError", "StorageError"}]  # fmt: skip
    assert calls
    for call in calls:
        parts = [node.value for node in ast.walk(call.args[1]) if isinstance(node, ast.Constant)]
        for part in parts:
            assert str(part).strip() in page, part


def test_without_ray_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MachineError, match=r'pip install "segdoor\[ray\]"'), connected(None):
        pass


def test_an_address_needs_a_cluster() -> None:
    refused = pytest.raises(ConfigError, match="--address: must come with --on ray")
    with refused, workers_on("local", 1, "auto"):
        pass


@pytest.mark.parametrize("scheme", ["", "ray://"])
def test_an_address_where_nobody_answers_is_refused_at_once(scheme: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"{scheme}127.0.0.1:{server.getsockname()[1]}"
        check_reachable(address)
    with pytest.raises(MachineError, match="must be a Ray cluster that answers"):
        check_reachable(address)


@pytest.mark.parametrize("address", ["nowhere", "host:", ":1", "ray://host", "host:99999"])
def test_an_address_without_a_port_is_refused(address: str) -> None:
    with pytest.raises(ConfigError, match="host:port"):
        check_reachable(address)


class TwoMachines:
    """What Ray says of its machines: one has cores, one a GPU, one is gone."""

    def nodes(self) -> list[dict[str, object]]:
        return [
            {"Alive": True, "Resources": {"CPU": 4.0}},
            {"Alive": True, "Resources": {"CPU": 2.0, "GPU": 1.0}},
            {"Alive": False, "Resources": {"CPU": 64.0, "GPU": 8.0}},
        ]


@pytest.mark.parametrize(("cpus", "gpus"), [(4, 0), (2, 1), (1, 0.5)])
def test_tasks_that_one_machine_has_room_for_are_let_through(cpus: int, gpus: float) -> None:
    check_room(TwoMachines(), cpus=cpus, gpus=gpus)


@pytest.mark.parametrize(("cpus", "gpus"), [(64, 0), (4, 1), (1, 2)])
def test_tasks_that_no_machine_has_room_for_are_refused(cpus: int, gpus: float) -> None:
    with pytest.raises(MachineError, match=r"Lower --cpus, --gpus"):
        check_room(TwoMachines(), cpus=cpus, gpus=gpus)
