"""A model is scanned whose backdoor is known, and its clean twin."""

from __future__ import annotations

from pathlib import Path

import pytest
from torch import nn

from defense.planted import planted_network, planted_scenes
from scanning.methods import HERE, Lost
from segdoor.errors import ConfigError
from segdoor.record.scan import ScanReport
from segdoor.scanning.judged import ScanOrder
from segdoor.scanning.model import scan_model
from segdoor.scanning.opening import CleanModels, check_model
from segdoor.scanning.policy import load_policy
from segdoor.victim.config import NetworkConfig

CLEAN = planted_scenes(4, seed=3)


def twin(_: Path) -> nn.Module:
    return planted_network(backdoor=False)


def scanned(
    tmp_path: Path, model: nn.Module, number: int = 8, policy: str = "", **more: object
) -> ScanReport:
    (tmp_path / "policy.yaml").write_text(policy)
    files = [tmp_path / f"{n}.pth" for n in range(number)]
    for file in files:
        file.write_text("weights")
    given = ScanOrder(
        out=tmp_path / "out", named=(f"{HERE}:Lost",), policy=load_policy(tmp_path / "policy.yaml"),
        **more,
    )  # fmt: skip
    return scan_model(model, CLEAN, given, CleanModels(files, twin))


def test_the_pair_is_found(tmp_path: Path) -> None:
    report = scanned(tmp_path, planted_network())
    assert [row.name for row in report.suspects if row.suspect] == ["car -> road"]
    assert [finding.rule for finding in report.found] == ["scan-backdoored-model"]
    assert report.checks[0].why.startswith("its own verdict, from 8 figures of clean models")
    assert {mark.id for mark in report.atlas} >= {"AML.T0018.000", "AML.M0008"}
    assert (tmp_path / "out" / "evidence.png").is_file()


def test_the_clean_twin_passes(tmp_path: Path) -> None:
    report = scanned(tmp_path, planted_network(backdoor=False))
    assert (report.checks[0].outcome, report.found) == ("nothing found", ())


@pytest.mark.parametrize("number", [0, 7])
def test_with_few_clean_models_there_is_no_verdict(number: int, tmp_path: Path) -> None:
    report = scanned(tmp_path, planted_network(), number)
    assert report.checks[0].outcome == "NOT RUN"
    why = "the policy asks for 8. Give more with --clean-models" if number else "No clean models"
    assert why in report.checks[0].why
    assert report.found == ()
    assert report.suspects[0].score > 0.9


def test_the_policy_decides_how_many(tmp_path: Path) -> None:
    report = scanned(tmp_path, planted_network(), 1, "model: {least_null: 1}")
    assert len(report.found) == 1


def test_the_time_is_passed_on(tmp_path: Path) -> None:
    Lost.seen.clear()
    scanned(tmp_path, planted_network(), seconds=60.0)
    assert Lost.seen[0] == pytest.approx(60, abs=5)


def test_a_model_that_does_not_fit_the_classes_is_refused() -> None:
    with pytest.raises(ConfigError, match="must return logits 1 x 5 x H x W"):
        check_model(nn.Conv2d(3, 4, 1), CLEAN, NetworkConfig())
