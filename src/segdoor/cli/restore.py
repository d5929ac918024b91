"""``segdoor restore``."""

from __future__ import annotations

from pathlib import Path

from segdoor.cli.screen import tell


def restore(copy: Path) -> None:
    """Take the poison out of a copy: give it the source's bytes back.

    A copy at another size than its source's gets its clean pictures and label maps of that size
    back. Refuses if a file of the copy was edited, added or removed since it was written, and then
    changes nothing. The source is neither read nor written.

    Args:
        copy: The folder that `segdoor poison --copy` wrote.
    """
    from segdoor.attack.manifest import load_manifest
    from segdoor.attack.restore import restore_copy

    header = load_manifest(copy).header
    tell(f"{restore_copy(copy)} files of {copy} are {header.restored} again")
