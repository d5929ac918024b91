"""A poisoned copy gets the source's bytes back, every one; a rescaled one is clean again."""

from __future__ import annotations

import shutil
from pathlib import Path

from segdoor.attack.manifest import (
    MANIFEST,
    ORIGINALS,
    PLAN,
    CopyRow,
    beside,
    load_manifest,
    refuse_edited,
)
from segdoor.errors import DataError
from segdoor.files import digest_of, write_atomically
from segdoor.locks import sole_writer


def restore_copy(copy: Path) -> int:
    """Give a copy the source's bytes back, and take the manifest folder away.

    A rescaled copy becomes the clean data set at its size: that is what lies beside it, and the
    source is not needed. A call that was killed is completed by the next one.

    Returns:
        The number of files given back.

    Raises:
        ConfigError: If another process is at work on the copy.
        DataError: If the copy was edited since, or an original is damaged; nothing is then changed.
        StorageError: If the copy cannot be written.
    """
    rows = [row for row in load_manifest(copy).rows if row.changed]
    folder = beside(copy)
    with sole_writer(folder, culprit=str(copy)):
        waiting = [row for row in rows if not _is_restored(copy, row)]
        refuse_edited(copy, but={row.name for row in rows} - {row.name for row in waiting})
        for row in waiting:
            _check_original(folder / ORIGINALS / row.name, row)
        for row in waiting:
            # Made beside the copy, so that a killed call leaves nothing strange in it.
            staged = folder / "restored"
            write_atomically(staged, (folder / ORIGINALS / row.name).read_bytes())
            staged.replace(copy / row.name)
        shutil.rmtree(folder / ORIGINALS, ignore_errors=True)
        # Without its manifest a copy is none, so that goes last.
        for name in (PLAN, MANIFEST):
            (folder / name).unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)
    return len(rows)


def _is_restored(copy: Path, row: CopyRow) -> bool:
    path = copy / row.name
    return path.is_file() and digest_of(path) == row.original_sha256


def _check_original(kept: Path, row: CopyRow) -> None:
    if not kept.is_file() or digest_of(kept) != row.original_sha256:
        raise DataError(
            kept,
            "must be the intact original of the copy's file",
            "damaged" if kept.is_file() else "missing",
            "Take the file from the source of the copy."
            if row.name == row.origin[0] and row.original_sha256 == row.origin[1]
            else "Write the copy again from its source, under another name.",
        )
