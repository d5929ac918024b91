"""The folder of a scan: locked, of one subject, with finished methods that are not run again."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Callable, Generator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

from pydantic import Field

from segdoor.defense.defense import Defense
from segdoor.errors import ConfigError, SegdoorError
from segdoor.files import write_atomically
from segdoor.locks import sole_writer
from segdoor.record.defense import Entry
from segdoor.record.file import read_content
from segdoor.record.scan import Door, load_scan
from segdoor.settings import Settings, validated

REPORT = "scan.json"
PICTURES = "evidence"


class KeptEntry(Settings):
    """What a method found, as it is kept until the scan is run again."""

    schema_version: int = 1
    """Layout of the file."""
    fingerprint: str
    """Hash of everything that the finding depends on."""
    entry: Entry
    """The finding."""
    null: dict[str, float] = Field(default_factory=dict)
    """Scores of held-out clean scenes by name."""


@contextmanager
def scan_folder(out: Path, door: Door, subject: str) -> Generator[None]:
    """Lock the folder of a scan.

    Raises:
        ConfigError: If it holds the scan of something else, or another process writes to it.
        StorageError: If it cannot be written.
    """
    with sole_writer(out, culprit=f"--out {out}"):
        if (out / REPORT).exists():
            earlier = load_scan(out / REPORT)
            if (earlier.door, earlier.subject) != (door, subject):
                raise ConfigError(
                    f"--out {out}", "must not hold the scan of something else",
                    f"a scan of other {earlier.door}", "Name another folder.",
                )  # fmt: skip
        yield


class Keeper:
    """Runs methods, and keeps what they found.

    Attributes:
        out: The folder of the scan.
    """

    def __init__(self, out: Path, *parts: object) -> None:
        """Keep findings that depend on these parts.

        Args:
            out: The folder of the scan.
            parts: What the findings depend on, beside the method.
        """
        self.out = out
        self._parts = repr((version("segdoor"), parts))

    def state_of(self, method: Defense) -> Path:
        """Return the folder for a method's own state, from which it resumes."""
        return self.out / "work" / self._name(method)

    def kept(self, method: Defense, work: Callable[[str], KeptEntry]) -> KeptEntry:
        """Return what a method found earlier, or run it now.

        Args:
            method: The method.
            work: Runs it; its argument is the fingerprint to keep.
        """
        file = self.out / "work" / f"{self._name(method)}.json"
        mark = self._fingerprint(method)
        found = _read(file)
        if found is not None and found.fingerprint == mark and self._is_whole(found.entry):
            return found
        done = work(mark)
        write_atomically(file, f"{json.dumps(done.model_dump(mode='json'), allow_nan=False)}\n")
        shutil.rmtree(self.state_of(method), ignore_errors=True)
        return done

    def _is_whole(self, entry: Entry) -> bool:
        names = [one.picture for one in entry.evidence if one.picture is not None]
        return all((self.out / PICTURES / name).is_file() for name in names)

    def _name(self, method: Defense) -> str:
        words = re.sub(r"[^A-Za-z0-9._]+", "-", method.kind)
        return f"{words}-{self._fingerprint(method)[:12]}"

    def _fingerprint(self, method: Defense) -> str:
        told = (self._parts, str(method), method.model_dump_json())
        return hashlib.sha256(repr(told).encode()).hexdigest()


def _read(file: Path) -> KeptEntry | None:
    """Read what was kept; a damaged file is as none, since the method can run again."""
    if not file.is_file():
        return None
    try:
        return validated(KeptEntry, read_content(file, newest=1), source=file)
    except SegdoorError:
        return None
