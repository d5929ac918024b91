"""What this machine has and lacks for segdoor; works when torch is missing or broken."""

from __future__ import annotations

import os
import platform
import re
import shutil
import sys
from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, metadata, version
from pathlib import Path
from typing import Literal

from segdoor.data.pack import default_cache
from segdoor.errors import SegdoorError, first_line, shown
from segdoor.inspection.discovery import data_sets, packaged_weights, weights_files
from segdoor.settings import Settings

_LITTLE_DISK = 2 * 1024**3
_LITTLE_MEMORY = 2 * 1024**3


class Finding(Settings):
    """One checked item."""

    subject: str
    """What it is."""
    state: Literal["ok", "missing", "broken"]
    """Missing things limit what can be done; with a broken one nothing works."""
    found: str
    """What was found."""
    remedy: str = ""
    """What to do about it; empty if it is fine."""


class Diagnosis(Settings):
    """All checked items."""

    findings: tuple[Finding, ...]
    """In order of importance: packages, device, disk, data, weights."""

    @property
    def broken(self) -> tuple[Finding, ...]:
        """Return the findings that stop everything."""
        return tuple(finding for finding in self.findings if finding.state == "broken")


def diagnose(folders: Sequence[Path]) -> Diagnosis:
    """Look at packages, device, threads, disk and memory, and for data sets and weights."""
    return Diagnosis(
        findings=(
            *_packages(),
            *_device(),
            *_threads(),
            _disk("working folder", Path.cwd(), "Work in another folder, or free some disk."),
            _cache(),
            _memory(),
            *_files(folders),
        )
    )


def _packages() -> Iterator[Finding]:
    """Yield Python, segdoor, what it needs, and what its extras need."""
    about = metadata("segdoor")
    wanted = about["Requires-Python"] or ""
    held = all(
        sign != ">=" or _numbers(platform.python_version()) >= _numbers(bound)
        for sign, bound in re.findall(r"([<>=]+)\s*([\d.]+)", wanted)
    )
    yield Finding(
        subject="Python",
        state="ok" if held else "broken",
        found=f"{platform.python_version()}, wanted {wanted}",
        remedy="" if held else "Install segdoor with another Python.",
    )
    yield Finding(subject="segdoor", state="ok", found=about["Version"])
    asked = about.get_all("Requires-Dist") or []
    for requirement in (line for line in asked if "extra" not in line):
        yield _package(requirement)
    for extra in about.get_all("Provides-Extra") or []:
        yield _extra(extra, [line for line in asked if re.search(rf"extra.*\b{extra}\b", line)])


def _package(requirement: str) -> Finding:
    """Look for an installed package that meets a requirement such as ``torch>=2.6``."""
    name = re.split(r"[^\w.-]", requirement)[0]
    bound = re.search(r">=\s*([\d.]+)", requirement)
    wish = f"pip install '{name}{bound[0] if bound else ''}'"
    try:
        found = version(name)
    except PackageNotFoundError:
        return Finding(subject=name, state="broken", found="not installed", remedy=f"{wish}.")
    if bound and _numbers(found) < _numbers(bound[1]):
        told = f"{found}, wanted {bound[1]} or newer"
        return Finding(subject=name, state="broken", found=told, remedy=f"{wish}.")
    return Finding(subject=name, state="ok", found=found)


def _extra(extra: str, requirements: Sequence[str]) -> Finding:
    """Combine the findings for the packages of an extra, which may all be missing."""
    findings = [_package(requirement.partition(";")[0]) for requirement in requirements]
    complete = all(finding.state == "ok" for finding in findings)
    return Finding(
        subject=f"extra {extra}",
        state="ok" if complete else "missing",
        found=", ".join(f"{finding.subject} {finding.found}" for finding in findings),
        remedy="" if complete else f"To use it: pip install 'segdoor[{extra}]'.",
    )


def _numbers(text: str) -> tuple[int, ...]:
    """Return the numbers at the beginning of a version: 2.13.0+cpu gives 2, 13, 0."""
    return tuple(int(part) for part in re.findall(r"\d+", text.partition("+")[0])[:3])


def _device() -> Iterator[Finding]:
    """Yield whether torch works, on which device, and in which precision."""
    try:
        import torch  # noqa: PLC0415 - this checks whether it can be imported

        from segdoor.victim.device import choose_arithmetic, gains_from_bfloat16  # noqa: PLC0415

        device = choose_arithmetic("auto", "float32").device
        gains = gains_from_bfloat16(device)
        threads = torch.get_num_threads()
    except Exception as why:  # noqa: BLE001 - a broken torch may fail in any way
        told = first_line(why)
        advice = "Install torch again, in a version that fits this machine."
        yield Finding(subject="device", state="broken", found=told, remedy=advice)
        return
    cuda = device.type == "cuda"
    name = torch.cuda.get_device_name(device) if cuda else f"CPU, {threads} threads, no CUDA"
    yield Finding(subject="device", state="ok", found=name)
    found = "in hardware" if gains else "emulated only; precision auto takes float32"
    yield Finding(subject="bfloat16", state="ok", found=found)


def _threads() -> Iterator[Finding]:
    """Yield how many cores there are, and the settings of OpenMP."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    chosen = os.environ.get("OMP_NUM_THREADS", "not set")
    yield Finding(subject="cores", state="ok", found=f"{cores}, OMP_NUM_THREADS {chosen}")
    waiting = os.environ.get("OMP_WAIT_POLICY", "not set")
    passive = waiting.upper() == "PASSIVE"
    remedy = "" if passive else "Set OMP_WAIT_POLICY=PASSIVE if other programs run beside it."
    state = "ok" if passive else "missing"
    yield Finding(subject="OMP_WAIT_POLICY", state=state, found=waiting, remedy=remedy)


def _disk(subject: str, folder: Path, remedy: str) -> Finding:
    place = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    try:
        free = shutil.disk_usage(place).free
    except OSError as why:
        return Finding(subject=subject, state="broken", found=str(why), remedy=remedy)
    if not place.is_dir() or not os.access(place, os.W_OK | os.X_OK):
        told = f"{shown(str(folder))}, which is not writable"
        return Finding(subject=subject, state="broken", found=told, remedy=remedy)
    state = "ok" if free >= _LITTLE_DISK else "missing"
    found = f"{shown(str(folder))}, {free / 1024**3:.1f} GiB free"
    return Finding(
        subject=subject, state=state, found=found, remedy="" if state == "ok" else remedy
    )


def _cache() -> Finding:
    remedy = "Set SEGDOOR_CACHE to a folder with room."
    try:
        return _disk("cache", default_cache(), remedy)
    except SegdoorError as why:
        return Finding(subject="cache", state="broken", found=why.rule, remedy=why.remedy)


def _memory() -> Finding:
    free = _free_memory()
    found = "unknown here" if free is None else f"{free / 1024**3:.1f} GiB free"
    enough = free is None or free >= _LITTLE_MEMORY
    remedy = "" if enough else "Close other programs, or lower data.size and batch_size."
    return Finding(
        subject="memory", state="ok" if enough else "missing", found=found, remedy=remedy
    )


def _free_memory() -> int | None:
    """Return how many bytes of memory are available; None where the system does not say."""
    if sys.platform != "linux":
        return None
    try:
        told = Path("/proc/meminfo").read_text(encoding="utf-8")
    except OSError:
        return None
    available = re.search(r"MemAvailable:\s+(\d+) kB", told)
    return int(available[1]) * 1024 if available else None


def _files(folders: Sequence[Path]) -> Iterator[Finding]:
    """Yield the data sets and weights found, and missing folders."""
    for folder in folders:
        if not folder.is_dir():
            remedy = "Check the path."
            yield Finding(subject="folder", state="missing", found=str(folder), remedy=remedy)
    places = ", ".join(map(str, folders))
    found = [f"{path} ({name})" for folder in folders for path, name in data_sets(folder)]
    yield Finding(
        subject="data sets",
        state="ok" if found else "missing",
        found=shown("; ".join(["street (built in)", *found])),
        remedy="" if found else f"None in {places}: name folders, or see docs/data.md for yours.",
    )
    below = [path for folder in folders for path in weights_files(folder)]
    weights = [str(path) for path in (*packaged_weights(), *below)]
    yield Finding(
        subject="weights",
        state="ok" if weights else "missing",
        found=shown("; ".join(weights)) or "none",
        remedy="" if weights else f"None in {places}: 'segdoor train' makes some.",
    )
