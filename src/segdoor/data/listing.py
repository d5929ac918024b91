"""What lists and folders say about which files belong together."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from segdoor.data.pairs import Complain, Pair, refuse
from segdoor.errors import DataError
from segdoor.files import is_file, name_problem, read_text

ENDINGS = (".jpg", ".png", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".gif")
"""What names of pictures end in, in any case."""

_IMAGE_SUFFIX = "_leftImg8bit"
_LABEL_SUFFIXES = ("", "_gtFine_labelTrainIds", "_labelTrainIds", "_mask", "_label", "_seg")


@dataclass(frozen=True)
class Pictures:
    """The pictures below a folder.

    Attributes:
        folder: The folder.
        paths: The pictures by name: their path from the folder, without ending.
        twins: Pictures that differ in their ending alone from one of these, by name.
    """

    folder: Path
    paths: Mapping[str, Path]
    twins: Mapping[str, Path]

    @classmethod
    def below(cls, folder: Path) -> Pictures:
        """Look for the pictures in a folder and in the folders within it.

        Hidden ones, such as macOS leaves, are none.

        Raises:
            DataError: If the folder is missing, or one within it cannot be read.
        """
        if not folder.is_dir():
            raise DataError(folder, "the folder does not exist", remedy="Check root and split.")
        paths, twins = dict[str, Path](), dict[str, Path]()
        for file in files_within(folder):
            if is_picture(file) and not is_hidden(file):
                name = without_ending(file)
                (twins if name in paths else paths)[name] = folder / file
        return cls(folder, paths, twins)

    def find(self, listed: str) -> str | None:
        """Return the name that a list means, which may have an ending, and this folder before it.

        Letters with accents can be spelt in two ways; where one picture fits, either is good.
        """
        inside = listed.lstrip("/").removeprefix(f"{self.folder.name}/")
        for name in (listed, without_ending(listed), inside, without_ending(inside)):
            if name in self.paths:
                return name
        return self._composed.get(_composed(without_ending(listed)))

    def near(self, name: str) -> str | None:
        """Return a name that differs in upper and lower case, or in the spelling of accents."""
        found = self._folded.get(_composed(name).casefold())
        return None if found == name else found

    @cached_property
    def _composed(self) -> Mapping[str, str]:
        return {_composed(name): name for name in reversed(list(self.paths))}

    @cached_property
    def _folded(self) -> Mapping[str, str]:
        return {_composed(name).casefold(): name for name in reversed(list(self.paths))}


def pair_folders(images: Path, labels: Path, *, complain: Complain = refuse) -> list[Pair]:
    """Pair the pictures below two folders by their paths from there, without ending.

    A label map may also be called after its image with a suffix such as ``_mask``.

    Args:
        images: The folder of images.
        labels: The folder of label maps.
        complain: Receives a picture without partner, and of a second one of its name.

    Raises:
        DataError: If a folder is missing.
    """
    of_images, of_labels = Pictures.below(images), Pictures.below(labels)
    pairs = pair_named(of_images.paths, of_images, of_labels, complain)
    used = {pair.label for pair in pairs}
    for name, label in of_labels.paths.items():
        if label not in used:
            complain(lonely(name, label, of_images))
    return pairs


def pair_named(
    names: Iterable[str],
    images: Pictures,
    labels: Pictures,
    complain: Complain,
    *,
    find: Callable[[str], str | None] | None = None,
) -> list[Pair]:
    """Pair some images with their label maps.

    Args:
        names: Names of the images.
        images: All images.
        labels: All label maps.
        complain: Receives an image without label map, and of a second one of its name.
        find: Returns the name of an image's label map; that of the image or with a suffix, if None.
    """
    pairs: list[Pair] = []
    used = set[str]()
    for name in names:
        found = find(name) if find else _label_of(name, labels, used)
        if found is None:
            complain(lonely(name, images.paths[name], labels))
            continue
        used.add(found)
        for one, pictures in ((name, images), (found, labels)):
            if one in pictures.twins:
                complain(twin(pictures.twins[one], pictures.paths[one]))
        pairs.append(Pair(name, images.paths[name], labels.paths[found]))
    return pairs


def _label_of(name: str, labels: Pictures, used: set[str]) -> str | None:
    core = name.removesuffix(_IMAGE_SUFFIX)
    for candidate in (name, *(core + suffix for suffix in _LABEL_SUFFIXES)):
        found = candidate if candidate in labels.paths else labels.find(candidate)
        if found is not None and found not in used:
            return found
    return None


def files_within(folder: Path) -> list[str]:
    """Return all files below a folder, also those behind links to folders, in order.

    Returns:
        Their paths from the folder, with slashes.

    Raises:
        DataError: If a folder cannot be read.
    """
    found: list[str] = []
    above: dict[str, tuple[str, ...]] = {}
    for parent, folders, names in os.walk(folder, onerror=_unreadable, followlinks=True):
        chain = (*above.pop(parent, ()), os.path.realpath(parent))
        # A link to a folder around it would go round for ever.
        folders[:] = [name for name in folders if os.path.realpath(Path(parent, name)) not in chain]
        above |= {str(Path(parent, name)): chain for name in folders}
        here = Path(parent).relative_to(folder).as_posix()
        found += names if here == "." else [f"{here}/{name}" for name in names]
    return sorted(found, key=lambda name: name.split("/"))


def _unreadable(why: OSError) -> None:
    raise DataError(
        why.filename, "must be a folder that can be read", why.strerror, "Allow reading it."
    )


def is_picture(name: str) -> bool:
    """Tell by its ending whether a file is a picture."""
    return without_ending(name) != name


def is_hidden(name: str) -> bool:
    """Tell whether a file, or a folder on the way to it, is hidden."""
    return name.startswith(".") or "/." in name


def picture_called(folder: Path, stem: str, *endings: str) -> Path:
    """Return the picture of a name in a folder, whatever its ending.

    Args:
        folder: The folder.
        stem: The name without ending.
        endings: What to prefer; the first is taken for a picture that is not there.
    """
    ways = (str.lower, str.upper, str.title)
    paths = [
        folder / f"{name}{way(ending)}"
        for name in _spellings(stem)
        for ending in (*endings, *ENDINGS)
        for way in ways
    ]
    return next(filter(is_file, paths), paths[0])


def without_ending(name: str) -> str:
    """Return a picture's name without its ending; other dots stay."""
    stem, dot, ending = name.rpartition(".")
    return stem if dot and f".{ending.lower()}" in ENDINGS and stem.strip("/") else name


def read_lines(path: Path) -> list[str]:
    """Read a list file: stripped lines, without empty ones.

    Raises:
        DataError: If the file is missing or no text in UTF-8.
    """
    text = read_text(path, rule="must be a readable text file", remedy="Check root and split.")
    return [line.strip() for line in text.splitlines() if line.strip()]


def columns_of(line: str) -> Sequence[str]:
    """Split a line of two columns at its tab, its comma or its space, in this order.

    Returns:
        The two columns, or what spaces make of the line if nothing gives two.
    """
    for separator in ("\t", ",", None):
        columns = [column.strip() for column in line.split(separator)]
        if len(columns) == 2:
            return columns
    return line.split()


def inside(root: Path, listing: Path, relative: str) -> Path:
    """Return the plain path of a listed file below the root; a leading slash stands for the root.

    Raises:
        DataError: If the file does not exist or lies outside the root.
    """
    try:
        # A path from the file system's root may name a file of the data set as well.
        ways = (relative.lstrip("/"), relative)
        paths = [root / name for way in ways for name in _spellings(way)]
        home = root.resolve()
        within = [path for path in paths if path.resolve().is_relative_to(home)]
        files = [root / path.resolve().relative_to(home) for path in within if path.is_file()]
    except (OSError, ValueError, RuntimeError) as why:  # the last for links in a circle
        raise DataError(listing, "must list paths of files", why, "Correct the line.") from None
    if not files and paths[0] not in within:
        raise DataError(
            listing,
            "paths must stay inside the data set's folder",
            relative,
            "Move the file into the folder.",
        )
    if not files:
        # Letters that look alike are shown by their numbers.
        spelt = "" if relative.isascii() else ascii(relative)
        raise DataError(paths[0], "the file does not exist", spelt, f"Correct {listing}.")
    return files[0]


def _spellings(name: str) -> Iterable[str]:
    """Return a name, and the same with its accents spelt in either way."""
    return dict.fromkeys((name, *(unicodedata.normalize(form, name) for form in ("NFC", "NFD"))))


def _composed(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def twin(path: Path, other: Path) -> DataError:
    """Return the problem of two pictures that have one name."""
    remedy = "Remove or rename one of them."
    return DataError(path, "must be the only picture of its name", f"also {other}", remedy)


def lonely(name: str, path: Path, others: Pictures) -> DataError:
    """Return the problem of a picture that has no partner among the others."""
    strange = name_problem(path)
    if strange is not None:
        return strange
    near, found = others.near(name), f"none in {others.folder}"
    remedy = "Add the missing file or remove this one."
    if near is not None:
        # What looks alike is shown by its letters' numbers.
        looks_alike = _composed(near) == _composed(name)
        shown = (ascii(near), ascii(name)) if looks_alike else (f"'{near}'", f"'{name}'")
        found += f", which has {shown[0]} and not {shown[1]}"
        remedy = "Rename one as the other: case and the spelling of accents count."
    return DataError(path, "must have a partner of the same name", found, remedy)
