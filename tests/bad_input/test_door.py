"""Every public function that takes a data set or a table refuses a stranger's mistakes in it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).with_name("strangers.py")
IMAGES = {
    "floats to 1": "Multiply by 255 and convert to uint8.",
    "floats to 255": "Round and convert to uint8.",
    "normalised": "segdoor normalises it",
    "int64 image": "convert to uint8",
    "channels first": "image.transpose(1, 2, 0)",
    "floats, channels first": "Multiply by 255 and convert to uint8. Put channels last",
    "grey": "np.stack",
    "alpha": "image[..., :3]",
    "tensor": "Convert it to a NumPy array.",
    "smaller image": "Bring the label map to the image's size by nearest neighbour.",
    "wrong name": "Keep names and scenes in one order.",
    "a pair": "segdoor.Scene(image, label, name)",
}
LABELS = {
    "int64 label": "convert to uint8",
    "masks of bool": "convert to uint8",
    "label of class 3": "Map these values to class ids",
    "label with an axis": "label.squeeze()",
    "one mask a class": "argmax over classes",
    "label tensor": "Convert it to a NumPy array.",
}
SETS = {
    "one name twice": "give each its own",
    "numbers as names": "Use str(number).",
    "a name too few": "Name every scene once.",
    "list of classes": "segdoor.ClassSet(names, colours)",
    "a list": "docs/python.md",
}
READERS = [
    "train_model", "poisoned", "triggered", "examine", "examine triggered", "examine_together",
    "prune", "run_experiment", "run_experiment, test",
]  # fmt: skip
PLANNERS = ["plan_poison", "plan_tests"]
TABLES = {
    "tables of scenes": "tables.total()",
    "not square": "true classes a row each",
    "shares": "Count pixels",
    "negative": "Count pixels from 0.",
    "a list": "tables.total()",
}
VICTIMS = {
    "victim 3": "dataset.classes.indices(names)",
    "victim -1": "dataset.classes.indices(names)",
    "victim by name": "dataset.classes.indices(names)",
    "victims as a word": "Write [4]",
    "no victims": "Write [4]",
}
ASKED = [
    *((door, kind) for door in READERS for kind in (IMAGES | LABELS | SETS)),
    *((door, kind) for door in PLANNERS for kind in (LABELS | SETS)),
    *((door, "label read otherwise") for door in ("train_model", "run_experiment")),
]
METRICS = [
    "attack_success_rate", "victim_recovery", "poisoned_benign_accuracy", "clean_benign_accuracy",
]  # fmt: skip
MEASURED = [
    *((metric, kind) for metric in METRICS for kind in TABLES),
    *((metric, kind) for metric in METRICS[:3] for kind in VICTIMS),
    ("attack_success_rate", "target 3"),
]
REMEDIES = {
    **IMAGES, **LABELS, **SETS, "label read otherwise": "the scene's own label map",
}  # fmt: skip
OF_TABLES = {**TABLES, **VICTIMS, "target 3": "dataset.classes.indices(names)"}


@pytest.fixture(scope="module")
def found() -> dict[str, dict[str, list[str] | str | None]]:
    """What the program says; its processes are few, for each imports torch."""
    done = subprocess.run([sys.executable, PROGRAM], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


@pytest.mark.parametrize("door", [*READERS, *PLANNERS, *METRICS])
def test_what_is_as_it_must_be_passes(found, door: str) -> None:
    assert found[door]["none"] is None


@pytest.mark.parametrize(("door", "kind"), ASKED)
def test_a_mistake_in_a_data_set_is_explained(found, door: str, kind: str) -> None:
    said = found[door][kind]
    assert isinstance(said, list), said
    assert all(said)
    assert REMEDIES[kind] in said[3]


@pytest.mark.parametrize(("metric", "kind"), MEASURED)
def test_a_mistake_in_a_table_or_its_classes_is_explained(found, metric: str, kind: str) -> None:
    said = found[metric][kind]
    assert isinstance(said, list), said
    assert all(said)
    assert OF_TABLES[kind] in said[3]


@pytest.mark.parametrize("door", PLANNERS)
def test_planning_reads_no_images(found, door: str) -> None:
    assert all(found[door][kind] is None for kind in IMAGES)
