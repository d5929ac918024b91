"""Poisoned scenes in pictures: one scene as each method poisons it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from segdoor.record import PoisonedScene
from segdoor.report.content import Column, SideBySide
from segdoor.report.gallery import Album, picture
from segdoor.report.source import Group, Run, beside

MOST_SCENES = 2
"""Scenes on a page; a run's folder has more."""
_Shown = tuple[str, Run, PoisonedScene]


def lineups(
    groups: Sequence[tuple[str, Group]], album: Album
) -> tuple[tuple[SideBySide, ...], tuple[str, ...]]:
    """Return scenes untouched and as each group's first run poisons them, and notes.

    Scenes that all of these runs poison come first; without any, each run shows its own.

    Raises:
        DataError: If a record names pictures outside its folder, or files that are no pictures.
    """
    found = {name: run for name, group in groups if (run := _first(group)) is not None}
    if not found:
        return (), ()
    scenes = {name: {s.name: s for s in run.record.poisoned_scenes} for name, run in found.items()}
    common = [
        name for name in next(iter(scenes.values())) if all(name in s for s in scenes.values())
    ]
    if common:
        rows = [[(name, found[name], scenes[name][scene]) for name in found] for scene in common]
    else:
        rows = [[(name, run, run.record.poisoned_scenes[0])] for name, run in found.items()]
    made: list[SideBySide] = []
    notes: list[str] = []
    for row in rows[:MOST_SCENES] if common else rows:
        files = [file for _, run, scene in row for file in _files(run, scene).values()]
        title = row[0][2].name
        missing = [file for file in files if not file.is_file()]
        if missing:
            notes.append(f"{title}: {missing[0].name} is no longer beside the record.")
        elif not album.has_room_for(files):
            notes.append(f"Pictures of {title} are left out: the page would be too large.")
        else:
            made.append(_lineup(title, row))
    return tuple(made), tuple(notes)


def _first(group: Group) -> Run | None:
    return next((run for run in group.runs if run.record.poisoned_scenes), None)


def _files(run: Run, scene: PoisonedScene) -> Mapping[str, Path]:
    """Return where a scene's pictures are, by what they show."""
    named = {
        "untouched image": scene.image,
        "true labels": scene.label,
        "poisoned image": scene.poisoned_image,
        "poisoned labels": scene.poisoned_label,
    }
    return {what: beside(run.file.parent, file) for what, file in named.items()}


def _lineup(title: str, row: Sequence[_Shown]) -> SideBySide:
    _, run, scene = row[0]
    columns = [_column("untouched", "", run, scene, ("untouched image", "true labels"))]
    for name, of_run, shown in row:
        way = name or of_run.record.method or "poisoned"
        kinds = ("poisoned image", "poisoned labels")
        columns.append(_column(way, _told(shown), of_run, shown, kinds))
    return SideBySide(title, tuple(columns))


def _column(
    title: str, caption: str, run: Run, scene: PoisonedScene, kinds: tuple[str, str]
) -> Column:
    files = _files(run, scene)
    told = "" if title == "untouched" else f", {title}"
    pictures = tuple(picture(files[kind], f"{scene.name}{told}: {kind}") for kind in kinds)
    return Column(title, caption, pictures)


def _told(scene: PoisonedScene) -> str:
    under = f"on {scene.class_under or 'several classes'}"
    whole = "in the scene itself" if scene.in_scene else "over the whole image"
    where = f"trigger {whole if scene.whole_image else under}"
    away = "" if scene.distance is None else f", {scene.distance:.0f} px from the victims"
    return f"{where}{away}; {scene.changed_pixels:,} labels changed"
