"""The doctor: what a machine has and lacks, also where torch is missing or broken."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from segdoor.data.dataset import FilesOnDisk
from segdoor.data.registry import DATASETS
from segdoor.inspection import diagnosis
from segdoor.inspection.diagnosis import Finding, diagnose
from segdoor.inspection.discovery import MARKS, data_sets, weights_files
from shell import say


def findings(*folders: Path) -> Mapping[str, Finding]:
    return {finding.subject: finding for finding in diagnose(folders).findings}


def test_a_sound_machine_is_told_line_by_line(tmp_path: Path) -> None:
    code, out, err = say("doctor", tmp_path)
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert {line.split()[0] for line in lines} <= {"ok", "missing"}
    for subject in ("Python", "segdoor", "torch", "device", "bfloat16", "cores", "cache", "memory"):
        assert any(f" {subject} " in line for line in lines)
    assert any("data sets" in line and "see docs/data.md" in line for line in lines)


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    assert findings(tmp_path / "nowhere")["folder"].found == str(tmp_path / "nowhere")


def test_json_holds_the_same(tmp_path: Path) -> None:
    code, out, _ = say("doctor", tmp_path, "--json")
    told = json.loads(out)["findings"]
    assert code == 0
    assert [entry["subject"] for entry in told] == list(findings(tmp_path))
    assert all(entry["remedy"] for entry in told if entry["state"] != "ok")


def test_a_missing_package_is_broken_and_exit_code_3(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    whole = diagnosis.version

    def version(name: str) -> str:
        if name == "rich":
            raise PackageNotFoundError(name)
        return "2.5.1" if name == "torch" else whole(name)

    monkeypatch.setattr(diagnosis, "version", version)
    found = findings(tmp_path)
    assert found["rich"].state == found["torch"].state == "broken"
    assert found["torch"].found == "2.5.1, wanted 2.6 or newer"
    assert "pip install 'torch>=2.6'" in found["torch"].remedy
    code, _, err = say("doctor", tmp_path)
    assert code == 3
    assert err.startswith("segdoor: rich: must work (found: not installed). pip install")


def test_a_missing_extra_is_no_harm(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    whole = diagnosis.version

    def version(name: str) -> str:
        if name == "hypothesis":
            raise PackageNotFoundError(name)
        return whole(name)

    monkeypatch.setattr(diagnosis, "version", version)
    extra = findings(tmp_path)["extra dev"]
    assert extra.state == "missing"
    assert "hypothesis not installed" in extra.found
    assert "pip install 'segdoor[dev]'" in extra.remedy
    assert not diagnose([tmp_path]).broken


@pytest.mark.parametrize(
    "fault", ["ImportError('libtorch.so')", "OSError('bad CPU')", "KeyError()"]
)
def test_a_torch_that_cannot_be_imported_is_told(fault: str, tmp_path: Path) -> None:
    (tmp_path / "torch.py").write_text(f"raise {fault}\n")
    paths = [str(tmp_path), str(Path(diagnosis.__file__).parents[2])]
    done = subprocess.run(
        [sys.executable, "-m", "segdoor", "doctor"], check=False, capture_output=True, text=True,
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
    )  # fmt: skip
    assert done.returncode == 3
    assert "Traceback" not in done.stderr
    assert "Install torch again" in done.stderr
    assert "broken   device" in done.stdout
    assert "memory" in done.stdout


def test_a_cache_that_cannot_be_written_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SEGDOOR_CACHE", str(tmp_path / "file" / "packs"))
    cache = findings(tmp_path)["cache"]
    assert cache.state == "broken"
    assert "SEGDOOR_CACHE" in cache.remedy


def test_no_home_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def homeless() -> Path:
        raise RuntimeError

    monkeypatch.delenv("SEGDOOR_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", homeless)
    assert findings(tmp_path)["cache"].found == "needs a home directory"


def test_waiting_threads_that_spin_are_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("OMP_WAIT_POLICY", "active")
    assert "PASSIVE" in findings(tmp_path)["OMP_WAIT_POLICY"].remedy


@pytest.mark.parametrize("name", MARKS)
def test_data_sets_are_known_by_their_marks(name: str, tmp_path: Path) -> None:
    root = tmp_path / "data" / "here"
    for mark in MARKS[name]:
        (root / mark).mkdir(parents=True)
    assert data_sets(tmp_path) == [(root, name)]
    assert f"{root} ({name})" in findings(tmp_path)["data sets"].found


def test_every_data_set_on_disk_has_its_marks() -> None:
    on_disk = {name for name, kind in DATASETS.known.items() if issubclass(kind, FilesOnDisk)}
    assert on_disk == MARKS.keys()


def test_weights_are_found_a_little_below_and_not_beside(tmp_path: Path) -> None:
    for place in ("a.safetensors", "run/b.pth", ".hidden/c.pth", "1/2/3/4/d.pth"):
        path = tmp_path / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    found = [str(path.relative_to(tmp_path)) for path in weights_files(tmp_path)]
    assert found == ["a.safetensors", "run/b.pth"]
    assert "run/b.pth" in findings(tmp_path)["weights"].found


def test_folders_that_are_missing_hold_nothing(tmp_path: Path) -> None:
    assert data_sets(tmp_path / "none") == weights_files(tmp_path / "none") == []


def test_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEGDOOR_CACHE", str(tmp_path / "cache"))
    diagnose([tmp_path])
    assert list(tmp_path.iterdir()) == []
