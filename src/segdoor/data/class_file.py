"""The class file of a data set of one's own: names, what label files hold, how files are called."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, cast

from pydantic import Field, field_validator

from segdoor.data.coding import Coding
from segdoor.data.patterns import FilePatterns
from segdoor.data.scene import ClassSet, Colour
from segdoor.errors import ConfigError
from segdoor.plain_yaml import read_yaml
from segdoor.remedies import MISSING, UNSURE
from segdoor.settings import Settings, Tree, brief, validated

Level = Annotated[int, Field(ge=0, le=255)]
RGB = tuple[Level, Level, Level]

CLASS_FILE = "classes.yaml"
"""What the class file of a data set is called."""
PACKAGED = Path(__file__).parent / "classes"
"""Where class files lie that the package holds."""
KNOWN = ("ade20k", "bdd100k", "camvid-colours", "idd", "idd-lite", "mapillary")
"""Their names."""

_EXAMPLE = "A class file has a line such as 'classes: [road, car, sky]', one name an id."
_REMEDY = (
    "A data set of your own needs it: 'classes: [road, car, ...]', one name an id, "
    "and 'ignore_index: 255'."
)
_MOST_COLOURS = 256


class ClassEntry(Settings):
    """One class of the class file."""

    name: str
    """The class's name."""
    colour: RGB | None = None
    """Its RGB colour in pictures, and in label files that hold colours; chosen from a fixed palette
    if left out."""
    colours: tuple[RGB, ...] = ()
    """Its colours in label files, if they are several; the first is its colour in pictures."""
    value: Level | None = None
    """Its value in label files; its position in the list if left out."""
    values: tuple[Level, ...] = ()
    """Its values in label files, if they are several; pixels that become it get the first."""

    @property
    def all_colours(self) -> tuple[RGB, ...]:
        """Return the colours that mean it."""
        first = () if self.colour is None else (self.colour,)
        return tuple(dict.fromkeys((*first, *self.colours)))

    @property
    def all_values(self) -> tuple[int, ...]:
        """Return the values that mean it, if it has any of its own."""
        first = () if self.value is None else (self.value,)
        return tuple(dict.fromkeys((*first, *self.values)))


class FileNames(Settings):
    """How files are called, if not as in one of the usual layouts."""

    image: str
    """Path of the image: * stands for the scene's name, {split} for the split."""
    label: str
    """Path of the label map."""


class ClassFile(Settings):
    """The content of ``classes.yaml``; the position of a class is its id."""

    classes: tuple[ClassEntry, ...] = Field(min_length=1, max_length=255)
    """The classes in the order of their ids: names, or names with colours and values. Or the name
    of a class file that the package holds."""
    ignore_index: int = Field(default=255, ge=0, le=255)
    """Label value of pixels that never count."""
    ignore: tuple[Level | RGB, ...] = ()
    """Further values in label files, or colours, of pixels that never count."""
    labels: Literal["values", "colours"] = "values"
    """Whether label files hold a value or a colour a pixel."""
    reduce_zero_label: bool = False
    """Whether the first class has the value 1, and 0 never counts."""
    files: FileNames | None = None
    """How files are called, if not as in one of the usual layouts."""

    @field_validator("ignore", mode="before")
    @classmethod
    def _may_be_one(cls, given: object) -> object:
        return (given,) if isinstance(given, int) else given

    @field_validator("classes", mode="before")
    @classmethod
    def _are_listed(cls, given: object) -> object:
        entries = cast("list[object]", given if isinstance(given, list | tuple) else [])
        fault = next(filter(None, map(_fault, entries)), "")
        if entries is not given and not isinstance(given, tuple):
            mapping = "not a mapping of ids, " if isinstance(given, dict) else ""
            fault = f"must be a list of names, {mapping}or one of {', '.join(KNOWN)}"
        if fault:
            raise ValueError(fault)
        return [{"name": entry} if isinstance(entry, str) else entry for entry in entries]


@dataclass(frozen=True)
class Classes:
    """What a class file says.

    Attributes:
        classes: The classes.
        coding: What label files hold.
        patterns: How files are called; None if as in the usual layouts.
    """

    classes: ClassSet
    coding: Coding
    patterns: FilePatterns | None


def read_classes(path: Path) -> ClassSet:
    """Read the classes of a class file.

    Raises:
        DataError: If it is missing or no YAML.
        ConfigError: If an entry breaks a rule.
    """
    return read_class_file(path).classes


def read_class_file(path: Path) -> Classes:
    """Read a class file.

    Raises:
        DataError: If it is missing or no YAML.
        ConfigError: If an entry breaks a rule.
    """
    content = read_yaml(path, remedy=_REMEDY)
    given = cast("Tree", content) if isinstance(content, dict) else {"classes": content}
    name = given.get("classes")
    if isinstance(name, str) and name in KNOWN:
        given = {**_packaged(name), **{key: given[key] for key in given if key != "classes"}}
    try:
        file = validated(ClassFile, given, source=path)
        patterns = None
        if file.files is not None:
            alone = isinstance(content, dict) and "files" in content
            patterns = FilePatterns(file.files.image, file.files.label, alone=alone)
            patterns.check(path)
        return Classes(_class_set(file), _coding(file, path), patterns)
    except ConfigError as why:
        culprit = why.culprit if str(path) in why.culprit else f"{path}: {why.culprit}"
        remedy = _EXAMPLE if why.remedy in {"", MISSING, UNSURE} else why.remedy
        if why.culprit == "ignore index":
            remedy += " To ignore a value such as 0, write 'ignore: [0]' and give classes values."
        raise ConfigError(culprit, why.rule, why.value, remedy) from None


def palette(index: int) -> Colour:
    """Return a colour for a class that has none: Pascal VOC's well-spread bit pattern."""
    colour = [0, 0, 0]
    remaining = index + 1
    for shift in range(7, -1, -1):
        for channel in range(3):
            colour[channel] |= (remaining >> channel & 1) << shift
        remaining >>= 3
    return colour[0], colour[1], colour[2]


def _packaged(name: str) -> Tree:
    return cast("Tree", read_yaml(PACKAGED / f"{name}.yaml", remedy="Install segdoor again."))


def _fault(entry: object) -> str | None:
    """Return what is wrong with something that is no class at all."""
    if isinstance(entry, bool):
        return (
            f"must hold names: {str(entry).lower()} is a truth value in YAML, as are no, yes, on "
            "and off without quotes"
        )
    known = isinstance(entry, str | dict | ClassEntry)
    return None if known else f"must hold names, not {brief(entry)}"


def _class_set(file: ClassFile) -> ClassSet:
    entries = file.classes
    return ClassSet(
        names=tuple(entry.name for entry in entries),
        colours=tuple((*e.all_colours, palette(index))[0] for index, e in enumerate(entries)),
        ignore_index=file.ignore_index,
    )


def _coding(file: ClassFile, path: Path) -> Coding:
    return _of_colours(file, path) if file.labels == "colours" else _of_values(file, path)


def _of_values(file: ClassFile, path: Path) -> Coding:
    valued = [entry for entry in file.classes if entry.all_values]
    if any(not isinstance(value, int) for value in file.ignore):
        raise ConfigError(
            f"{path}: ignore", "must hold values of label files", brief(file.ignore),
            "If label files hold colours, add 'labels: colours'.",
        )  # fmt: skip
    if valued and (len(valued) < len(file.classes) or file.reduce_zero_label):
        raise ConfigError(
            f"{path}: classes",
            "must have a value all or none, and none with reduce_zero_label",
            f"{len(valued)} of {len(file.classes)} have one",
            "Give every class a line such as {name: road, value: 7}.",
        )
    first = 1 if file.reduce_zero_label else 0
    meaning: list[tuple[int, int]] = [
        (value, index)
        for index, entry in enumerate(file.classes)
        for value in entry.all_values or (index + first,)
    ]
    ignored = cast("tuple[int, ...]", file.ignore) + (0,) * first
    if file.ignore_index not in {*ignored, *(value for value, _ in meaning)}:
        ignored += (file.ignore_index,)
    meaning += [(value, file.ignore_index) for value in dict.fromkeys(ignored)]
    _refuse_double([value for value, _ in meaning], path)
    meant = ", ".join(_ranges(sorted(v for v, index in meaning if index != file.ignore_index)))
    void = ", ".join(_ranges(sorted(set(ignored))))
    return Coding(
        tuple(meaning),
        f"label values must be {meant}{f' or {void} (ignored)' if void else ''}",
        f"Correct the label map, or give the value to a class or to 'ignore' in {path.name}.",
    )


def _of_colours(file: ClassFile, path: Path) -> Coding:
    lacking = [entry.name for entry in file.classes if not entry.all_colours]
    valued = [entry.name for entry in file.classes if entry.all_values]
    if lacking or valued or file.reduce_zero_label:
        raise ConfigError(
            f"{path}: classes",
            "must all have a colour and no value where label files hold colours",
            ", ".join(lacking or valued) or "reduce_zero_label",
            "Give every class a line such as {name: road, colour: [128, 64, 128]}.",
        )
    if any(isinstance(colour, int) for colour in file.ignore):
        raise ConfigError(
            f"{path}: ignore", "must hold colours where label files do", brief(file.ignore),
            "Write for example 'ignore: [[0, 0, 0]]'.",
        )  # fmt: skip
    pairs = [(c, index) for index, entry in enumerate(file.classes) for c in entry.all_colours]
    pairs += [(c, file.ignore_index) for c in cast("tuple[RGB, ...]", file.ignore)]
    _refuse_double([list(colour) for colour, _ in pairs], path)
    if len(pairs) > _MOST_COLOURS:
        rule = f"must have at most {_MOST_COLOURS} colours in all"
        raise ConfigError(f"{path}: classes", rule, len(pairs), "Leave some out.")
    meaning = tuple((place, meant) for place, (_, meant) in enumerate(pairs))
    return Coding(meaning, "colours must mean a class", colours=tuple(c for c, _ in pairs))


def _refuse_double(stored: list[object], path: Path) -> None:
    twice = [text for text, count in Counter(map(str, stored)).items() if count > 1]
    if twice:
        raise ConfigError(
            f"{path}: classes", "must have values or colours that mean one thing each",
            f"{twice[0]} twice",
            "Take it away from one class, or from 'ignore'; without 'value' it is the position.",
        )  # fmt: skip


def _ranges(values: list[int]) -> Iterator[str]:
    """Yield numbers as text, runs of them by their ends."""
    start = None
    for place, value in enumerate(values):
        start = value if start is None else start
        if place + 1 == len(values) or values[place + 1] != value + 1:
            yield f"{start}" if start == value else f"{start} to {value}"
            start = None
