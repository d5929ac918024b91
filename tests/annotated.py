"""Small data sets with annotations, as their makers' tools write them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from pycocotools import mask as runs

from trees import SIZES, painted, save, write_lines

NAMES = ("road", "car", "tree")
KEYS = (7, 3, 90)
"""Ids of the categories, in their order: neither from 0 on nor sorted."""


def outlines(index: int) -> list[tuple[str, list[list[float]]]]:
    """Return a scene's objects in the order drawn: a road, two cars on it, a tree over one."""
    height, width = SIZES[index % len(SIZES)]
    right, bottom = width - 1.0, height - 1.0
    road = [[0.0, height * 0.5, right + 9, height * 0.5, right + 9, bottom + 5, 0.0, bottom + 5]]
    left = 4.0 + index
    car = [[left, height * 0.6, left + 12, height * 0.6, left + 14.5, height * 0.8, left, 30.25]]
    far = 30.0
    two = [
        [far, height * 0.55, far + 6, height * 0.55, far + 6, height * 0.7],
        [far + 8, height * 0.55, far + 12, height * 0.55, far + 12, height * 0.7, far + 8, 30.5],
    ]
    tree = [[left + 8, 2.0, left + 18, 2.0, left + 11, height * 0.72]]
    return [("road", road), ("car", car), ("car", two), ("tree", tree)]


def compressed(polygons: list[list[float]], size: tuple[int, int]) -> dict[str, object]:
    packed = runs.merge(runs.frPyObjects(polygons, *size))
    return {"size": list(size), "counts": packed["counts"].decode()}


def plain(polygons: list[list[float]], size: tuple[int, int]) -> dict[str, object]:
    """Return run lengths as a list, which begins with pixels outside."""
    mask = runs.decode(runs.merge(runs.frPyObjects(polygons, *size)))
    flat = [0, *mask.ravel(order="F").tolist()]
    edges = [0, *(np.flatnonzero(np.diff(flat)) + 0).tolist(), len(flat) - 1]
    return {"size": list(size), "counts": np.diff(edges).tolist()}


def coco_entries(split: str) -> dict[str, object]:
    """Return the content of an annotation file: polygons, packed and plain run lengths, a crowd."""
    images: list[dict[str, object]] = []
    annotations: list[dict[str, object]] = []
    for index in range(4):
        height, width = SIZES[index]
        key = 100 + index
        images.append(
            {"id": key, "file_name": f"{split}{index}.png", "height": height, "width": width}
        )
        for place, (name, polygons) in enumerate(outlines(index)):
            segmentation: object = polygons
            if place == 3:
                form = compressed if index % 2 else plain
                segmentation = form(polygons, (height, width))
            annotations.append({
                "id": 1000 * (index + 1) + place, "image_id": key,
                "category_id": KEYS[NAMES.index(name)], "segmentation": segmentation,
                "area": 1.5, "bbox": [0, 0, 1, 1], "iscrowd": 0,
            })  # fmt: skip
    crowd = plain([[0.0, 0.0, 6.0, 0.0, 6.0, 5.0, 0.0, 5.0]], SIZES[0])
    annotations.append({
        "segmentation": crowd, "area": 30, "iscrowd": 1, "image_id": 100, "bbox": [0, 0, 6, 5],
        "category_id": KEYS[1], "id": 9,
    })  # fmt: skip
    # Other tools write annotations of all images in one order of their own.
    mixed = [*annotations[4:], *annotations[:4]]
    categories = [{"id": key, "name": name} for key, name in zip(KEYS, NAMES, strict=True)]
    return {
        "info": {"year": 2026},
        "images": images,
        "annotations": mixed,
        "categories": categories,
    }


def write_images(folder: Path, split: str) -> None:
    for index in range(4):
        save(folder / f"{split}{index}.png", painted(index).image)


def write_json(path: Path, content: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")


def write_coco(root: Path, *, background: bool = False) -> None:
    for split in ("train", "val"):
        write_json(root / "annotations" / f"instances_{split}.json", coco_entries(split))
        write_images(root / split, split)
    if background:
        write_background(root)


def write_background(root: Path) -> None:
    write_lines(root / "classes.yaml", ["classes: [background, tree, car, road]"])


def yolo_lines(index: int) -> list[str]:
    """Return a scene's text: a polygon a line, cut off at the picture, in parts of its size."""
    height, width = SIZES[index % len(SIZES)]
    lines: list[str] = []
    for name, polygons in outlines(index):
        for polygon in polygons:
            points = np.array(polygon).reshape(-1, 2) / (width, height)
            numbers = " ".join(f"{number:.6f}" for number in points.clip(0, 1).ravel())
            lines.append(f"{NAMES.index(name)} {numbers}")
    return lines


def write_yolo(root: Path, *, background: bool = False) -> None:
    """Write four scenes a split, the last of each without a text."""
    for split in ("train", "val"):
        write_images(root / "images" / split, split)
        for index in range(3):
            write_lines(root / "labels" / split / f"{split}{index}.txt", yolo_lines(index))
    names = "".join(f"  {number}: {name}\n" for number, name in enumerate(NAMES))
    settings = f"path: ../datasets/mine\ntrain: images/train\nval: images/val\nnames:\n{names}"
    write_lines(root / "data.yaml", [settings])
    if background:
        write_background(root)


def write_panoptic(root: Path, *, background: bool = False) -> None:
    """Write the same scenes as pictures of segments, with what COCO's file says of them."""
    for split in ("train", "val"):
        content = coco_entries(split)
        table = dict(zip(KEYS, NAMES, strict=True))
        annotations: list[dict[str, object]] = []
        for index in range(4):
            height, width = SIZES[index]
            ids = np.zeros((height, width), np.int64)
            segments = []
            for place, (name, polygons) in enumerate(outlines(index)):
                number = 1 + place * 70_001
                mask = runs.decode(runs.merge(runs.frPyObjects(polygons, height, width)))
                ids[mask > 0] = number
                key = next(key for key, told in table.items() if told == name)
                crowd = int(index == 0 and place == 2)
                segments.append({
                    "id": number, "category_id": key, "iscrowd": crowd, "area": 1,
                    "bbox": [0, 0, 1, 1],
                })  # fmt: skip
            colours = np.stack([ids >> shift & 255 for shift in (0, 8, 16)], axis=-1)
            save(root / "annotations" / f"panoptic_{split}" / f"{split}{index}.png",
                 colours.astype(np.uint8))  # fmt: skip
            annotations.append({
                "segments_info": segments, "file_name": f"{split}{index}.png",
                "image_id": 100 + index,
            })  # fmt: skip
        content["annotations"] = annotations
        write_json(root / "annotations" / f"panoptic_{split}.json", content)
        write_images(root / split, split)
    if background:
        write_background(root)
