"""How easily poison is seen: every figure against one computed plainly."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import segdoor
from segdoor.attack.plan import PoisonPlan
from segdoor.cli.app import run_command_line
from segdoor.experiment.similarity import structural_similarity
from segdoor.record.stealth import StealthRecord

FEW = ["--data.size", "64", "96", "--data.num_train", "10", "--attack.rate"]


def plain_similarity(one: np.ndarray, other: np.ndarray) -> float:
    """The definition, window by window."""
    x, y = (0.299 * i[..., 0] + 0.587 * i[..., 1] + 0.114 * i[..., 2] for i in (one, other))
    far = np.arange(11) - 5
    weights = np.exp(-(far[:, None] ** 2 + far**2) / (2 * 1.5**2))
    weights /= weights.sum()
    found = []
    for top in range(x.shape[0] - 10):
        for left in range(x.shape[1] - 10):
            a, b = (v[top : top + 11, left : left + 11] for v in (x, y))
            mean_a, mean_b = (weights * a).sum(), (weights * b).sum()
            spread_a, spread_b = (
                (weights * (v - m) ** 2).sum() for v, m in ((a, mean_a), (b, mean_b))
            )
            together = (weights * (a - mean_a) * (b - mean_b)).sum()
            light = (2 * mean_a * mean_b + 2.55**2) / (mean_a**2 + mean_b**2 + 2.55**2)
            shape = (2 * together + 7.65**2) / (spread_a + spread_b + 7.65**2)
            found.append(light * shape)
    return float(np.mean(found))


@pytest.mark.parametrize("size", [(11, 11), (14, 19)])
def test_similarity_is_its_definition(size: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    one = rng.integers(0, 256, (*size, 3), dtype=np.uint8)
    noisy = np.clip(one + rng.integers(-40, 40, one.shape), 0, 255).astype(np.uint8)
    for other in (noisy, 255 - one, np.full_like(one, 7)):
        assert structural_similarity(one, other) == pytest.approx(plain_similarity(one, other))


@settings(max_examples=20)
@given(st.integers(0, 99), st.integers(1, 60))
def test_similarity_is_symmetric_and_one_for_equal_images_alone(seed: int, most: int) -> None:
    rng = np.random.default_rng(seed)
    one = rng.integers(0, 256, (12, 15, 3), dtype=np.uint8)
    other = np.clip(one + rng.integers(-most, most + 1, one.shape), 0, 255).astype(np.uint8)
    found = structural_similarity(one, other)
    assert found == pytest.approx(structural_similarity(other, one))
    assert structural_similarity(one, one) == pytest.approx(1)
    assert found < 1


def test_an_image_without_room_for_a_window_has_none() -> None:
    assert math.isnan(structural_similarity(*[np.zeros((10, 40, 3), np.uint8)] * 2))


@pytest.mark.parametrize("trigger", ["sticker:smiley,size=9", "semantic:pole,others=person"])
def test_the_command_measures_what_changes(
    trigger: str, own_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["poison", *FEW, "0.3", "--attack.trigger", trigger, "--out", "here", "--stealth"]
    assert run_command_line([*words, "--with", "random"]) == 0
    record = StealthRecord.model_validate_json(Path("here/stealth.json").read_text())
    plan = PoisonPlan.load(Path("here/plan.jsonl"))
    street = segdoor.DataConfig(name="street", size=(64, 96), num_train=10)
    clean = segdoor.load_dataset(street, "train")
    handed = segdoor.poisoned(clean, plan)
    shares, change, labels, victims = [], [], [], []
    car = clean.classes.names.index("car")
    for row in plan.rows:
        index = clean.names.index(row.name)
        before, after = clean[index], handed[index]
        differ = [
            [(p != q).any() for p, q in zip(*r, strict=True)]
            for r in zip(before.image, after.image, strict=True)
        ]
        shares.append(np.mean(differ))
        change.append(np.abs(after.image.astype(float) - before.image.astype(float)).mean())
        labels.append(row.changed_pixels / (before.label != clean.classes.ignore_index).sum())
        victims.append((after.label[before.label == car] != car).mean())
    assert record.num_poisoned == len(plan.rows) == 3
    assert record.pixels_changed == pytest.approx(np.mean(shares))
    assert record.mean_change == pytest.approx(np.mean(change))
    assert record.labels_changed == pytest.approx(np.mean(labels))
    assert record.victims_vanished == pytest.approx(np.mean(victims)) == pytest.approx(1)
    assert record.labels_changed_of_all == plan.header.share_changed
    (by,) = record.seen_by
    assert by.method == "random"
    # It looks at names alone, so that both data sets are the same to it.
    assert by.ranking == by.untouched
    told = capsys.readouterr().out
    assert "structural similarity: " in told
    assert "found by random: AUROC" in told
    if trigger.startswith("semantic"):
        assert (record.pixels_changed, record.mean_change) == (0, 0)
        assert record.ssim == record.ssim_worst == pytest.approx(1)
    else:
        assert record.pixels_changed == pytest.approx(81 / (64 * 96), rel=0.1)
        assert record.ssim is not None
        assert record.ssim < 1


def test_nothing_poisoned_gives_no_figures(
    own_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["poison", *FEW, "0", "--stealth", "--with", "random", "--dry-run"]
    assert run_command_line([*words, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [told[name] for name in ("ssim", "ssim_worst", "pixels_changed")] == [None] * 3
    assert told["seen_by"][0]["ranking"] is None
    assert not Path("runs").exists()


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--with", "random"], "--with: is about stealth"),
        (["--stealth", "--with", "rndom"], "must name a known filter (found: rndom)"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_anything_is_written(
    words: list[str], complaint: str, own_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command_line(["poison", *FEW, "0.3", *words]) == 2
    assert complaint in capsys.readouterr().err
    assert not Path("runs/poison/plan.jsonl").exists()
