"""Atomic writing, reading of text, digests, and listing a folder."""

from __future__ import annotations

import codecs
import hashlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from segdoor.errors import DataError, StorageError, shown


def write_atomically(path: Path, content: bytes | str) -> None:
    """Write a file under a temporary name in the same folder, then rename it.

    Missing folders are created.

    Raises:
        StorageError: If the folder cannot be written or the disk is full.
        DataError: If the content is text that UTF-8 cannot express.
    """
    data = _encoded(path, content) if isinstance(content, str) else content
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).chmod(0o666 & ~_umask())
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
    except OSError as why:
        raise StorageError(
            path, "must be writable", why.strerror, "Choose another folder or free some disk."
        ) from None


def read_text(path: Path, *, rule: str, remedy: str, exact: bool = False) -> str:
    """Read a text file in UTF-8, with or without a byte order mark.

    Args:
        path: The file.
        rule: What it must be, as a clause, if it cannot be read.
        remedy: What to do if it cannot be read.
        exact: Whether the mark is kept, so that encoding the text gives the same bytes.

    Raises:
        DataError: If it is missing or in another encoding.
    """
    try:
        content = path.read_bytes()
    except (OSError, ValueError) as why:
        raise DataError(path, rule, why, remedy) from None
    refuse_utf16(path, content)
    try:
        return content.decode("utf-8" if exact else "utf-8-sig")
    except UnicodeDecodeError as why:
        line = content.count(b"\n", 0, why.start) + 1
        raise DataError(
            path,
            "must be text in UTF-8",
            f"byte {content[why.start]:#04x} in line {line}",
            "Save it again as UTF-8; it may be Latin-1 or another old encoding.",
        ) from None


def refuse_utf16(path: Path, content: bytes) -> None:
    """Refuse text in UTF-16, which would be read as nonsense.

    Raises:
        DataError: If the content is UTF-16 or not text.
    """
    # Without the mark, UTF-16 of plain letters is valid UTF-8 with a null between any two.
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or b"\0" in content:
        raise DataError(
            path,
            "must be text in UTF-8",
            "UTF-16, or not text",
            "Save it again as UTF-8: some editors call UTF-16 'Unicode'.",
        )


def is_file(path: Path) -> bool:
    """Tell whether a file exists; an impossible name is not an error."""
    try:
        return path.is_file()
    except OSError:
        return False


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, as hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def name_problem(path: Path) -> DataError | None:
    """Return the error if a path is not valid text; None if it is.

    File systems allow any bytes in names; JSON, used for plans, manifests and records, does not.
    """
    if shown(str(path)) == str(path):
        return None
    return DataError(
        path,
        "names of files and folders must be valid UTF-8 text",
        remedy="Rename it; 'convmv -r -f latin1 -t utf8 --notest FOLDER' does so for many.",
    )


def files_below(folder: Path) -> list[str]:
    """Return the files below a folder by their names from there, with slashes, in order.

    Links to files count as files; links to folders are not followed.
    """
    return ["/".join(parts) for parts in sorted(_below(folder, ()))]


def _below(folder: Path | str, parts: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from _below(entry.path, (*parts, entry.name))
            elif entry.is_file():
                yield (*parts, entry.name)


def _encoded(path: Path, text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as why:
        raise DataError(path, "must be given valid text", why.reason, "Rename files.") from None


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
