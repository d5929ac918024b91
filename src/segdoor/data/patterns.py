"""Files whose names follow patterns of the user's own, such as ``*_image.jpg``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from segdoor.data.listing import (
    Pictures,
    files_within,
    is_hidden,
    is_picture,
    pair_named,
    read_lines,
    without_ending,
)
from segdoor.data.pairs import Complain, Pair
from segdoor.errors import ConfigError, DataError

_SPLIT = "{split}"


@dataclass(frozen=True)
class FilePatterns:
    """How the two files of a scene are called, as paths from the data set's folder.

    In both, ``*`` stands for the scene's name, which may hold folders, and ``{split}`` for the
    split. Without an ending of pictures, any is taken.

    Attributes:
        image: The image's name.
        label: The label map's name.
        alone: Whether no other layout is tried.
    """

    image: str
    label: str
    alone: bool = True

    def __str__(self) -> str:
        """Return both as a person reads them."""
        return " and ".join(p.replace(_SPLIT, "SPLIT") for p in (self.image, self.label))

    @property
    def has_split(self) -> bool:
        """Return whether the names tell the splits."""
        return _SPLIT in self.image

    def check(self, source: object) -> None:
        """Refuse patterns that cannot pair files.

        Args:
            source: What to blame.

        Raises:
            ConfigError: If one is no such path, or they do not fit each other.
        """
        example = "Write for example 'image: images/{split}/*_image.jpg'."
        for name, pattern in (("image", self.image), ("label", self.label)):
            culprit = f"{source}: files.{name}"
            if pattern.count("*") != 1 or pattern.count(_SPLIT) > 1:
                rule = "must have one * for the scene's name, and {split} at most once"
                raise ConfigError(culprit, rule, pattern, example)
            if pattern.startswith("/") or ".." in pattern.split("/") or "\\" in pattern:
                rule = "must be a path within the data set's folder, with slashes"
                raise ConfigError(culprit, rule, pattern, example)
        if self.has_split != (_SPLIT in self.label) or self.image == self.label:
            rule = "must be two different patterns, with {split} in both or in neither"
            raise ConfigError(f"{source}: files", rule, f"{self.image}, {self.label}", example)


def pairs_by_pattern(
    root: Path,
    split: str,
    complain: Complain,
    patterns: FilePatterns,
    listing: Path | None = None,
) -> list[Pair] | None:
    """Pair the files of a split by what ``*`` stands for in their names.

    Label maps without image are left aside: names such as ``*_label.png`` fit other files too.

    Args:
        root: The data set's folder.
        split: What ``{split}`` stands for.
        complain: Receives an image without label map, and of a second file of its name.
        patterns: The names.
        listing: A list of the scenes that count; all of them if None.

    Returns:
        The pairs, or None if there is no image.
    """
    images, labels = _both(root, patterns, split)
    if not images.paths:
        return None
    names = list(images.paths) if listing is None else _listed(listing, images, complain)
    return pair_named(names, images, labels, complain, find=labels.find)


def splits_by_pattern(root: Path, patterns: FilePatterns) -> list[str]:
    """Return the splits that the names of images tell."""
    if not patterns.has_split:
        return []
    return sorted({match["split"] for match, _ in _matches(root, patterns.image)})


def _listed(listing: Path, images: Pictures, complain: Complain) -> list[str]:
    names: list[str] = []
    for line in read_lines(listing):
        found = images.find(line) or images.find(Path(line).name)
        if found is None:
            rule = f"must list what * stands for in names of images in {images.folder}"
            complain(DataError(listing, rule, line, "Correct the line."))
        else:
            names.append(found)
    return names


def _both(root: Path, patterns: FilePatterns, split: str) -> tuple[Pictures, Pictures]:
    found = [
        {path: match["name"] for match, path in _matches(root, pattern, split)}
        for pattern in (patterns.image, patterns.label)
    ]
    # Of a file that fits both, the pattern that says more counts: *.png and *_label.png.
    loose = found[len(patterns.image) > len(patterns.label)]
    for path in found[0].keys() & found[1].keys():
        del loose[path]
    images, labels = (
        _pictures(_start(root, pattern.replace(_SPLIT, split)), of_pattern)
        for pattern, of_pattern in zip((patterns.image, patterns.label), found, strict=True)
    )
    return images, labels


def _pictures(folder: Path, names: dict[Path, str]) -> Pictures:
    paths, twins = dict[str, Path](), dict[str, Path]()
    for path, name in names.items():
        (twins if name in paths else paths)[name] = path
    return Pictures(folder, paths, twins)


def _matches(
    root: Path, pattern: str, split: str | None = None
) -> Iterator[tuple[re.Match[str], Path]]:
    """Yield the pictures whose names fit a pattern, of one split or, if None, of any."""
    named = pattern if split is None else pattern.replace(_SPLIT, split)
    stem = without_ending(named)
    ending = rf"(?i:{re.escape(named.removeprefix(stem))})" if stem != named else r"\.\w+"
    body = re.escape(stem).replace(r"\*", "(?P<name>.+)")
    body = body.replace(re.escape(_SPLIT), "(?P<split>[^/]+)")
    fits = re.compile(f"{body}{ending}", re.DOTALL)
    start = _start(root, named)
    before = "" if start == root else f"{start.relative_to(root).as_posix()}/"
    for file in files_within(start) if start.is_dir() else ():
        match = fits.fullmatch(before + file)
        if match and is_picture(file) and not is_hidden(file):
            yield match, start / file


def _start(root: Path, pattern: str) -> Path:
    """Return the deepest folder that holds all files of a pattern."""
    certain = re.split(r"\*|\{split\}", pattern)[0]
    return root / certain.rpartition("/")[0]
