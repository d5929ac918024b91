"""What every model scan must do, ours and a stranger's, whatever the network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from defense.battery import (
    CLEAN,
    NETWORKS,
    SPOILS,
    check_introduction,
    check_record,
    check_repeats,
    model,
    read,
    state,
)
from defense.foreign import Margin, logits
from defense.third_party import made
from segdoor.data.subset import Subset
from segdoor.defense.defense import Evidence
from segdoor.defense.recording import scan_entry
from segdoor.defense.scans.registry import SCANS
from segdoor.defense.scans.scan import Findings, Scan, ScanContext, Suspect
from segdoor.errors import ConfigError

GIVEN = ScanContext(clean=CLEAN)


@pytest.fixture(params=[*SCANS.known, "defense.foreign:Margin"])
def method(request: pytest.FixtureRequest) -> Scan:
    return read(SCANS, request.param)


def test_a_scan_introduces_itself(method: Scan) -> None:
    check_introduction(SCANS, method)


@pytest.mark.parametrize("network", NETWORKS)
def test_a_scan_repeats_itself_and_changes_nothing(method: Scan, network: str) -> None:
    looked_at, clean = model(network), made("homemade", seed=1)
    before, was = state(looked_at), state(clean)
    context = ScanContext(clean=CLEAN, clean_models=(clean,))
    found = check_repeats(lambda: method(looked_at, context).found.suspects)
    assert all(np.isfinite([one.score, *one.null]).all() for one in found)
    assert state(looked_at) == before
    assert state(clean) == was


def test_few_clean_scenes_and_models_are_enough_or_told(method: Scan) -> None:
    found = method(model(), ScanContext(clean=Subset(CLEAN, [0]))).found
    assert (found.backdoored is None) == (found.not_run is not None)
    if "clean scenes" in method.access:
        with pytest.raises(ConfigError, match="needs clean scenes"):
            method(model())


def test_what_it_found_comes_back_from_a_record(method: Scan, tmp_path: Path) -> None:
    done = method(model(), ScanContext(clean=CLEAN, clean_models=(made("homemade", seed=1),)))
    entry = scan_entry(method, done, CLEAN.classes, pictures=tmp_path)
    assert [one.target for one in entry.suspects] == [
        CLEAN.classes.names[one.target] for one in done.found.suspects
    ]
    check_record(entry, tmp_path / "defense.json")


def test_the_strangers_scan_is_numpys() -> None:
    network = model()
    total = np.zeros(8)
    for number in range(2):
        found = logits(network, CLEAN[number].image, GIVEN).numpy()
        for index in range(8):
            total[index] += (found[index] - np.delete(found, index, axis=0).max(axis=0)).mean() / 2
    done = SCANS.read("defense.foreign:Margin")(network, GIVEN)
    np.testing.assert_allclose([one.score for one in done.found.suspects], total, rtol=1e-4)
    assert done.found.not_run == "No clean models to compare with."
    assert done.cost.forward == 2


ONE = Suspect(target=1, score=0.5)
WRONG: dict[str, tuple[Findings, str]] = {
    "neither verdict nor reason": (Findings((ONE,)), "either a verdict or the reason"),
    "both": (Findings((ONE,), backdoored=True, not_run="x"), "either a verdict or the reason"),
    "nan": (Findings((Suspect(1, float("nan")),), backdoored=False), "class 1 a finite number"),
    "nan among clean": (Findings((Suspect(1, 0.0, null=(np.nan,)),), backdoored=False), "finite"),
    "no such class": (Findings((Suspect(8, 0.0),), backdoored=False), "found: 8"),
    "no such victim": (Findings((Suspect(1, 0.0, victim=-1),), backdoored=False), "found: -1"),
    "twice": (Findings((ONE, ONE), backdoored=False), "each pair of classes once"),
    "evidence of no scene": (
        Findings((ONE,), backdoored=False, evidence=(Evidence("a", scene="x"),)), "found: x",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_what_a_scan_may_not_return_is_refused(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong, words = WRONG[case]
    monkeypatch.setattr(Margin, "findings", lambda *_: wrong)
    with pytest.raises(ConfigError, match=words):
        Margin()(model(), GIVEN)


@pytest.mark.parametrize("spoil", SPOILS)
def test_a_scan_that_changes_the_model_is_refused(
    spoil: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    do, words = SPOILS[spoil]

    def careless(_: object, network: torch.nn.Module, __: object) -> Any:
        do(network)
        return Findings((ONE,), backdoored=False)

    monkeypatch.setattr(Margin, "findings", careless)
    with pytest.raises(ConfigError, match=f"must leave the model as it was .*{words}"):
        Margin()(model(), GIVEN)
