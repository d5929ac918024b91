"""Compare palettes of label maps: the stored index counts, so colours must keep their index."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from segdoor.data.pictures import opened_picture, read_label
from segdoor.errors import DataError
from segdoor.record.findings import Finding, found

Colours = tuple[bytes, ...]
"""The colours of a palette, by index, three bytes each."""
_NAMED = 5


def palette_of(path: Path) -> Colours | None:
    """Return the palette of a label file; None if it has none, or is no picture."""
    try:
        with opened_picture(path) as picture:
            colours = picture.getpalette("RGB") if picture.mode == "P" else None
    except DataError:
        return None
    whole = bytes(colours or ())
    return tuple(whole[place : place + 3] for place in range(0, len(whole), 3)) or None


def odd_palettes(palettes: Mapping[Path, Colours]) -> list[Finding]:
    """Return the files in which a colour has another index than in the most files.

    Palettes with entirely different colours say nothing about the classes, and entries whose index
    does not occur in a file may hold anything.
    """
    groups: dict[Colours, list[Path]] = {}
    for path, colours in palettes.items():
        groups.setdefault(colours, []).append(path)
    ordered = sorted(groups.items(), key=lambda group: -len(group[1]))
    findings: list[Finding] = []
    for colours, files in ordered[1:]:
        usual, most = ordered[0]
        moved = {path: _moved(path, colours, usual) for path in files}
        odd = [path for path, indices in moved.items() if indices]
        if odd:
            findings.append(_finding(odd, moved[odd[0]], usual, len(most)))
    return findings


def _finding(odd: list[Path], moved: Mapping[int, int], usual: Colours, num_usual: int) -> Finding:
    index, other = next(iter(moved.items()))
    colour = ", ".join(map(str, usual[other]))
    rest = f", and {len(odd) - _NAMED} more" if len(odd) > _NAMED else ""
    listed = ", ".join(str(path) for path in odd[:_NAMED]) + rest
    return found(
        "data-palette",
        f"palettes of {len(odd)} label maps have the colour ({colour}) at index {index}, those of "
        f"{num_usual} others at index {other}: {listed}. The index counts as the class, not the "
        "colour: give all files the same palette.",
        files=tuple(map(str, odd)),
    )


def _moved(path: Path, colours: Colours, usual: Colours) -> dict[int, int]:
    """Return the indices in a file whose colour usually has another index, with that one."""
    places: dict[bytes, int] = {}
    for index, colour in enumerate(usual):
        # Unused entries are often filled with one colour, which has no usual index.
        places[colour] = -1 if colour in places else index
    return {
        index: places[colours[index]]
        for index in _used(path)
        if index < len(colours) and places.get(colours[index], -1) not in (-1, index)
    }


def _used(path: Path) -> Iterable[int]:
    """Return the indices that occur in a file that has already been read."""
    return np.unique(read_label(path)).tolist()
