"""Pictures for people: contact sheets of scenes, labels and poison."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from segdoor.attack.plan import PlanRow, PoisonPlan
from segdoor.attack.poisoned import poisoned
from segdoor.attack.triggers.trigger import Trigger
from segdoor.data.pictures import write_image
from segdoor.data.scene import Scene, SceneDataset
from segdoor.data.sheet import colour_label, planes, sheet
from segdoor.data.transforms import resize_image
from segdoor.record import PoisonedScene
from segdoor.tensors import AnyImage, Image

_MAX_HEIGHT = 384


def poison_preview(dataset: SceneDataset, plan: PoisonPlan, *, count: int = 4) -> Image:
    """Show the first poisoned scenes of a plan before and after (the paper's Figure 2)."""
    rows: list[tuple[str, list[AnyImage]]] = []
    for row, before, after in _before_and_after(dataset, plan, count):
        labels = [colour_label(scene.label, dataset.classes) for scene in (before, after)]
        where = _where(row, plan.trigger)
        rows.append((f"{row.name}: {where}", [before.image, after.image, *labels]))
    titles = ["image", "poisoned image", "label", "poisoned label"]
    return sheet(titles, rows, dataset.classes)


def _before_and_after(
    dataset: SceneDataset, plan: PoisonPlan, count: int
) -> Iterator[tuple[PlanRow, Scene, Scene]]:
    """Yield the first poisoned scenes of a plan, before and after poisoning."""
    changed = poisoned(dataset, plan)
    positions = {name: index for index, name in enumerate(dataset.names)}
    for row in [row for row in plan.rows if row.poisoned][:count]:
        yield row, dataset[positions[row.name]], changed[positions[row.name]]


def _where(row: PlanRow, trigger: Trigger) -> str:
    """Say where a trigger is, in characters that can be drawn."""
    if row.box is None:
        return "no trigger"
    if trigger.in_scene:
        return f"trigger in the scene itself: {trigger.title}"
    if trigger.whole_image:
        return "trigger over the whole image"
    distance = "-" if row.distance is None else f"{row.distance:.1f} px"
    return f"trigger on {row.class_under or 'several classes'}, {distance} away"


def save_poisoned_scenes(
    dataset: SceneDataset, plan: PoisonPlan, out: Path, *, count: int = 4
) -> tuple[PoisonedScene, ...]:
    """Write the first poisoned scenes before and after into the folder ``poison`` of a run.

    Returns:
        The scenes as a record lists them.
    """
    entries: list[PoisonedScene] = []
    shown = _before_and_after(dataset, plan, count)
    for number, (row, before, after) in enumerate(shown, start=1):
        pictures = {
            "image": before.image,
            "poisoned_image": after.image,
            "label": colour_label(before.label, dataset.classes),
            "poisoned_label": colour_label(after.label, dataset.classes),
        }
        entries.append(
            PoisonedScene(
                name=row.name, class_under=row.class_under, distance=row.distance,
                changed_pixels=row.changed_pixels,
                whole_image=plan.trigger.whole_image, in_scene=plan.trigger.in_scene,
                **write_pictures(out, f"poison/{number}", pictures),
            )
        )  # fmt: skip
    return tuple(entries)


def write_pictures(out: Path, stem: str, pictures: Mapping[str, AnyImage]) -> dict[str, str]:
    """Write pictures for screens, each to its own file.

    Args:
        out: A run's folder.
        stem: The beginning of their names, with a folder in it.
        pictures: By what they show; except for images, all are painted label maps.

    Returns:
        Their paths within the folder, by what they show.
    """
    files = {kind: f"{stem}-{kind}.png" for kind in pictures}
    for kind, picture in pictures.items():
        shown = for_screens(picture, painted=not kind.endswith("image"))
        write_image(out / files[kind], shown)
    return files


def for_screens(picture: AnyImage, *, painted: bool) -> AnyImage:
    """Return a picture no higher than screens need; a painted label map gains no new colours."""
    height, width = picture.shape[:2]
    if height <= _MAX_HEIGHT:
        return picture
    size = _MAX_HEIGHT, max(1, round(width * _MAX_HEIGHT / height))
    if not painted:
        return resize_image(picture, size)
    return np.dstack(planes(picture, size))
