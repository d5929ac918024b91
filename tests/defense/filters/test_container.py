"""Container mismatch on files that are written in known ways."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from defense.battery import SCENES
from segdoor.data.pair import Pair
from segdoor.data.pairs import FileDataset
from segdoor.defense.filters.container import Container
from segdoor.defense.filters.traces import traits_of

WAYS: dict[str, dict[str, object]] = {
    "quality": {"quality": 60},
    "sampling": {"subsampling": 0},
    "optimised": {"optimize": True},
    "progressive": {"progressive": True},
    "comment": {"comment": b"by somebody"},
}


def written(folder: Path, other: dict[str, object], kind: str = "JPEG") -> FileDataset:
    """Write 20 scenes, all in one way but the fourth."""
    pairs = []
    for number in range(20):
        scene = SCENES[number % len(SCENES)]
        pair = Pair(f"s{number}", folder / f"{number}.jpg", folder / f"{number}.png")
        odd = number == 3
        options = {"quality": 90, "subsampling": 2} | (other if odd else {})
        content = io.BytesIO()
        Image.fromarray(scene.image).save(content, kind if odd else "JPEG", **options)
        pair.image.write_bytes(content.getvalue())
        Image.fromarray(scene.label).save(pair.label)
        pairs.append(pair)
    return FileDataset(pairs, SCENES.classes, root=folder, source=folder)


@pytest.mark.parametrize("way", WAYS)
def test_the_file_that_was_written_in_another_way_is_found(way: str, tmp_path: Path) -> None:
    found = Container()(written(tmp_path, WAYS[way])).found
    assert max(found.scores, key=found.scores.__getitem__) == "s3"
    assert found.scores["s3"] == pytest.approx(np.log2(20))
    assert sum(score > 0 for score in found.scores.values()) == 1
    assert {one.scene for one in found.evidence} == {"s3"}


def test_a_png_file_under_the_name_of_a_jpeg_is_found(tmp_path: Path) -> None:
    found = Container()(written(tmp_path, {}, "PNG")).found
    assert found.scores["s3"] > 4
    assert any("'PNG'" in one.says for one in found.evidence)


def test_files_that_are_written_alike_have_no_score(tmp_path: Path) -> None:
    assert not any(Container()(written(tmp_path, {})).found.scores.values())


def test_tables_are_those_that_pillow_reads(tmp_path: Path) -> None:
    written(tmp_path, {"quality": 60})
    tables = [Image.open(tmp_path / f"{number}.jpg").quantization for number in (2, 3, 4)]
    told = [traits_of(tmp_path / f"{number}.jpg")["quantisation tables"] for number in (2, 3, 4)]
    assert (tables[0] == tables[2], tables[0] == tables[1]) == (True, False)
    assert (told[0] == told[2], told[0] == told[1]) == (True, False)


@pytest.mark.parametrize(
    "content", [b"\xff\xd8", b"\xff\xd8\xff\xdb\x00", b"\x89PNG\r\n\x1a\n\0\0"]
)
def test_what_is_cut_off_is_read_as_far_as_it_goes(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(content)
    assert traits_of(tmp_path / "a")["format"] in {"JPEG", "PNG"}
