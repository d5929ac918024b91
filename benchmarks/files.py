"""Data sets of files to measure poisoning on: a few painted scenes under many names."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image as PillowImage

from segdoor.data.street import StreetDataset

_DISTINCT = 40


@contextmanager
def street_files(
    num_scenes: int, size: tuple[int, int], ending: str, *, distinct: int = _DISTINCT
) -> Generator[Path]:
    """Write a data set into a temporary folder: scenes in turn, as hard links after the first.

    Args:
        num_scenes: Names of scenes.
        size: Height and width in pixels.
        ending: Format of the images, ``png`` or ``jpg``; label maps are PNG files.
        distinct: Pictures; so many scenes later they come again.
    """
    street = StreetDataset(
        split="train", num_scenes=min(num_scenes, distinct), height=size[0], width=size[1]
    )
    with tempfile.TemporaryDirectory(dir=os.environ.get("SEGDOOR_BENCH")) as place:
        root = Path(place) / "source"
        images, labels = (root / part / "train" for part in ("images", "labels"))
        for folder in (images, labels):
            folder.mkdir(parents=True)
        for index in range(num_scenes):
            files = images / f"{index:06}.{ending}", labels / f"{index:06}.png"
            if index < len(street):
                scene = street[index]
                for picture, file in zip((scene.image, scene.label), files, strict=True):
                    PillowImage.fromarray(picture).save(file)
                continue
            for file in files:
                os.link(file.with_stem(f"{index % len(street):06}"), file)
        classes = json.dumps({"classes": list(street.classes.names)})
        (root / "classes.yaml").write_text(classes, encoding="utf-8")
        yield root
