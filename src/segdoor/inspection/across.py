"""Compare the scenes of a split with each other and with those of the other split."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from segdoor.data.degenerate import MASKS, values_in
from segdoor.data.inspection import Look, look_at
from segdoor.data.load import files_of, load_dataset
from segdoor.data.pairs import FileDataset, Pair
from segdoor.data.scene import ClassSet, SceneDataset
from segdoor.data.subset import Subset
from segdoor.errors import SegdoorError
from segdoor.experiment.resolving import Asked
from segdoor.inspection.palettes import Colours, odd_palettes, palette_of
from segdoor.inspection.pictures_alike import Pictures, matches
from segdoor.progress import Observer
from segdoor.record.findings import Finding, found

_NAMED = 10


@dataclass
class Seen:
    """Data kept from a split: a few bytes per scene.

    Attributes:
        split: The split.
        classes: Its classes.
        root: Folder of the data set; None if it is rendered.
        by_index: Whether label files with palettes use the index, not the colour.
        scenes: How many scenes show each label value.
        pictures: Its images, in the order of their files; none for rendered scenes.
        images: Their files.
        palettes: The palettes of its label files.
        of_one_class: Scenes that show only one class, with their label files.
    """

    split: str
    classes: ClassSet
    root: Path | None
    by_index: bool = True
    scenes: np.ndarray = field(default_factory=lambda: np.zeros(256, np.int64))
    pictures: Pictures = field(default_factory=Pictures)
    images: list[Path] = field(default_factory=list[Path])
    palettes: dict[Path, Colours] = field(default_factory=dict[Path, Colours])
    of_one_class: list[tuple[str, Path | None]] = field(
        default_factory=list[tuple[str, "Path | None"]]
    )

    def add(self, look: Look, pair: Pair | None) -> None:
        """Remember a scene, if it could be read."""
        if look.scene is None:
            return
        values = values_in(look.scene.label)
        self.scenes[values] += 1
        if np.count_nonzero(values != self.classes.ignore_index) == 1:
            self.of_one_class.append((look.name, pair.label if pair else None))
        if pair is not None:
            self.pictures.add(look.scene.image)
            self.images.append(pair.image)
            palette = palette_of(pair.label) if self.by_index and not pair.drawing else None
            if palette is not None:
                self.palettes[pair.label] = palette

    @property
    def shown(self) -> set[str]:
        """Return the classes that occur."""
        return {name for index, name in enumerate(self.classes.names) if self.scenes[index]}

    @property
    def holds_masks(self) -> bool:
        """Tell whether the labels are a class and ignored pixels, as of masks of 0 and 255."""
        values = np.flatnonzero(self.scenes).tolist()
        return len(self.classes) > 1 and values == [0, 255] and self.classes.ignore_index == 255


def see(dataset: SceneDataset, split: str) -> Seen:
    """Return the empty data for a split."""
    files = files_of(dataset)
    if files is None:
        return Seen(split, dataset.classes, None)
    return Seen(split, dataset.classes, files.root, by_index=not files.coding.colours)


def files_at(dataset: SceneDataset, index: int) -> Pair | None:
    """Return the files of a scene; None if it is rendered."""
    if isinstance(dataset, Subset):
        return files_at(dataset.dataset, dataset.indices[index])
    return dataset.pairs[index] if isinstance(dataset, FileDataset) else None


def other_split(asked: Asked, mine: Seen, observer: Observer) -> Seen | None:
    """Read the scenes that a split is compared with; its problems are not reported here.

    Returns:
        The test split, or of any other the training split; None if there is none to read.
    """
    data = asked.data()
    split = data.test_split if mine.split == data.train_split else data.train_split
    if mine.root is None:
        return None
    try:
        dataset = load_dataset(data, split, complain=lambda _: None)
    except SegdoorError:
        return None
    seen = see(dataset, split)
    observer.begin(f"comparing with {split}", len(dataset))
    for index in range(len(dataset)):
        seen.add(look_at(dataset, index), files_at(dataset, index))
        observer.advance()
    return seen if seen.scenes.any() else None


def compared(mine: Seen, other: Seen | None) -> Iterator[Finding]:
    """Yield problems that show only in comparison with other scenes."""
    if not mine.scenes.any():
        return
    place = {"files": (str(mine.root),)} if mine.root else {}
    if not mine.shown:
        yield found(
            "data-unlabelled",
            f"split {mine.split}: all pixels are {mine.classes.ignore_index}, ignored. Check the "
            "values of the label maps, and at ignore_index.",
            **place,
        )
        return
    for rule, message in _absent(mine, other):
        yield found(rule, message, **place)
    if mine.of_one_class:
        names = [name for name, _ in mine.of_one_class]
        files = [str(file) for _, file in mine.of_one_class if file]
        told = f"{len(names)} scenes show only one class: {_listed(names)}"
        if mine.holds_masks:
            told += f". All label maps have values 0 and 255 alone: {MASKS}"
        yield found("data-one-class-scenes", told, files=tuple(files), scenes=tuple(names))
    yield from odd_palettes(mine.palettes | (other.palettes if other else {}))
    if other is not None:
        yield from _alike(mine, other)


def _absent(mine: Seen, other: Seen | None) -> Iterator[tuple[str, str]]:
    """Yield the classes that are missing where they should occur, with the rule."""
    order = mine.classes.names
    elsewhere = other.shown if other else set[str]()
    never = [name for name in order if name not in mine.shown | elsewhere]
    if never:
        where = f"{mine.split} or {other.split}" if other else mine.split
        yield "data-class-absent", f"never in {where}: {_listed(never)}"
    if other is None:
        return
    for one, two in ((mine, other), (other, mine)):
        alone = [name for name in order if name in one.shown - two.shown]
        if alone:
            told = f"found in {one.split} but not in {two.split}: {_listed(alone)}"
            yield "data-class-in-one-split", told


def _alike(mine: Seen, other: Seen) -> Iterator[Finding]:
    for match in matches(mine.pictures, other.pictures):
        files = str(mine.images[match.first]), str(other.images[match.second])
        if match.difference is None:
            told = f"{files[0]} is the same picture as {files[1]}"
            yield found("data-same-picture", f"{told} of split {other.split}", files=files)
        else:
            told = f"{files[0]} is almost the same picture as {files[1]} of split {other.split}"
            unlike = f"{match.difference} of 256 comparisons differ"
            yield found("data-near-duplicate", f"{told}: {unlike}", files=files)


def _listed(names: Sequence[str]) -> str:
    rest = f", and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + rest
