"""What `import segdoor` offers is frozen, documented and cheap."""

from __future__ import annotations

import subprocess
import sys

import pytest

import segdoor

SURFACE = [
    "DataConfig",
    "load_dataset",
    "AttackConfig",
    "plan_poison",
    "poisoned",
    "ExamsConfig",
    "plan_exams",
    "triggered",
    "load_trigger",
    "TrainingConfig",
    "train_victim",
    "Training",
    "train_victims",
    "examine",
    "attack_success_rate",
    "poisoned_benign_accuracy",
    "clean_benign_accuracy",
    "ExperimentConfig",
    "run_experiment",
    "ExperimentRecord",
]
HEAVY = ["torch", "cv2", "scipy", "matplotlib", "pandas", "transformers", "numpy"]


def modules_after(code: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys\nprint(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stdout.split("\n")[-2].split())


def test_the_surface_is_frozen() -> None:
    assert segdoor.__all__ == SURFACE


def test_every_public_name_exists_and_explains_itself() -> None:
    for name in SURFACE:
        thing = getattr(segdoor, name)
        assert thing.__doc__
        assert thing.__doc__.splitlines()[0].endswith(".")


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="nothing"):
        segdoor.nothing  # noqa: B018


def test_importing_the_package_imports_nothing_heavy() -> None:
    assert modules_after("import segdoor").isdisjoint(HEAVY)


def test_help_imports_nothing_heavy() -> None:
    code = (
        "from segdoor.cli.app import run_command_line\n"
        "import contextlib, io\n"
        "with contextlib.redirect_stdout(io.StringIO()): run_command_line(['--help'])"
    )
    assert modules_after(code).isdisjoint(HEAVY)


def test_the_attacker_needs_no_torch() -> None:
    imported = modules_after("import segdoor.attack.exam, segdoor.attack.plan, segdoor.data.load")
    assert "numpy" in imported
    assert "torch" not in imported
