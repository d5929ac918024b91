"""Scenes in pictures, taken into the page."""

from __future__ import annotations

import base64
import struct
from collections.abc import Sequence
from pathlib import Path

from segdoor.errors import DataError
from segdoor.record import GalleryScene
from segdoor.report.content import Gallery, Picture, SceneViews
from segdoor.report.source import Group, Run, beside
from segdoor.report.words import exam_name, percent, share

MOST_BYTES = 24_000_000
"""Pictures of a page, together: a page must still open on a phone."""
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_VIEWS = {
    "image": "untouched image",
    "triggered_image": "image with the trigger",
    "prediction": "prediction for the untouched image",
    "triggered_prediction": "prediction for the image with the trigger",
    "truth": "true classes",
}


def gather(groups: Sequence[tuple[str, Group]]) -> tuple[Gallery | None, tuple[str, ...]]:
    """Return the pictures of each group's first run that has some, and notes on what is missing.

    Raises:
        DataError: If a record names pictures outside its folder, or files that are no pictures.
    """
    scenes: list[SceneViews] = []
    notes: list[str] = []
    left = MOST_BYTES
    first: Run | None = None
    for name, group in groups:
        run = next((run for run in group.runs if run.record.gallery), None)
        if run is None:
            notes.append(f"{name or 'This run'} left no pictures of scenes.")
            continue
        first = first or run
        for scene in run.record.gallery:
            files = _files(run, scene)
            missing = [file for file in files if not file.is_file()]
            if missing:
                notes.append(f"{scene.name}: {missing[0].name} is not beside the record any more.")
                continue
            size = sum(file.stat().st_size for file in files)
            if size > left:
                notes.append(f"Pictures of {scene.name} are left out: the page would be too large.")
                continue
            left -= size
            scenes.append(_views(run, scene, name))
    if first is None:
        return None, tuple(notes)
    legend = tuple(
        (entry.name, "#{:02x}{:02x}{:02x}".format(*entry.colour))
        for entry in first.record.data.classes
    )
    return Gallery(tuple(scenes), legend), tuple(notes)


def _files(run: Run, scene: GalleryScene) -> list[Path]:
    """Return where a scene's pictures are."""
    return [beside(run.file.parent, getattr(scene, kind)) for kind in _VIEWS]


def _views(run: Run, scene: GalleryScene, name: str) -> SceneViews:
    lost = f"{percent(scene.asr)} of its {' and '.join(run.record.victims)} pixels"
    caption = f"{lost} become {run.record.target}; trigger placed: {exam_name(scene.exam)}"
    pictures = [
        _picture(file, f"{scene.name}: {what}")
        for file, what in zip(_files(run, scene), _VIEWS.values(), strict=True)
    ]
    title = f"{scene.name}, {name}" if name else scene.name
    return SceneViews(title, f"ASR {share(scene.asr)}", caption, tuple(pictures))


def _picture(file: Path, alt: str) -> Picture:
    content = file.read_bytes()
    if content[:8] != _SIGNATURE or content[12:16] != b"IHDR" or len(content) < 33:
        raise DataError(file, "must be a PNG picture", content[:8], "Restore the file.")
    width, height = struct.unpack(">II", content[16:24])
    uri = f"data:image/png;base64,{base64.b64encode(content).decode()}"
    return Picture(alt, uri, int(width), int(height))
