"""Data sets written as their makers or common trainers lay them out, from scenes of the street."""

from __future__ import annotations

import csv
import functools
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image as PillowImage
from scipy.io import savemat

from segdoor.data.cityscapes import CITYSCAPES_CLASSES, CODINGS
from segdoor.data.scene import Scene
from segdoor.data.street import StreetDataset
from segdoor.data.voc import VOC_CLASSES

STREET = StreetDataset(split="train", num_scenes=1).classes.names
SIZES = ((48, 64), (40, 80), (64, 48), (52, 76))


def scenes(names: Sequence[str]) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Yield name, image and street label, of several sizes."""
    for index, name in enumerate(names):
        scene = painted(index)
        yield name, scene.image, scene.label


@functools.cache
def painted(index: int) -> Scene:
    height, width = SIZES[index % len(SIZES)]
    return StreetDataset(split="train", num_scenes=index + 1, height=height, width=width)[index]


def save(path: Path, pixels: np.ndarray, palette: Sequence[int] | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = PillowImage.fromarray(pixels)
    if palette is not None:
        picture.putpalette(list(palette))
    picture.save(path)


def write_lines(path: Path, lines: Sequence[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def as_voc(label: np.ndarray) -> np.ndarray:
    """Return a street label in VOC's ids: cars and persons before the background."""
    table = np.zeros(256, np.uint8)
    table[STREET.index("car")] = VOC_CLASSES.names.index("car")
    table[STREET.index("person")] = VOC_CLASSES.names.index("person")
    table[255] = 255
    return table[label]


def as_train_ids(label: np.ndarray) -> np.ndarray:
    table = np.full(256, 255, np.uint8)
    for index, name in enumerate(STREET):
        table[index] = CITYSCAPES_CLASSES.names.index(name)
    return table[label]


def as_label_ids(label: np.ndarray) -> np.ndarray:
    """Return a street label in label ids, with every id of 0 to 33 in its first row."""
    of_class = {meant: stored for stored, meant in reversed(CODINGS["labelIds"].meaning)}
    stored = np.vectorize(of_class.get, otypes=[np.uint8])(as_train_ids(label))
    stored[0, :34] = np.arange(34)
    return stored


def voc_palette() -> list[int]:
    """Return VOC's palette of 256 colours, by the bit pattern its makers publish."""
    colours = np.zeros((256, 3), int)
    for index in range(256):
        rest = index
        for bit in range(8):
            for channel in range(3):
                colours[index, channel] |= (rest >> channel & 1) << (7 - bit)
            rest >>= 3
    return colours.ravel().tolist()


def write_mat(path: Path, label: np.ndarray) -> None:
    """Write a label map as SBD does: a struct with further fields."""
    path.parent.mkdir(parents=True, exist_ok=True)
    boundaries = np.empty((20, 1), object)
    for index in range(20):
        boundaries[index, 0] = np.zeros((2, 2))
    fields = {"Boundaries": boundaries, "Segmentation": label, "CategoriesPresent": [7, 15]}
    savemat(path, {"GTcls": fields}, do_compression=True)


VOC_LISTS = {"train": ("a1", "a2", "a3"), "val": ("v1", "v2", "v3"), "test": ("t1",)}
SBD_LISTS = {"train": ("a2", "b1", "v1", "b3"), "val": ("b2", "v2", "a3")}
TRAINAUG = ("a1", "a2", "a3", "b1", "b2", "b3")


def write_voc(folder: Path, *, sbd: Path | None = None, aug: bool = False) -> None:
    """Write VOC2012 with nine labelled scenes, and SBD's labels of some."""
    lists = folder / "ImageSets" / "Segmentation"
    for split, names in VOC_LISTS.items():
        write_lines(lists / f"{split}.txt", names)
    write_lines(lists / "trainval.txt", [*VOC_LISTS["train"], *VOC_LISTS["val"]])
    own = {*VOC_LISTS["train"], *VOC_LISTS["val"]}
    everyone = sorted({*own, *TRAINAUG, *VOC_LISTS["test"]})
    for name, image, street in scenes(everyone):
        label = as_voc(street)
        save(folder / "JPEGImages" / f"{name}.jpg", image)
        if name in own:
            save(folder / "SegmentationClass" / f"{name}.png", label, voc_palette())
        # SBD knows no void, which tells its labels from VOC's own.
        extra = np.where(label == 255, 0, label).astype(np.uint8)
        if aug and name not in VOC_LISTS["test"]:
            save(folder / "SegmentationClassAug" / f"{name}.png", extra)
        if sbd is not None and name in {*SBD_LISTS["train"], *SBD_LISTS["val"]}:
            write_mat(sbd / "cls" / f"{name}.mat", extra)
    if sbd is not None:
        for split, names in SBD_LISTS.items():
            write_lines(sbd / f"{split}.txt", names)


CITIES = {"train": ("aachen", "bochum"), "val": ("lindau",)}


def write_cityscapes(root: Path, *, kinds: Sequence[str] = ("labelIds",)) -> None:
    """Write four scenes a city."""
    written = {"labelIds": as_label_ids, "labelTrainIds": as_train_ids}
    for split, cities in CITIES.items():
        for city in cities:
            names = [f"{city}_{index:06d}_000019" for index in range(4)]
            for name, image, street in scenes(names):
                save(root / "leftImg8bit" / split / city / f"{name}_leftImg8bit.png", image)
                labels = root / "gtFine" / split / city
                for kind in kinds:
                    save(labels / f"{name}_gtFine_{kind}.png", written[kind](street))
                save(labels / f"{name}_gtFine_color.png", image)
                (labels / f"{name}_gtFine_polygons.json").write_text("{}")


NAMES = ("one", "two", "three", "four", "five")


def write_classes(root: Path) -> None:
    root.mkdir(parents=True, exist_ok=True)
    (root / "classes.yaml").write_text(json.dumps({"classes": list(STREET)}))


def write_semseg(root: Path) -> None:
    write_classes(root)
    for name, image, label in scenes(NAMES):
        save(root / "JPEGImages" / f"{name}.jpg", image)
        save(root / "SegmentationClassAug" / f"{name}.png", label, voc_palette())
    lines = [f"/JPEGImages/{name}.jpg /SegmentationClassAug/{name}.png" for name in NAMES]
    write_lines(root / "list" / "train_aug.txt", lines)


def write_mmseg(root: Path, *, image: str = "", label: str = "") -> None:
    write_classes(root)
    for name, pixels, ids in scenes(NAMES):
        save(root / "img_dir" / "train" / f"{name}{image}.png", pixels)
        save(root / "ann_dir" / "train" / f"{name}{label}.png", ids)


def write_hub(root: Path, *, ending: str, below: str = "train", column: str = "mask") -> None:
    """Write an image folder of the Hugging Face hub."""
    write_classes(root)
    rows: list[dict[str, str]] = []
    for name, image, label in scenes(NAMES):
        save(root / below / "images" / f"{name}.jpg", image)
        save(root / below / "masks" / f"{name}.png", label)
        rows.append({"file_name": f"images/{name}.jpg", column: f"masks/{name}.png"})
    path = root / below / f"metadata.{ending}"
    if ending == "jsonl":
        write_lines(path, [json.dumps(row) for row in rows])
        return
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, ["file_name", column])
        writer.writeheader()
        writer.writerows(rows)
