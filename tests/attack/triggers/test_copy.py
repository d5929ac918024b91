"""Copies on disk of scenes whose whole images are changed."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PillowImage

from segdoor.attack.plan import PoisonPlan
from segdoor.attack.site import Box
from segdoor.attack.triggers.blend import Blend
from segdoor.cli.app import run_command_line
from segdoor.data.scene import Scene

CLASSES = """\
classes:
  - {name: road, colour: [90, 90, 90]}
  - {name: car, colour: [200, 30, 30]}
"""


def source(root: Path, ending: str) -> Path:
    rng = np.random.default_rng(0)
    for split in ("train", "test"):
        for kind in ("images", "labels"):
            (root / split / kind).mkdir(parents=True)
        for number in range(4):
            image = rng.integers(60, 190, (6, 8, 3), dtype=np.uint8).repeat(5, 0).repeat(5, 1)
            label = np.zeros((30, 40), np.uint8)
            label[8:20, 3 * number : 12 + 3 * number] = 1
            PillowImage.fromarray(image).save(root / split / "images" / f"{number}.{ending}")
            PillowImage.fromarray(label).save(root / split / "labels" / f"{number}.png")
    (root / "classes.yaml").write_text(CLASSES)
    return root


def bytes_below(root: Path) -> dict[str, bytes]:
    files = (path for path in root.rglob("*") if path.is_file())
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in files}


def picture(content: bytes) -> np.ndarray:
    return np.array(PillowImage.open(io.BytesIO(content)).convert("RGB"))


@pytest.mark.parametrize(("ending", "size"), [("png", ""), ("jpg", ""), ("jpg", "15 20")])
def test_a_blended_copy_is_verified_and_restored_byte_for_byte(
    ending: str, size: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    before = bytes_below(source(Path("mine"), ending))
    words = "poison --data.name folder --data.root mine --attack.rate .5 --attack.trigger blend"
    more = f" --data.size {size}" if size else ""
    assert run_command_line(f"{words} --out plans --copy copy --workers 1{more}".split()) == 0
    assert run_command_line(["verify", "copy"]) == 0
    plan = PoisonPlan.load(Path("plans/plan.jsonl"))
    names = {row.name.split("/")[-1] for row in plan.rows}
    assert len(names) == 2
    there = bytes_below(Path("copy"))
    shape = (15, 20) if size else (30, 40)
    for number in range(4):
        made = "png" if size else ending
        handed = picture(there[f"train/images/{number}.{made}"])
        benign = PillowImage.open(io.BytesIO(before[f"train/images/{number}.{ending}"]))
        if not size:
            scene = Scene(np.array(benign.convert("RGB")), np.zeros(shape, np.uint8), "")
            blended = Blend().apply(scene, Box(0, 0, *shape)).astype(int)
            # How much of the pattern's brightness is there: JPEG keeps most of it.
            added = (handed.astype(int) - scene.image).mean(axis=2)
            pattern = (blended - scene.image).mean(axis=2)
            there_of_it = (added * pattern).sum() / (pattern * pattern).sum()
            assert abs(there_of_it - (str(number) in names)) < 0.35
            if ending == "png" and str(number) in names:
                assert np.array_equal(handed, blended)
        assert handed.shape == (*shape, 3)
    assert run_command_line(["restore", "copy"]) == 0
    after = bytes_below(Path("copy"))
    if size:
        assert all(picture(c).shape[:2] == shape for n, c in after.items() if "images" in n)
    else:
        assert after == before
