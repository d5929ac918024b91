"""Every test runs on few threads, with a cache of its own, and with shapes and types checked."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import typechecking

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("OMP_NUM_THREADS", "2")

# The array shapes in annotations are checked at every call, in tests alone.
typechecking.install("segdoor")


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep packs of tests out of the user's cache."""
    monkeypatch.setenv("SEGDOOR_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))


@pytest.fixture(scope="session")
def camvid_root() -> Path:
    """Return the folder of CamVid, or skip: the data set is not part of the project."""
    beside = Path(__file__).parents[2] / "shared" / "data" / "camvid"
    root = Path(os.environ.get("SEGDOOR_CAMVID", beside))
    if not root.is_dir():
        pytest.skip(f"CamVid is not at {root}; set SEGDOOR_CAMVID")
    return root
