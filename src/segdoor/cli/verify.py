"""``segdoor verify``."""

from __future__ import annotations

from pathlib import Path

from segdoor.cli.screen import tell
from segdoor.errors import DataError


def verify(copy: Path) -> None:
    """Say whether a poisoned copy is still as it was written.

    Args:
        copy: The folder that `segdoor poison --copy` wrote.
    """
    from segdoor.attack.manifest import load_manifest, verify_copy

    differences = verify_copy(copy)
    for word, names in vars(differences).items():
        for name in names:
            tell(f"{word}: {name}")
    if differences:
        raise DataError(copy, "must be as it was written", "see above", "Write the copy again.")
    header = load_manifest(copy).header
    tell(f"{header.num_files} files as written, {header.num_changed} of them poisoned")
