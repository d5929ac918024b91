"""Scenes beside one another: degenerate data, palettes, and the same pictures in two splits."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image as PillowImage

from segdoor.experiment.wishes import wishes_from
from segdoor.inspection.pictures_alike import ALIKE, Match, Pictures, matches, sketch
from segdoor.inspection.survey import Overview, survey
from segdoor.papers.iba.reading import asked
from segdoor.progress import Silent
from segdoor.record.findings import RULES, Finding
from trees import save

COLOURS = [0, 0, 0, 200, 0, 0, 0, 200, 0, 0, 0, 200]
"""Of classes 0 to 3."""
RNG = np.random.default_rng(5)


def photo(number: int, size: tuple[int, int] = (48, 64)) -> np.ndarray:
    """Return a picture with structure on the scale of photographs."""
    rng = np.random.default_rng(number)
    coarse = rng.integers(0, 256, (7, 9, 3), np.uint8)
    return cv2.resize(coarse, size[::-1], interpolation=cv2.INTER_CUBIC)


def label(*values: int) -> np.ndarray:
    found = np.zeros((48, 64), np.uint8)
    for place, value in enumerate(values):
        found[:, place * 64 // len(values) :] = value
    return found


def write(
    root: Path,
    split: str,
    *labels: np.ndarray,
    first: int = 0,
    palette: list[int] | None = None,
    images: list[np.ndarray] | None = None,
) -> None:
    """Write scenes of a split, named by their numbers."""
    for number, values in enumerate(labels):
        image = images[number] if images else photo(1000 * first + number)
        save(root / "images" / split / f"{first + number}.png", image)
        save(root / "labels" / split / f"{first + number}.png", values, palette)
    (root / "classes.yaml").write_text("classes: [void, road, car, sky]\n")


def look(root: Path, split: str = "train", **data: object) -> Overview:
    given = {"name": "folder", "root": str(root), **data}
    overview, _ = survey(asked(wishes_from({"data": given})), split, observer=Silent())
    assert overview.problems == tuple(
        each.message for each in overview.findings if each.level == "error"
    )
    assert all(each.level == RULES[each.rule].level for each in overview.findings)
    return overview


def by_rule(overview: Overview) -> dict[str, list[Finding]]:
    rules: dict[str, list[Finding]] = {}
    for finding in overview.findings:
        rules.setdefault(finding.rule, []).append(finding)
    return rules


class TestDegenerate:
    def test_sound_scenes_have_no_findings(self, tmp_path: Path) -> None:
        write(tmp_path, "train", label(0, 1, 2, 3), label(0, 1, 2, 3))
        write(tmp_path, "test", label(0, 1, 2, 3), first=9)
        overview = look(tmp_path)
        assert overview.findings == ()
        assert overview.compared_with == "test"
        assert look(tmp_path, "test").compared_with == "train"

    def test_without_another_split_scenes_are_looked_at_alone(self, tmp_path: Path) -> None:
        write(tmp_path, "train", label(0, 1, 2))
        overview = look(tmp_path)
        assert overview.compared_with is None
        assert [found.message for found in overview.findings] == ["never in train: sky"]

    def test_a_split_without_labels_is_a_problem(self, tmp_path: Path) -> None:
        write(tmp_path, "train", label(255), label(255))
        write(tmp_path, "test", label(0, 1, 2, 3), first=9)
        found = by_rule(look(tmp_path))
        assert list(found) == ["data-unlabelled"]
        assert "all pixels are 255, ignored" in found["data-unlabelled"][0].message

    def test_classes_that_are_missing_somewhere(self, tmp_path: Path) -> None:
        write(tmp_path, "train", label(0, 1), label(1, 0, 255))
        write(tmp_path, "test", label(0, 2, 0), first=9)
        found = by_rule(look(tmp_path))
        assert [each.message for each in found["data-class-absent"]] == [
            "never in train or test: sky"
        ]
        assert [each.message for each in found["data-class-in-one-split"]] == [
            "found in train but not in test: road",
            "found in test but not in train: car",
        ]

    def test_masks_of_0_and_255_are_told(self, tmp_path: Path) -> None:
        write(tmp_path, "train", label(0, 255), label(0, 255))
        write(tmp_path, "test", label(0, 255), first=9)
        found = by_rule(look(tmp_path))
        assert "road, car, sky" in found["data-class-absent"][0].message
        (alone,) = found["data-one-class-scenes"]
        assert alone.scenes == ("0", "1")
        assert [Path(file).name for file in alone.files] == ["0.png", "1.png"]


class TestPalettes:
    def swapped(self) -> list[int]:
        return [*COLOURS[:3], *COLOURS[6:9], *COLOURS[3:6], *COLOURS[9:]]

    def test_swapped_indices_are_told_with_their_files(self, tmp_path: Path) -> None:
        whole = label(0, 1, 2, 3)
        write(tmp_path, "train", whole, whole, whole, palette=COLOURS)
        write(tmp_path, "train", whole, whole, first=5, palette=self.swapped())
        write(tmp_path, "test", whole, first=9, palette=self.swapped())
        (finding,) = by_rule(look(tmp_path))["data-palette"]
        assert sorted(Path(file).name for file in finding.files) == ["5.png", "6.png", "9.png"]
        assert "palettes of 3 label maps have the colour (0, 200, 0) at index 1" in finding.message
        assert "those of 3 others at index 2" in finding.message

    def test_entries_that_do_not_occur_may_hold_anything(self, tmp_path: Path) -> None:
        write(tmp_path, "train", label(0, 1, 2, 3), label(0, 1, 2, 3), palette=COLOURS)
        write(tmp_path, "train", label(0, 3), first=5, palette=self.swapped())
        padded = [*COLOURS[:6], *[0] * 762]
        write(tmp_path, "train", label(0, 1), first=7, palette=padded)
        assert "data-palette" not in by_rule(look(tmp_path))

    def test_other_colours_and_no_palettes_say_nothing(self, tmp_path: Path) -> None:
        write(tmp_path, "train", label(0, 1, 2, 3), label(0, 1, 2, 3), palette=COLOURS)
        other = [value + 7 for value in COLOURS]
        write(tmp_path, "train", label(0, 1, 2, 3), first=5, palette=other)
        write(tmp_path, "train", label(0, 1, 2, 3), first=7)
        assert "data-palette" not in by_rule(look(tmp_path))

    def test_where_the_colour_counts_its_index_does_not(self, tmp_path: Path) -> None:
        whole = label(0, 1, 2, 3)
        write(tmp_path, "train", whole, whole, palette=COLOURS)
        write(tmp_path, "train", whole, first=5, palette=self.swapped())
        colours = [COLOURS[place : place + 3] for place in range(0, 12, 3)]
        classes = [{"name": f"c{place}", "colour": c} for place, c in enumerate(colours)]
        told = {"labels": "colours", "classes": classes}
        (tmp_path / "classes.yaml").write_text(json.dumps(told))
        assert "data-palette" not in by_rule(look(tmp_path))


class TestSamePictures:
    def test_the_same_pixels_in_another_file(self, tmp_path: Path) -> None:
        whole = label(0, 1, 2, 3)
        write(tmp_path, "train", whole, whole, images=[photo(1), photo(2)])
        write(tmp_path, "test", whole, whole, first=8, images=[photo(3), photo(2)])
        PillowImage.open(tmp_path / "images/test/9.png").save(tmp_path / "images/test/9.bmp")
        (tmp_path / "images/test/9.png").unlink()
        (finding,) = look(tmp_path).findings
        assert finding.rule == "data-same-picture"
        assert [Path(file).name for file in finding.files] == ["1.png", "9.bmp"]

    def test_an_encoded_again_and_resized_picture_is_almost_the_same(self, tmp_path: Path) -> None:
        whole = label(0, 1, 2, 3)
        write(tmp_path, "train", whole, whole, images=[photo(1, (96, 128)), photo(2)])
        (tmp_path / "labels/train/0.png").unlink()
        save(tmp_path / "labels/train/0.png", np.kron(whole, np.ones((2, 2), np.uint8)))
        write(tmp_path, "test", whole, first=8, images=[cv2.resize(photo(1, (96, 128)), (64, 48))])
        PillowImage.open(tmp_path / "images/test/8.png").save(
            tmp_path / "images/test/8.jpg", quality=60
        )
        (tmp_path / "images/test/8.png").unlink()
        (finding,) = look(tmp_path).findings
        assert finding.rule == "data-near-duplicate"
        assert [Path(file).name for file in finding.files] == ["0.png", "8.jpg"]

    def test_what_cannot_be_read_in_the_other_split_is_left_out(self, tmp_path: Path) -> None:
        whole = label(0, 1, 2, 3)
        write(tmp_path, "train", whole, images=[photo(1)])
        write(tmp_path, "test", whole, whole, first=8, images=[photo(1), photo(2)])
        (tmp_path / "images/test/9.png").write_bytes(b"broken")
        assert [each.rule for each in look(tmp_path).findings] == ["data-same-picture"]
        (tmp_path / "images/test/8.png").write_bytes(b"broken")
        overview = look(tmp_path)
        assert (overview.findings, overview.compared_with) == ((), None)


class TestSketches:
    def pictures(self, *images: np.ndarray) -> Pictures:
        found = Pictures()
        for image in images:
            found.add(image)
        return found

    def test_a_sketch_by_hand(self) -> None:
        ramp = np.repeat(np.arange(0, 255, 5, np.uint8)[None, :, None], 48, axis=0)
        rising = np.repeat(ramp, 3, axis=2)
        assert np.bitwise_count(sketch(rising)).sum() == 0
        assert np.bitwise_count(sketch(np.ascontiguousarray(rising[:, ::-1]))).sum() == 256

    def test_brightness_noise_and_encoding_do_not_matter_and_another_picture_does(self) -> None:
        image = photo(3, (180, 240))
        noisy = np.clip(image + RNG.normal(0, 4, image.shape), 0, 255).astype(np.uint8)
        jpeg = cv2.imdecode(cv2.imencode(".jpg", image)[1], cv2.IMREAD_COLOR)
        for other in (noisy, jpeg, (image * 0.8).astype(np.uint8), cv2.resize(image, (120, 90))):
            (match,) = matches(self.pictures(image), self.pictures(photo(4), other))
            assert match.second == 1
            assert match.difference is not None
            assert match.difference <= ALIKE
        others = self.pictures(*(photo(number) for number in range(10, 60)))
        assert list(matches(self.pictures(image), others)) == []

    def test_pictures_without_contrast_are_never_alike(self) -> None:
        black, white = np.zeros((48, 64, 3), np.uint8), np.full((48, 64, 3), 255, np.uint8)
        assert sketch(black) is None
        assert list(matches(self.pictures(black), self.pictures(white))) == []
        same = list(matches(self.pictures(photo(1), black), self.pictures(white, black)))
        assert same == [Match(1, 1, None)]

    def test_the_nearest_of_several_is_named(self) -> None:
        image = photo(3, (180, 240))
        little, more = image.copy(), image.copy()
        little[:20, :20] = 0
        more[:60, :60] = 0
        (match,) = matches(self.pictures(image), self.pictures(more, little))
        assert match.second == 1


@pytest.mark.parametrize("split", ["train", "test"])
def test_painted_scenes_are_compared_with_nothing(split: str) -> None:
    given = asked(wishes_from({"data": {"num_train": 3, "num_test": 3, "size": [48, 96]}}))
    overview, _ = survey(given, split, observer=Silent())
    assert overview.compared_with is None
