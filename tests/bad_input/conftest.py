"""Every test breaks a copy of its own of the same intact files."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from bad_input.place import build


@pytest.fixture(scope="session")
def intact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The intact files; never to be changed."""
    place = tmp_path_factory.mktemp("intact")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEGDOOR_CACHE", str(place / "cache"))
        build(place)
    return place


@pytest.fixture
def place(intact: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the intact files, which is also the working folder."""
    mine = tmp_path / "place"
    shutil.copytree(intact, mine)
    monkeypatch.chdir(mine)
    monkeypatch.setenv("SEGDOOR_CACHE", "cache")
    return mine
