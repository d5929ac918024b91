"""Data sets whose label files hold other values than class ids, or colours."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import yaml
from PIL import Image as PillowImage

from trees import NAMES, STREET, save, scenes
from turned import TAG

VALUES = [[10 * index + 3, 10 * index + 4] for index in range(len(STREET))]
COLOURS = [[[20 * index, 7, 200], [20 * index, 8, 250]] for index in range(len(STREET))]
VOID, BLACK = [1, 2], [[0, 0, 0], [255, 255, 255]]


def one_of(label: np.ndarray, of_class: np.ndarray, void: np.ndarray) -> np.ndarray:
    """Return for each pixel one of the two codes of its class, in a pattern of a chessboard."""
    table = np.zeros((256, *of_class.shape[1:]), np.uint8)
    table[: len(of_class)], table[255] = of_class, void
    return table[label, np.indices(label.shape).sum(axis=0) % 2]


def write(root: Path, told: dict[str, object], store: Callable[[np.ndarray, Path], None]) -> None:
    (root / "labels" / "train").mkdir(parents=True)
    (root / "classes.yaml").write_text(yaml.safe_dump(told))
    for name, image, label in scenes(NAMES):
        save(root / "images" / "train" / f"{name}.png", image)
        store(label, root / "labels" / "train" / f"{name}.png")


def write_values(root: Path) -> None:
    classes = [{"name": n, "values": v} for n, v in zip(STREET, VALUES, strict=True)]
    codes, void = np.array(VALUES), np.array(VOID)
    told = {"classes": classes, "ignore": VOID}
    write(root, told, lambda label, path: save(path, one_of(label, codes, void)))


def write_reduced(root: Path) -> None:
    told = {"classes": list(STREET), "reduce_zero_label": True}
    # 255 + 1 is 0 in eight bits.
    write(root, told, lambda label, path: save(path, label + np.uint8(1)))


def write_colours(root: Path, *, mode: str = "RGB", tag: int = 1) -> None:
    codes, void = np.array(COLOURS), np.array(BLACK)

    def store(label: np.ndarray, path: Path) -> None:
        picture = PillowImage.fromarray(one_of(label, codes, void))
        if mode == "P":
            picture = picture.quantize(256, dither=PillowImage.Dither.NONE)
        elif mode == "RGBA":
            picture.putalpha(PillowImage.fromarray(np.where(label == 0, 90, 255).astype(np.uint8)))
        picture = picture.transpose(PillowImage.Transpose.ROTATE_90) if tag == 6 else picture
        exif = PillowImage.Exif()
        exif[TAG] = tag
        picture.save(path, exif=exif)

    classes = [{"name": n, "colours": c} for n, c in zip(STREET, COLOURS, strict=True)]
    write(root, {"labels": "colours", "classes": classes, "ignore": BLACK}, store)


def write_named(root: Path) -> None:
    """Write IDD-Lite's layout and names, with its pictures of instances beside the labels."""
    told = {
        "classes": list(STREET),
        "files": {
            "image": "leftImg8bit/{split}/*_image.jpg",
            "label": "gtFine/{split}/*_label.png",
        },
    }
    root.mkdir()
    (root / "classes.yaml").write_text(yaml.safe_dump(told))
    for name, image, label in scenes(NAMES):
        save(root / "leftImg8bit" / "train" / "7" / f"{name}_image.jpg", image)
        save(root / "gtFine" / "train" / "7" / f"{name}_label.png", label)
        save(root / "gtFine" / "train" / "7" / f"{name}_inst_label.png", label)
