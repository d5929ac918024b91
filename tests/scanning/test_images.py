"""Images are scanned with a model whose backdoor is known."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image as PillowImage

from defense.planted import planted_network, planted_scenes, stamped, sticker
from scanning.methods import HERE
from segdoor.data.pictures import read_image
from segdoor.errors import ConfigError, DataError
from segdoor.record.defense import load_defenses
from segdoor.scanning.images import scan_images
from segdoor.scanning.judged import ScanOrder
from segdoor.scanning.opening import ImageFiles
from segdoor.scanning.policy import load_policy

DETECTOR = f"{HERE}:FewCars"
CLEAN = planted_scenes(40, seed=3)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three images without labels, the first of which holds the sticker."""
    (tmp_path / "in" / "below").mkdir(parents=True)
    for number, scene in enumerate(planted_scenes(3, seed=1).scenes):
        image = stamped(scene.image, what=sticker()) if number == 0 else scene.image
        PillowImage.fromarray(image).save(tmp_path / "in" / "below" / f"{number}.png")
    (tmp_path / "in" / "notes.txt").write_text("no image")
    return tmp_path / "in"


def order(out: Path, **more: object) -> ScanOrder:
    return ScanOrder(out=out, named=(DETECTOR,), **more)


def test_the_image_with_the_sticker_is_found(folder: Path, tmp_path: Path) -> None:
    images, out = ImageFiles.of([folder]), tmp_path / "out"
    report = scan_images(images, CLEAN, planted_network(), order(out))
    bad = str(folder / "below" / "0.png")
    assert [row.name for row in report.suspects if row.suspect] == [bad]
    assert [(f.rule, f.files) for f in report.found] == [("scan-suspect-image", (bad,))]
    assert report.checks[0].why.startswith("1 of 3 images score above 0, set by 20 clean")
    assert {mark.id for mark in report.atlas} >= {"AML.T0043.004", "AML.M0015"}
    assert "0.0% of the 20 held-out clean scenes would be flagged" in report.cannot_tell[-1]
    assert read_image(out / "evidence.png").shape[0] > 200
    entry = load_defenses(out / "defenses.json").entries[0]
    assert {one.says for one in entry.evidence if one.scene == bad} == {
        "Cars that the model does not see.", "Suspect pixels of this image.",
    }  # fmt: skip


def test_the_clean_twin_is_not_alarmed(folder: Path, tmp_path: Path) -> None:
    model = planted_network(backdoor=False)
    report = scan_images(ImageFiles.of([folder]), CLEAN, model, order(tmp_path / "out"))
    assert (report.found, report.checks[0].outcome) == ((), "nothing found")


def test_too_few_clean_scenes_give_scores_and_no_verdict(folder: Path, tmp_path: Path) -> None:
    few = planted_scenes(10, seed=3)
    report = scan_images(ImageFiles.of([folder]), few, planted_network(), order(tmp_path / "out"))
    assert report.checks[0].outcome == "NOT RUN"
    assert "takes 20 held-out clean scenes, not 5. Give 40 clean" in report.checks[0].why
    assert report.found == ()
    assert report.suspects[0].name.endswith("0.png")


def test_detectors_may_have_to_agree(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "policy.yaml").write_text("images: {agree: 2}")
    policy = load_policy(tmp_path / "policy.yaml")
    alone = order(tmp_path / "out", policy=policy)
    report = scan_images(ImageFiles.of([folder]), CLEAN, planted_network(), alone)
    assert report.found == ()
    assert report.checks[0].num_suspects == 1


class TestFiles:
    @pytest.mark.parametrize("mode", ["L", "P", "RGBA", "1", "CMYK"])
    def test_odd_modes_are_read(self, mode: str, folder: Path, tmp_path: Path) -> None:
        path = folder / ("odd.jpg" if mode == "CMYK" else "odd.png")
        PillowImage.open(folder / "below" / "1.png").convert(mode).save(path)
        out = tmp_path / "out"
        report = scan_images(ImageFiles.of([path]), CLEAN, planted_network(), order(out))
        assert report.num_subjects == 1

    def test_files_and_folders_are_taken_once(self, folder: Path) -> None:
        one = folder / "below" / "0.png"
        assert list(ImageFiles.of([one, folder]).paths) == [
            str(folder / "below" / f"{n}.png") for n in range(3)
        ]

    @pytest.mark.parametrize(
        ("break_it", "said"),
        [
            ("missing", "the image or folder does not exist"),
            ("empty", "must hold images"),
            ("text", "must be an intact picture"),
            ("deep", "must have 8 bits a channel"),
        ],
    )
    def test_what_cannot_be_used_is_told(self, break_it: str, said: str, tmp_path: Path) -> None:
        path = tmp_path / "x.png"
        if break_it == "empty":
            path.mkdir()
        elif break_it == "text":
            path.write_text("no picture")
        elif break_it == "deep":
            PillowImage.new("I;16", (4, 4)).save(path)
        with pytest.raises(DataError, match=said):
            ImageFiles.of([path])

    def test_nothing_is_told(self) -> None:
        with pytest.raises(ConfigError, match="must name images"):
            ImageFiles.of([])
