"""Leaving scenes out of a training split, by a list such as a scan writes."""

from __future__ import annotations

from pathlib import Path

from segdoor.data.scene import SceneDataset
from segdoor.data.subset import Subset
from segdoor.errors import DataError
from segdoor.files import read_text

OPTION = "data.exclude"


def without(scenes: SceneDataset, file: Path, *, split: str) -> SceneDataset:
    """Return the scenes that a list does not name.

    Args:
        scenes: The scenes of a split, or some of them.
        file: A text file with one scene name a line; it may be empty.
        split: Name of the split, for messages.

    Raises:
        DataError: If the file cannot be read, names a scene that is not in the split, or leaves
            none.
    """
    whole, chosen = scenes, range(len(scenes))
    if isinstance(scenes, Subset):
        whole, chosen = scenes.dataset, scenes.indices
    named = _named(file, frozenset(whole.names), split)
    kept = [index for index in chosen if whole.names[index] not in named]
    if not kept:
        raise DataError(
            file, f"the list of {OPTION} must leave a scene of split '{split}' to train on",
            f"all {len(scenes)} scenes", "Shorten the list.",
        )  # fmt: skip
    # Without any to leave out these are the same scenes, with the same digest.
    return scenes if len(kept) == len(scenes) else Subset(whole, kept)


def _named(file: Path, known: frozenset[str], split: str) -> frozenset[str]:
    """Return the names in a list; a name may itself begin or end with a space."""
    rule = f"{OPTION} must name a readable text file"
    text = read_text(file, rule=rule, remedy="Check the path.")
    lines = [line for line in text.splitlines() if line.strip()]
    named = [line if line in known else line.strip() for line in lines]
    strange = next((name for name in named if name not in known), None)
    if strange is not None:
        raise DataError(
            file, f"the list of {OPTION} must name scenes of split '{split}', one a line", strange,
            "Correct the name, or use the suspects.txt of a scan of this split.",
        )  # fmt: skip
    return frozenset(named)
