"""``segdoor restore``."""

from __future__ import annotations

from pathlib import Path

from segdoor.cli.screen import tell


def restore(copy: Path) -> None:
    """Give a poisoned copy the source's bytes back.

    Refuses if a file of the copy was edited, added or removed since it was written, and then
    changes nothing.

    Args:
        copy: The folder that `segdoor poison --copy` wrote.
    """
    from segdoor.attack.restore import restore_copy

    tell(f"{restore_copy(copy)} files of {copy} are as in the source again")
