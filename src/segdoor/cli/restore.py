"""``segdoor restore``."""

from __future__ import annotations

from pathlib import Path

from segdoor.cli.screen import tell


def restore(copy: Path) -> None:
    """Undo the poisoning of a copy.

    Puts the clean images and label maps back into the copy, byte for byte. A copy made at another
    size gets the clean ones of that size. The original data set is neither read nor written.

    If a file of the copy was edited, added or removed since it was written, nothing is changed and
    the exit code is 2.

    For example:

      segdoor restore poisoned

    Args:
        copy: The folder that `segdoor poison --copy` wrote.
    """
    from segdoor.attack.manifest import load_manifest
    from segdoor.attack.restore import restore_copy

    header = load_manifest(copy).header
    tell(f"{restore_copy(copy)} files of {copy} are {header.restored} again")
