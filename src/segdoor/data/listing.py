"""What lists and folders say about which files belong together."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from segdoor.data.pairs import Complain, Pair, refuse
from segdoor.errors import DataError
from segdoor.files import name_problem

_ENDINGS = {".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"}

_IMAGE_SUFFIX = "_leftImg8bit"
_LABEL_SUFFIXES = ("", "_gtFine_labelTrainIds", "_labelTrainIds", "_mask", "_label", "_seg")


def pair_folders(images: Path, labels: Path, *, complain: Complain = refuse) -> list[Pair]:
    """Pair the pictures of two folders by their names without ending.

    A label map may also be called after its image with a suffix such as ``_mask``.

    Args:
        images: The folder of images.
        labels: The folder of label maps.
        complain: Hears of a picture without partner, and of a second one of its name.

    Raises:
        DataError: If a folder is missing.
    """
    of_image, of_label = _by_stem(images, complain), _by_stem(labels, complain)
    pairs: list[Pair] = []
    for stem, image in of_image.items():
        core = stem.removesuffix(_IMAGE_SUFFIX)
        candidates = [stem, *(core + suffix for suffix in _LABEL_SUFFIXES)]
        found = next((name for name in candidates if name in of_label), None)
        if found is None:
            complain(_lonely(image, labels))
        else:
            pairs.append(Pair(stem, image, of_label.pop(found)))
    for label in of_label.values():
        complain(_lonely(label, images))
    return pairs


def pictures_in(folder: Path) -> list[Path]:
    """Return the pictures in a folder by name; hidden files, such as macOS leaves, are none.

    Raises:
        DataError: If the folder is missing.
    """
    if not folder.is_dir():
        raise DataError(folder, "the folder does not exist", remedy="Check root and split.")
    return [path for path in sorted(folder.iterdir()) if _is_picture(path)]


def read_lines(path: Path) -> list[str]:
    """Read a list file: stripped lines, without empty ones.

    Raises:
        DataError: If the file is missing or no text.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as why:
        raise DataError(
            path, "must be a readable text file", why, "Check root and split."
        ) from None
    return [line.strip() for line in lines if line.strip()]


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
        paths = [root / relative.lstrip("/"), root / relative]
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
        raise DataError(paths[0], "the file does not exist", remedy=f"Correct {listing}.")
    return files[0]


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in _ENDINGS and not path.name.startswith(".")


def _by_stem(folder: Path, complain: Complain) -> dict[str, Path]:
    stems: dict[str, Path] = {}
    for path in pictures_in(folder):
        strange = name_problem(path)
        if strange is not None:
            complain(strange)
        elif path.stem in stems:
            other = stems[path.stem].name
            remedy = "Remove or rename one of them."
            complain(DataError(path, "must be the only picture of its name", other, remedy))
        else:
            stems[path.stem] = path
    return stems


def _lonely(path: Path, other: Path) -> DataError:
    return DataError(
        path,
        "must have a partner of the same name",
        f"none in {other}",
        "Add the missing file or remove this one.",
    )
