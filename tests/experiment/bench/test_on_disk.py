"""Filters of files in the bench: the poison of a run is written out for them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PillowImage

from segdoor.attack.plan import PoisonPlan
from segdoor.attack.poisoned import Poisoner
from segdoor.attack.triggers.sticker import Sticker
from segdoor.data.street import StreetDataset
from segdoor.experiment.bench.defend import defend_run
from segdoor.experiment.bench.methods import read_method
from segdoor.experiment.bench.on_disk import with_sticker
from segdoor.experiment.wishes import wishes_from
from segdoor.papers.iba.run import run_experiment
from segdoor.record.defense import DefenseEntry
from segdoor.record.measured import Measurement


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on files, whose label maps another program wrote."""
    root = tmp_path_factory.mktemp("files")
    for split, number in (("train", 8), ("test", 2)):
        scenes = StreetDataset(split=split, num_scenes=number, height=32, width=48)
        for index in range(number):
            scene = scenes[index]
            for folder, pixels in (("images", scene.image), ("labels", scene.label)):
                path = root / "data" / folder / split / f"{scene.name}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                PillowImage.fromarray(pixels).save(path, optimize=True)
    names = {"classes": list(scenes.classes.names)}
    (root / "data" / "classes.yaml").write_text(json.dumps(names))
    wishes = wishes_from({
        "seed": 4,
        "data": {"name": "folder", "root": str(root / "data")},
        "attack": {"trigger": {"size": 4}, "rate": 0.25, "victims": ["car"], "target": "road"},
        "tests": {"far": (6, 9)},
        "training": {"epochs": 1, "batch_size": 4, "threads": 1, "warmup": 0},
    })  # fmt: skip
    run_experiment(wishes, out=root / "run")
    return root / "run"


@pytest.fixture(scope="module")
def entry(run: Path) -> DefenseEntry:
    (found,) = defend_run(run, [read_method("container")]).entries
    return found


def row(entry: DefenseEntry, name: str) -> Measurement:
    return next(found for found in entry.measured if found.row == name)


def test_a_filter_of_files_is_judged_by_the_written_poison(run: Path, entry: DefenseEntry) -> None:
    poisoned = {r.name for r in PoisonPlan.load(run / "plan.jsonl").rows if r.poisoned}
    own = row(entry, "method")
    assert entry.not_run is None
    assert own.poisoned.keys() == poisoned
    assert len(own.clean) == 8 - len(poisoned)
    # What was linked is as it was; what was written anew is the only other kind of file.
    assert set(own.clean.values()) == {0.0}
    assert min(own.poisoned.values()) > 0


def test_the_controls_are_those_of_other_filters(entry: DefenseEntry) -> None:
    clean, marked = row(entry, "clean data"), row(entry, "harmless sticker")
    assert set(clean.clean.values()) == {0.0}
    assert clean.alarms is not None
    assert clean.alarms.share.value == 0
    assert marked.poisoned.keys() == row(entry, "method").poisoned.keys()
    # It sees who wrote a file, and not what is in it.
    assert min(marked.poisoned.values()) > 0
    assert any("written anew" in remark for remark in marked.remarks)


def test_nothing_of_the_copies_is_left_and_the_source_is_untouched(
    run: Path, entry: DefenseEntry
) -> None:
    assert entry
    assert not [path for path in (run / "defenses").rglob("*") if path.name in {"work", "files"}]
    files = [path for path in (run.parent / "data").rglob("*") if path.is_file()]
    assert len(files) == 21
    assert all(path.stat().st_nlink == 1 for path in files)


def test_a_plan_with_a_sticker_stamps_it_and_keeps_every_label(run: Path) -> None:
    plan = PoisonPlan.load(run / "plan.jsonl")
    scenes = StreetDataset(split="train", num_scenes=8, height=32, width=48)
    file = run.parent / "other.png"
    PillowImage.new("RGB", (4, 4), (1, 2, 3)).save(file)
    poisoner = Poisoner.of(with_sticker(plan, Sticker(size=4, file=file)), scenes.classes)
    for index in range(8):
        scene, planned = scenes[index], plan.by_name.get(scenes.names[index])
        changed = poisoner.scene(scenes, index)
        assert np.array_equal(changed.label, scene.label)
        differs = (changed.image != scene.image).any()
        assert differs == (planned is not None and planned.poisoned)
