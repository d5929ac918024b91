"""What `import segdoor` offers is frozen, documented and cheap."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import segdoor

SURFACE = [
    "DataConfig", "load_dataset", "Scene", "ClassSet", "SceneDataset",
    "AttackConfig", "plan_poison", "PoisonPlan", "poisoned",
    "NetworkConfig", "build_network", "TrainingConfig", "train_model", "save_weights", "load_weights",
    "PoisonedTestsConfig", "plan_tests", "PoisonedTest", "Trigger", "TRIGGERS", "PLACEMENTS",
    "triggered",
    "ExaminationConfig", "examine", "TableSet", "load_tables",
    "attack_success_rate", "victim_recovery", "poisoned_benign_accuracy", "clean_benign_accuracy",
    "clean_scenes", "REPAIRS", "RepairContext",
    "ExperimentWishes", "DataWishes", "AttackWishes", "PoisonedTestsWishes", "NetworkWishes",
    "TrainingWishes", "ExaminationWishes", "ControlsWishes",
    "ExperimentConfig", "run_experiment", "ExperimentRecord", "load_record", "repair_run",
    "SegdoorError",
]  # fmt: skip
HEAVY = ["torch", "cv2", "scipy", "matplotlib", "pandas", "transformers", "numpy"]
ROOMS = ["data", "attack", "victim", "evaluation", "scores", "defense", "experiment", "study"]


def modules_after(code: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys\nprint(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stdout.split("\n")[-2].split())


def told_to_type_checkers() -> dict[str, str]:
    """Return the public names by the module that a type checker takes them from."""
    tree = ast.parse(Path(segdoor.__file__).read_text(encoding="utf-8"))
    (block,) = (
        node.body
        for node in tree.body
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name)
    )
    imports = [node for node in block if isinstance(node, ast.ImportFrom)]
    assert len(imports) == len(block)
    return {alias.name: str(node.module) for node in imports for alias in node.names}


def test_the_surface_is_frozen() -> None:
    assert segdoor.__all__ == SURFACE


def test_type_checkers_and_python_take_a_name_from_the_same_place() -> None:
    told = told_to_type_checkers()
    assert sorted(told) == sorted(SURFACE)
    assert {name: f"segdoor.{home}" for name, home in segdoor._HOMES.items()} == told
    for name, home in told.items():
        assert getattr(segdoor, name) is getattr(importlib.import_module(home), name)


def test_names_are_in_the_order_of_the_story() -> None:
    rooms = [segdoor._HOMES[name].split(".")[0] for name in SURFACE]
    first = [room for room in dict.fromkeys(rooms) if room in ROOMS]
    assert first == [room for room in ROOMS if room in first]


def test_completion_lists_the_surface() -> None:
    assert dir(segdoor) == sorted(SURFACE)


def test_a_star_import_gives_the_surface_and_nothing_else() -> None:
    namespace: dict[str, object] = {}
    exec("from segdoor import *", namespace)  # noqa: S102
    namespace.pop("__builtins__")
    assert list(namespace) == SURFACE


def test_every_public_name_exists_and_explains_itself() -> None:
    for name in SURFACE:
        thing = getattr(segdoor, name)
        assert thing.__doc__
        assert thing.__doc__.splitlines()[0].endswith(".")


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="nothing"):
        segdoor.nothing  # noqa: B018


def test_importing_the_package_imports_nothing_heavy() -> None:
    assert modules_after("import segdoor").isdisjoint([*HEAVY, "pydantic"])


def test_help_imports_nothing_heavy() -> None:
    code = (
        "from segdoor.cli.app import run_command_line\n"
        "import contextlib, io\n"
        "with contextlib.redirect_stdout(io.StringIO()): run_command_line(['--help'])"
    )
    assert modules_after(code).isdisjoint(HEAVY)


def test_the_attacker_needs_no_torch() -> None:
    imported = modules_after(
        "import segdoor.attack.poisoned_test, segdoor.attack.plan, segdoor.data.load"
    )
    assert "numpy" in imported
    assert "torch" not in imported
