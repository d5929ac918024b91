"""One process at a time writes to a folder."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from segdoor.errors import BusyError, StorageError


@contextmanager
def sole_writer(folder: Path, *, culprit: str) -> Generator[None]:
    """Hold a folder against other processes; the system lets go of it if this one dies.

    The folder is created, and taken away again if nothing comes into it because the work failed at
    once. Meanwhile it holds a hidden file ``.lock``.

    Raises:
        BusyError: If another process is writing there.
        StorageError: If the folder cannot be written.
    """
    from filelock import FileLock, Timeout  # noqa: PLC0415 - readers need no lock

    lock = FileLock(folder / ".lock")
    fresh = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    except Timeout:
        raise BusyError(
            culprit,
            "must not be written by two processes at once",
            "another one is at work",
            "Wait for it, or name another folder.",
        ) from None
    except OSError as why:
        raise StorageError(
            culprit, "must be a writable folder", why.strerror, "Name another folder."
        ) from None
    try:
        yield
    finally:
        # Whoever waits for the file that goes away here makes a new one.
        (folder / ".lock").unlink(missing_ok=True)
        if fresh and not any(folder.iterdir()):
            folder.rmdir()
        lock.release()
