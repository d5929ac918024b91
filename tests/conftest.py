"""Every test runs on few threads, with a cache of its own, and with shapes and types checked."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

import typechecking

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("OMP_NUM_THREADS", "2")

_OWN = "file "

# The array shapes in annotations are checked in tests alone.
typechecking.install("segdoor")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep each file's tests in one process, so that what they share is made once.

    Groups that a test names itself come first: they are the long ones, and the others fill the gaps
    (with ``--no-loadscope-reorder``).
    """
    for item in items:
        if item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(f"{_OWN}{item.nodeid.partition('::')[0]}"))
    items.sort(key=lambda item: _group(item).startswith(_OWN))


def _group(item: pytest.Item) -> str:
    marker = item.get_closest_marker("xdist_group")
    assert marker is not None
    return marker.args[0]


def pytest_collection_finish() -> None:
    """Spare the garbage collector what stays to the end anyway: modules and thousands of tests."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    typechecking.begin_test()


@pytest.fixture(scope="session", autouse=True)
def _no_waiting_for_the_disk() -> Iterator[None]:
    """Leave files to the system: no test cuts the power, and a killed process loses nothing.

    That writing asks the disk at all is tested in test_files, which replaces this.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda file: None)
        yield


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep packs of tests out of the user's cache; no test changes one that is there."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEGDOOR_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
        yield


@pytest.fixture
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="session")
def camvid_root() -> Path:
    """Return the folder of CamVid, or skip: the data set is not part of the project."""
    beside = Path(__file__).parents[2] / "shared" / "data" / "camvid"
    root = Path(os.environ.get("SEGDOOR_CAMVID", beside))
    if not root.is_dir():
        pytest.skip(f"CamVid is not at {root}; set SEGDOOR_CAMVID")
    return root
