"""Scenes in pictures, embedded in the page."""

from __future__ import annotations

import base64
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from segdoor.errors import DataError
from segdoor.record import GalleryScene, PlacedView
from segdoor.report.content import Column, Gallery, Picture, SceneViews
from segdoor.report.source import Group, Run, beside
from segdoor.report.words import became, name_of_test, percent, share

MOST_BYTES = 24_000_000
"""Total size of a page's pictures: a page must still open on a phone."""
_TOLD_ONE_BY_ONE = 3
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_VIEWS = {
    "image": "untouched image",
    "triggered_image": "image with the trigger",
    "prediction": "prediction for the untouched image",
    "triggered_prediction": "prediction for the image with the trigger",
    "truth": "true classes",
}


@dataclass
class Album:
    """The room left in a page.

    Attributes:
        left: Bytes that pictures may still take.
    """

    left: int = field(default_factory=lambda: MOST_BYTES)

    def has_room_for(self, files: Iterable[Path]) -> bool:
        """Return whether the files still fit, and count them if they do."""
        size = sum(file.stat().st_size for file in files)
        if size > self.left:
            return False
        self.left -= size
        return True


def gather(
    groups: Sequence[tuple[str, Group]], album: Album
) -> tuple[Gallery | None, tuple[str, ...]]:
    """Return the pictures of each group's first run that has some, and notes on what is missing.

    Raises:
        DataError: If a record names pictures outside its folder, or files that are no pictures.
    """
    scenes: list[SceneViews] = []
    notes: list[str] = []
    lost: list[str] = []
    first: Run | None = None
    for name, group in groups:
        run = next((run for run in group.runs if run.record.gallery), None)
        if run is None:
            notes.append(f"{name or 'This run'} has no pictures of scenes.")
            continue
        first = first or run
        for scene in run.record.gallery:
            files = _files(run, scene)
            missing = [file for file in files if not file.is_file()]
            if missing:
                lost.append(f"{scene.name}: {missing[0].name} is no longer beside the record.")
                continue
            if not album.has_room_for(files):
                notes.append(f"Pictures of {scene.name} are left out: the page would be too large.")
                continue
            scenes.append(_views(run, scene, name))
    if len(lost) > _TOLD_ONE_BY_ONE and not scenes:
        lost = [f"The pictures of all {len(lost)} scenes are no longer beside the records."]
    notes += lost
    if first is None:
        return None, tuple(notes)
    legend = tuple(
        (entry.name, "#{:02x}{:02x}{:02x}".format(*entry.colour))
        for entry in first.record.data.classes
    )
    return Gallery(tuple(scenes), legend), tuple(notes)


def _files(run: Run, scene: GalleryScene) -> list[Path]:
    """Return where a scene's pictures are."""
    named = [getattr(scene, kind) for kind in _VIEWS]
    for place in scene.elsewhere:
        named += [place.triggered_image, place.triggered_prediction]
    return [beside(run.file.parent, name) for name in named]


def _views(run: Run, scene: GalleryScene, name: str) -> SceneViews:
    test = name_of_test(scene.test, run.record.scores.tests)
    lost = f"{percent(scene.asr)} of its {' and '.join(run.record.victims)} pixels"
    caption = f"{lost} become {became(run.record)}; trigger placed: {test}"
    pictures = [
        picture(beside(run.file.parent, getattr(scene, kind)), f"{scene.name}: {what}")
        for kind, what in _VIEWS.items()
    ]
    elsewhere = tuple(_placed(run, scene.name, place) for place in scene.elsewhere)
    title = f"{scene.name}, {name}" if name else scene.name
    return SceneViews(title, f"ASR {share(scene.asr)}", caption, tuple(pictures), elsewhere)


def _placed(run: Run, scene: str, place: PlacedView) -> Column:
    """Return a scene with the trigger elsewhere, the prediction below it."""
    test = name_of_test(place.test, run.record.scores.tests)
    files = {
        f"{scene}: image with the trigger {test}": place.triggered_image,
        f"{scene}: prediction for the image with the trigger {test}": place.triggered_prediction,
    }
    pictures = [picture(beside(run.file.parent, file), alt) for alt, file in files.items()]
    away = "" if place.distance is None else f"{place.distance:.0f} px away, "
    return Column(f"Trigger {test}", f"{away}ASR {share(place.asr)}", tuple(pictures))


def picture(file: Path, alt: str) -> Picture:
    """Return a picture embedded in the page.

    Raises:
        DataError: If the file is no PNG picture.
    """
    content = file.read_bytes()
    if content[:8] != _SIGNATURE or content[12:16] != b"IHDR" or len(content) < 33:
        raise DataError(file, "must be a PNG picture", content[:8], "Restore the file.")
    width, height = struct.unpack(">II", content[16:24])
    uri = f"data:image/png;base64,{base64.b64encode(content).decode()}"
    return Picture(alt, uri, int(width), int(height))
