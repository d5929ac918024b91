"""The import contracts are complete, and they break when they should."""

from __future__ import annotations

import importlib
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "segdoor"
CONTRACTS = {
    contract["name"]: contract
    for contract in tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"][
        "contracts"
    ]
}


def test_every_data_set_has_a_file_of_its_name() -> None:
    from segdoor.data.registry import DATASETS

    rooms = [SOURCE / "data", SOURCE / "data" / "annotations"]
    there = {path.stem for room in rooms for path in room.iterdir()}
    assert set(DATASETS.known) <= there


def test_every_file_of_a_data_set_is_in_its_registry() -> None:
    from segdoor.data.dataset import DataSet
    from segdoor.data.registry import DATASETS

    modules = {
        importlib.import_module(f"segdoor.data.{room}{path.stem}")
        for room in ("", "annotations.")
        for path in (SOURCE / "data" / room.removesuffix(".")).glob("*.py")
    }
    found = {
        thing
        for module in modules
        for thing in vars(module).values()
        if isinstance(thing, type)
        and issubclass(thing, DataSet)
        and thing.__module__ == module.__name__
    }
    assert {kind for kind in found if not getattr(kind, "__abstractmethods__", None)} <= {
        *DATASETS.known.values()
    }


def test_every_network_is_listed() -> None:
    from segdoor.victim.networks.registry import NETWORKS

    # What all of them stand on, and what brings them together.
    shared = {
        "__init__",
        "building",
        "dilated",
        "exported",
        "hugging_face",
        "layers",
        "network",
        "own",
        "registry",
        "written",
    }
    files = {path.stem for path in (SOURCE / "victim" / "networks").glob("*.py")} - shared
    assert files == set(NETWORKS.known)


def test_every_backbone_is_listed() -> None:
    from segdoor.victim.backbones.registry import BACKBONES

    shared = {"__init__", "backbone", "imagenet", "registry"}
    files = {path.stem for path in (SOURCE / "victim" / "backbones").glob("*.py")} - shared
    assert files == set(BACKBONES.known)


SHARED = {
    "repairs": {
        "batches", "classifier", "held_out", "masks", "norms", "pairing", "patches",
        "training",
    },
    "filters": {"cells", "looking", "traces"},
    "scans": {
        "budget", "judging", "kept", "leaking", "masks", "pairs", "pairwise", "patches", "reach",
        "subject",
    },
}  # fmt: skip
"""What methods of a sort stand on, beside what all sorts have."""


@pytest.mark.parametrize(
    ("room", "registry"),
    [
        ("repairs", "REPAIRS"),
        ("filters", "FILTERS"),
        ("detectors", "DETECTORS"),
        ("purifiers", "PURIFIERS"),
        ("scans", "SCANS"),
    ],
)
def test_every_file_of_a_defense_is_in_its_registry(room: str, registry: str) -> None:
    home = importlib.import_module(f"segdoor.defense.{room}.registry")
    # What all of them stand on, and what brings them together.
    shared = {"__init__", "registry", room.removesuffix("s"), *SHARED.get(room, ())}
    files = {path.stem for path in (SOURCE / "defense" / room).glob("*.py")} - shared
    assert files == set(getattr(home, registry).known)


def test_every_trigger_is_listed() -> None:
    from segdoor.attack.triggers.registry import TRIGGERS

    shared = {"__init__", "trigger", "registry"}
    files = {path.stem for path in (SOURCE / "attack" / "triggers").glob("*.py")} - shared
    assert files == set(TRIGGERS.known)


def test_every_label_change_is_listed() -> None:
    from segdoor.attack.labels.registry import LABELS

    # What all of them stand on, and what brings them together.
    shared = {"__init__", "change", "registry", "merging", "before"}
    files = {path.stem for path in (SOURCE / "attack" / "labels").glob("*.py")} - shared
    assert files == set(LABELS.known)


def test_every_placement_is_listed() -> None:
    from segdoor.attack.placements.registry import PLACEMENTS

    shared = {"__init__", "drawing", "placement", "registry", "view"}
    files = {path.stem for path in (SOURCE / "attack" / "placements").glob("*.py")} - shared
    assert files == set(PLACEMENTS.known)


def test_every_metric_is_listed() -> None:
    from segdoor.scores.metrics.registry import METRICS

    # What all of them stand on, and what brings them together.
    shared = {"__init__", "functions", "metric", "registry"}
    files = {path.stem for path in (SOURCE / "scores" / "metrics").glob("*.py")} - shared
    assert files == set(METRICS.known)


def test_every_room_that_needs_no_torch_is_listed() -> None:
    contract = CONTRACTS["Data, attack, scores, records and report need no deep-learning library"]
    assert {"data", "attack", "scores", "record", "report"} <= {
        module.rsplit(".", 1)[1] for module in contract["source_modules"]
    }


@pytest.mark.parametrize("room", ["study", "report"])
def test_what_is_of_every_paper_names_nothing_of_one(room: str) -> None:
    of_one = re.compile(r"cityscapes|\bvoc\b|\biba\b|claims\.csv|fifteen|\b15\b", re.IGNORECASE)
    found = {
        path.name: told
        for path in (SOURCE / room).rglob("*.py")
        if (told := of_one.findall(path.read_text()))
    }
    assert found == {}


@pytest.mark.parametrize(
    ("where", "planted"),
    [
        ("victim/training/loop.py", "import segdoor.attack.plan"),
        ("victim/networks/small.py", "import segdoor.victim.networks.pspnet"),
        ("victim/backbones/resnet.py", "import segdoor.victim.backbones.efficientnet_lite0"),
        ("evaluation/examine.py", "import segdoor.attack.poisoned_test"),
        ("data/scene.py", "import torch"),
        ("report/terminal.py", "import segdoor.data.scene"),
        ("study/judging.py", "import segdoor.papers.iba.orderings"),
        ("study/plan.py", "import segdoor.report.page"),
        ("report/summary.py", "import segdoor.papers.registry"),
        ("report/source.py", "import segdoor.study.figures"),
        ("experiment/run.py", "import segdoor.study.plan"),
        ("attack/placements/view.py", "import segdoor.attack.triggers.trigger"),
        ("attack/triggers/blend.py", "import segdoor.attack.placements.view"),
        ("attack/triggers/blend.py", "import segdoor.attack.triggers.sticker"),
        ("attack/placements/nearest.py", "import segdoor.attack.placements.band"),
        ("stickers.py", "import segdoor.attack.site"),
        ("stickers.py", "import torch"),
        ("data/camvid.py", "import segdoor.data.folder"),
        ("data/mine.py", "import segdoor.data.street.dataset"),
        ("data/mine.py", "import segdoor.data.load, segdoor.data.registry"),
        ("data/pairs.py", "import segdoor.data.voc"),
        ("defense/repairs/prune.py", "import segdoor.defense.repairs.finetune"),
        ("defense/repairs/repair.py", "import segdoor.attack.poisoned_test"),
        ("defense/defense.py", "import segdoor.attack.site"),
        ("defense/filters/mine.py", "import segdoor.attack.plan"),
        ("defense/filters/mine.py", "import segdoor.defense.filters.registry"),
        ("scanning/data.py", "import segdoor.attack.plan"),
        ("scanning/data.py", "import segdoor.experiment.pictures"),
        ("defense/scans/mine.py", "import segdoor.defense.detectors.detector"),
        ("utils.py", "import segdoor.errors"),
    ],
)
def test_a_planted_import_breaks_the_build(where: str, planted: str, tmp_path: Path) -> None:
    copy = tmp_path / "src" / "segdoor"
    shutil.copytree(SOURCE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    file = copy / where
    file.write_text((file.read_text() if file.exists() else "") + f"\n{planted}\n")
    linter = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run(
        [linter, "--no-cache"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path / "src"), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "broken" in done.stdout.lower()
