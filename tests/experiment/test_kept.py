"""Runs with the same clean model examine it once, and nothing else of them changes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from segdoor.evaluation.examiner import Examiner
from segdoor.experiment.resolving import Asked
from segdoor.experiment.run import run_experiment
from segdoor.experiment.steps import train_step
from segdoor.experiment.wishes import wishes_from
from segdoor.papers.iba.reading import asked
from segdoor.progress import Silent
from segdoor.scores.tables import load_tables

GIVEN = {
    "seed": 4,
    "data": {"name": "street", "size": (48, 64), "num_train": 20, "num_test": 6},
    "attack": {"trigger": {"size": 6}},
    "training": {"epochs": 1, "batch_size": 4, "threads": 1},
    "examination": {"batch_size": 1},
    "controls": {"clean_weights": "victim/clean.safetensors"},
}
MEASURED = {"seconds", "peak_memory_mib"}


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a clean model, a run that shared nothing, and tables to share."""
    place = tmp_path_factory.mktemp("alone")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEGDOOR_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
        patch.chdir(place)
        train_step(settings(controls={}), plan=None, out=Path("victim"), observer=Silent())
        run_experiment(settings(), out=Path("run"))
        run_experiment(settings(), out=Path("sharing"), kept=Path("tables"))
    return place


@pytest.fixture(autouse=True)
def _place(alone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEGDOOR_CACHE", str(alone.parent / "cache"))
    monkeypatch.chdir(tmp_path)
    shutil.copytree(alone / "victim", "victim")


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Return a list that grows by a network whenever it is shown a scene."""
    seen: list[object] = []
    really = Examiner.answer

    def counting(self: Examiner, *rest: object) -> object:
        seen.append(self)
        return really(self, *rest)  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr(Examiner, "answer", counting)
    return seen


def settings(**changes: object) -> Asked:
    return asked(wishes_from({**GIVEN, **changes}))


def run(name: str, *, kept: str | None = "victim/tables", **changes: object) -> Path:
    place = Path(kept) if kept else None
    run_experiment(settings(**changes), out=Path(name), kept=place)
    return Path(name)


def facts(folder: Path) -> dict[str, object]:
    content = json.loads((folder / "record.json").read_text())
    return {name: value for name, value in content.items() if name not in MEASURED}


def test_the_clean_victim_is_shown_the_scenes_once_and_records_stay_the_same(
    alone: Path, shown: list[object]
) -> None:
    counts = []
    for name in ("first", "second"):
        run(name)
        counts.append(len(shown))
        shown.clear()
        assert (Path(name) / "tables.npz").read_bytes() == (alone / "run/tables.npz").read_bytes()
        assert facts(Path(name)) == facts(alone / "run")
    tables = load_tables(alone / "run/tables.npz")
    clean = sum(len(table.names) for name, table in tables.items() if name.startswith("clean/"))
    assert clean > 6
    assert counts[0] - counts[1] == clean
    assert len(list(Path("victim/tables").iterdir())) == 1


@pytest.mark.parametrize(
    "changes", [{"method": "prl"}, {"attack": {"trigger": {"size": 6}, "rate": 0.2}}]
)
def test_other_poison_shares_what_the_clean_victim_did(
    changes: dict[str, object], alone: Path, shown: list[object]
) -> None:
    shutil.copytree(alone / "tables", "victim/tables")
    found = load_tables(run("run", **changes) / "tables.npz")
    expected = load_tables(alone / "run/tables.npz")
    clean = [name for name in expected if name.startswith("clean/")]
    assert [found[name].digest for name in clean] == [expected[name].digest for name in clean]
    assert list(found) == list(expected)
    poisoned = sum(len(table.names) for name, table in found.items() if name not in clean)
    # The pictures of the gallery are asked for apart: four scenes without trigger, with it, near and
    # far. What the clean model is shown would be more.
    assert sum(len(expected[name].names) for name in clean) > 16
    assert poisoned <= len(shown) <= poisoned + 16
    assert len(list(Path("victim/tables").iterdir())) == 1


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"attack": {"trigger": {"size": 5}}}, marks=pytest.mark.slow),
        {"attack": {"trigger": {"size": 6, "name": "bullseye"}}},
        pytest.param(
            {"attack": {"trigger": {"size": 6}, "victims": ["person"]}}, marks=pytest.mark.slow
        ),
        {"data": {"name": "street", "size": (48, 64), "num_train": 20, "num_test": 7}},
        {"examination": {"batch_size": 1, "flip": True}},
        pytest.param({"network": {"mean": (0.4, 0.4, 0.4)}}, marks=pytest.mark.slow),
        {"tests": {"seed": 1}},
    ],
)
def test_other_tests_share_nothing(changes: dict[str, object], alone: Path) -> None:
    shutil.copytree(alone / "tables", "victim/tables")
    run("run", **changes)
    assert len(list(Path("victim/tables").iterdir())) == 2


def test_another_victim_shares_nothing(alone: Path) -> None:
    shutil.copytree(alone / "tables", "victim/tables")
    shutil.copy(alone / "run/poisoned.safetensors", "victim/clean.safetensors")
    run("run")
    assert len(list(Path("victim/tables").iterdir())) == 2


@pytest.mark.parametrize("damage", ["cut", "empty", "other"])
def test_a_damaged_or_other_file_is_made_again(
    damage: str, alone: Path, shown: list[object]
) -> None:
    shutil.copytree(alone / "tables", "victim/tables")
    file = next(Path("victim/tables").iterdir())
    intact = file.read_bytes()
    if damage == "other":
        run("other", tests={"seed": 1})
        other = next(path for path in file.parent.iterdir() if path != file)
        other.replace(file)
    else:
        file.write_bytes(intact[:1000] if damage == "cut" else b"")
    shown.clear()
    again = run("again")
    assert len(shown) > 0
    assert file.read_bytes() == intact
    assert (again / "tables.npz").read_bytes() == (alone / "run/tables.npz").read_bytes()
