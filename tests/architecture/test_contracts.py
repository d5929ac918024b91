"""The import contracts are complete, and they break when they should."""

from __future__ import annotations

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


def siblings(name: str) -> set[str]:
    return {module.rsplit(".", 1)[1] for module in CONTRACTS[name]["modules"]}


def test_every_data_set_is_listed() -> None:
    from segdoor.data.load import DATASETS

    assert siblings("Data sets do not know one another") == set(DATASETS)


def test_every_network_is_listed() -> None:
    from segdoor.victim.networks.registry import NETWORKS

    # What all of them stand on, and what brings them together.
    shared = {
        "__init__",
        "dilated",
        "hugging_face",
        "layers",
        "network",
        "own",
        "registry",
        "written",
    }
    files = {path.stem for path in (SOURCE / "victim" / "networks").glob("*.py")} - shared
    assert siblings("Networks do not know one another") == files == set(NETWORKS.known)


def test_every_backbone_is_listed() -> None:
    from segdoor.victim.backbones.registry import BACKBONES

    shared = {"__init__", "backbone", "imagenet", "registry"}
    files = {path.stem for path in (SOURCE / "victim" / "backbones").glob("*.py")} - shared
    assert siblings("Backbones do not know one another") == files == set(BACKBONES.known)


def test_every_defense_is_listed() -> None:
    from segdoor.defense.repairs.registry import REPAIRS

    # What all of them stand on, and what brings them together.
    shared = {"__init__", "repair", "registry"}
    files = {path.stem for path in (SOURCE / "defense" / "repairs").glob("*.py")} - shared
    assert siblings("Repairs do not know one another") == files == set(REPAIRS.known)


def test_every_trigger_is_listed() -> None:
    from segdoor.attack.triggers.registry import TRIGGERS

    shared = {"__init__", "trigger", "registry"}
    files = {path.stem for path in (SOURCE / "attack" / "triggers").glob("*.py")} - shared
    assert siblings("Triggers do not know one another") == files == set(TRIGGERS.known)


def test_every_metric_is_listed() -> None:
    from segdoor.scores.metrics.registry import METRICS

    # What all of them stand on, and what brings them together.
    shared = {"__init__", "functions", "metric", "registry"}
    files = {path.stem for path in (SOURCE / "scores" / "metrics").glob("*.py")} - shared
    assert siblings("Metrics do not know one another") == files == set(METRICS.known)


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
        ("evaluation/examine.py", "import segdoor.attack.exam"),
        ("data/scene.py", "import torch"),
        ("report/terminal.py", "import segdoor.data.scene"),
        ("study/judging.py", "import segdoor.papers.iba.orderings"),
        ("study/plan.py", "import segdoor.report.page"),
        ("report/summary.py", "import segdoor.papers.registry"),
        ("report/source.py", "import segdoor.study.figures"),
        ("experiment/run.py", "import segdoor.study.plan"),
        ("attack/placement.py", "import segdoor.attack.triggers.trigger"),
        ("attack/triggers/blend.py", "import segdoor.attack.placement"),
        ("attack/triggers/blend.py", "import segdoor.attack.triggers.sticker"),
        ("stickers.py", "import segdoor.attack.site"),
        ("stickers.py", "import torch"),
        ("data/camvid.py", "import segdoor.data.folder"),
        ("defense/repairs/prune.py", "import segdoor.defense.repairs.finetune"),
        ("defense/repairs/repair.py", "import segdoor.attack.exam"),
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
