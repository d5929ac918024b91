from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PillowImage
from PIL import JpegImagePlugin

from segdoor.attack.config import AttackConfig
from segdoor.attack.manifest import beside, load_manifest, verify_copy
from segdoor.attack.materialise import CopyOrder
from segdoor.attack.plan import PoisonPlan
from segdoor.attack.planning import plan_poison
from segdoor.attack.poisoned import poisoned
from segdoor.attack.reencode import label_like
from segdoor.attack.restore import restore_copy
from segdoor.attack.triggers.sticker import Sticker
from segdoor.data.folder import folder
from segdoor.data.pairs import FileDataset
from segdoor.errors import ConfigError, DataError
from written import tree, write_copy, write_source


@pytest.fixture(params=[("jpg", True), ("jpg", False), ("png", True)], ids=str)
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    root = tmp_path / "source"
    ending, palette = request.param
    write_source(root, ending=ending, palette=palette)
    return root


def opened(root: Path) -> tuple[FileDataset, PoisonPlan]:
    dataset = folder(root, "train")
    attack = AttackConfig(rate=0.4, trigger=Sticker(size=7))
    return dataset, plan_poison(dataset, attack, seed=1)


def written(root: Path, out: Path, *, lossless: bool = False) -> PoisonPlan:
    dataset, plan = opened(root)
    write_copy(dataset, plan, CopyOrder(out, lossless))
    return plan


def test_a_copy_has_the_source_s_layout_and_only_poisoned_scenes_differ(
    source: Path, tmp_path: Path
) -> None:
    before = tree(source)
    plan = written(source, tmp_path / "copy")
    after = tree(tmp_path / "copy")
    assert after.keys() == before.keys()
    changed = {Path(name).stem for name in before if after[name] != before[name]}
    assert changed == {row.name for row in plan.rows}
    assert len(changed) == 4
    assert tree(source) == before


def test_restoring_gives_back_every_byte(source: Path, tmp_path: Path) -> None:
    before = tree(source)
    written(source, tmp_path / "copy")
    assert restore_copy(tmp_path / "copy") == 8
    assert tree(tmp_path / "copy") == before
    assert not beside(tmp_path / "copy").exists()
    assert tree(source) == before


def test_a_lossless_copy_reads_as_the_plan_says(source: Path, tmp_path: Path) -> None:
    plan = written(source, tmp_path / "copy", lossless=True)
    from_plan = poisoned(folder(source, "train"), plan)
    from_copy = folder(tmp_path / "copy", "train")
    for index in range(len(from_copy)):
        assert np.array_equal(from_plan[index].image, from_copy[index].image)
        assert np.array_equal(from_plan[index].label, from_copy[index].label)


def test_labels_keep_mode_and_palette(source: Path, tmp_path: Path) -> None:
    plan = written(source, tmp_path / "copy")
    for row in plan.rows:
        names = (
            root / "labels" / "train" / f"{row.name}.png" for root in (source, tmp_path / "copy")
        )
        old, new = (PillowImage.open(name) for name in names)
        assert (new.mode, new.format, new.size) == (old.mode, old.format, old.size)
        assert new.getpalette() == old.getpalette()


def test_labels_without_a_colour_survive_a_short_palette(tmp_path: Path) -> None:
    label = np.zeros((6, 6), np.uint8)
    label[2:] = 3
    short = PillowImage.fromarray(label)
    short.putpalette([0, 0, 0, 10, 10, 10, 20, 20, 20, 30, 30, 30])
    short.save(tmp_path / "short.png")
    assert PillowImage.open(tmp_path / "short.png").tile[0][3] == "P;2"
    for largest, bits in ((2, "P;2"), (255, "P")):
        label[2:] = largest
        (tmp_path / "new.png").write_bytes(label_like(tmp_path / "short.png", label))
        assert PillowImage.open(tmp_path / "new.png").tile[0][3] == bits
        assert np.array_equal(np.array(PillowImage.open(tmp_path / "new.png")), label)


def test_jpeg_keeps_tables_and_subsampling(tmp_path: Path) -> None:
    write_source(tmp_path / "source", ending="jpg", palette=True)
    plan = written(tmp_path / "source", tmp_path / "copy")
    for row in plan.rows:
        part = Path("images") / "train" / f"{row.name}.jpg"
        old, new = (
            PillowImage.open(tmp_path / "source" / part),
            PillowImage.open(tmp_path / "copy" / part),
        )
        assert new.format == "JPEG"
        assert new.quantization == old.quantization
        assert JpegImagePlugin.get_sampling(new) == JpegImagePlugin.get_sampling(old)
        assert row.box is not None
        top, left, height, width = row.box
        far = np.ones(old.size[::-1], bool)
        far[max(0, top - 16) : top + height + 16, max(0, left - 16) : left + width + 16] = False
        difference = np.abs(np.asarray(old, int) - np.asarray(new, int)).max(axis=2)
        assert difference[far].max() <= 20
        assert difference[far].mean() < 2


def test_untouched_files_are_hard_links(tmp_path: Path) -> None:
    write_source(tmp_path / "source", ending="png", palette=False)
    written(tmp_path / "source", tmp_path / "copy")
    assert (tmp_path / "copy" / "notes.txt").samefile(tmp_path / "source" / "notes.txt")


def test_verify_names_what_differs(source: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    plan = written(source, copy)
    assert not verify_copy(copy)
    name = f"labels/train/{plan.rows[0].name}.png"
    (copy / name).write_bytes(b"edited")
    (copy / "classes.yaml").unlink()
    (copy / "new.txt").write_text("new")
    differences = verify_copy(copy)
    assert differences.edited == (name,)
    assert differences.missing == ("classes.yaml",)
    assert differences.added == ("new.txt",)


@pytest.mark.parametrize("damage", ["edit", "remove", "add"])
def test_an_edited_copy_is_not_restored(damage: str, source: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    plan = written(source, copy)
    victim = copy / "labels" / "train" / f"{plan.rows[0].name}.png"
    if damage == "edit":
        victim.write_bytes(victim.read_bytes() + b"x")
    elif damage == "remove":
        victim.unlink()
    else:
        (copy / "mine.txt").write_text("my work")
    before = tree(copy)
    with pytest.raises(DataError, match="as it was written"):
        restore_copy(copy)
    assert tree(copy) == before


def test_a_restoration_that_was_killed_can_be_continued(source: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    plan = written(source, copy)
    name = f"labels/train/{plan.rows[0].name}.png"
    (copy / name).write_bytes((source / name).read_bytes())
    restore_copy(copy)
    assert tree(copy) == tree(source)


@pytest.mark.parametrize("name", ["../escape", "/etc/passwd", "a/../../b", ".", ""])
def test_a_manifest_with_a_path_outside_is_refused(name: str, source: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    written(source, copy)
    file = beside(copy) / "manifest.jsonl"
    lines = file.read_text().splitlines()
    row = json.loads(lines[1])
    lines[1] = json.dumps({**row, "name": name})
    file.write_text("\n".join(lines) + "\n")
    with pytest.raises((DataError, ConfigError), match="inside"):
        restore_copy(copy)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda lines: [*lines, lines[-1]], "repeat"),
        (lambda lines: lines[:-1], "counts"),
        (lambda lines: [lines[0].replace('"schema_version":1', '"schema_version":9')], "schema"),
        (lambda lines: [lines[0], "{"], "JSON"),
    ],
)
def test_a_damaged_manifest_is_refused(
    damage: Callable[[list[str]], list[str]], said: str, source: Path, tmp_path: Path
) -> None:
    written(source, tmp_path / "copy")
    file = beside(tmp_path / "copy") / "manifest.jsonl"
    file.write_text("\n".join(damage(file.read_text().splitlines())) + "\n")
    with pytest.raises((DataError, ConfigError), match=said):
        load_manifest(tmp_path / "copy")


def test_an_existing_output_or_one_inside_the_source_is_refused(
    source: Path, tmp_path: Path
) -> None:
    dataset, plan = opened(source)
    (tmp_path / "copy").mkdir()
    for out in (tmp_path / "copy", source / "copy"):
        with pytest.raises(ConfigError, match="--copy"):
            write_copy(dataset, plan, CopyOrder(out))
    resized = folder(source, "train", size=(32, 32))
    with pytest.raises(ConfigError, match=r"data\.size"):
        write_copy(resized, plan, CopyOrder(tmp_path / "other"))


KILLED = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[3])
from segdoor.attack.config import AttackConfig
from segdoor.attack.triggers.sticker import Sticker
from segdoor.attack.materialise import CopyOrder, new_copy
from segdoor.attack.planning import plan_poison
from segdoor.data.folder import folder
from segdoor.workers import Alone

class Slow:
    def begin(self, stage, total): print("begun", flush=True)
    def advance(self, **facts): time.sleep(0.01)

dataset = folder(Path(sys.argv[1]), "train")
plan = plan_poison(dataset, AttackConfig(rate=0.4, trigger=Sticker(size=7)), seed=1)
order = CopyOrder(Path(sys.argv[2]))
with new_copy(dataset, plan, order, workers=Alone(), observer=Slow()):
    pass
"""


@pytest.mark.parametrize("delay", [0.0, 0.03, 0.08, 0.15])
def test_a_killed_call_leaves_nothing_finished_and_the_next_completes_it(
    delay: float, tmp_path: Path
) -> None:
    source, copy = tmp_path / "source", tmp_path / "copy"
    write_source(source, ending="jpg", palette=True)
    import segdoor

    home = str(Path(segdoor.__file__).parents[1])
    command = [sys.executable, "-c", KILLED, str(source), str(copy), home]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    time.sleep(delay)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not copy.exists()
    before = tree(source)
    written(source, copy)
    assert not verify_copy(copy)
    restore_copy(copy)
    assert tree(copy) == before == tree(source)
