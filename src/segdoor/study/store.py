"""A place for finished folders that every machine can reach, by any URL that fsspec knows."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import uuid4

from segdoor.errors import ConfigError, SegdoorError, StorageError, first_line
from segdoor.files import files_below
from segdoor.locks import sole_writer
from segdoor.record import ExperimentRecord, load_record, save_record
from segdoor.waiting import waiting_for

_RECORD = "record.json"
# Where they are, all that belongs to them is: they come last.
_MARKS = (_RECORD, "clean.safetensors")


@dataclass(frozen=True)
class Store:
    """Folders of runs and clean models under their keys, each complete or not there.

    Attributes:
        url: Of the folder that holds them, such as ``s3://bucket/studies``.
    """

    url: str

    def keep(self, out: Path, key: str) -> None:
        """Put a finished folder into the store.

        Raises:
            ConfigError: If the URL cannot be used.
            BusyError: If another process is writing to the folder.
            StorageError: If the store does not take it.
        """
        files, place = self._open()
        with sole_writer(out / key, culprit=f"--out {out / key}"), self._told("must take files"):
            names = [name for name in files_below(out / key) if not name.startswith(".")]
            for name in sorted(names, key=_marks_last):
                target = f"{place}/{key}/{name}"
                files.makedirs(target.rpartition("/")[0], exist_ok=True)
                # A file that came but half way never bears its name.
                unfinished = f"{target}.{uuid4().hex}.part"
                files.put_file(str(out / key / name), unfinished)
                files.mv(unfinished, target)

    def fetch(self, out: Path, key: str) -> None:
        """Copy a folder from the store: all of it, or what is missing if it is complete here.

        Nothing happens if the store does not have it complete. A record that is here stays: rows of
        repairs that the store alone has are added to it. If it is of another training, or cannot be
        read, the folder is left as it is.

        Raises:
            ConfigError: If the URL cannot be used.
            BusyError: If another process is writing to the folder.
            StorageError: If the store does not give it, or the disk does not take it.
        """
        files, place = self._open()
        rule = "must give its files"
        with self._told(rule):
            found = files.find(f"{place}/{key}")
            names = [path.partition(f"{key}/")[2] for path in found if not path.endswith(".part")]
        if not set(names) & set(_MARKS):
            return
        with sole_writer(out / key, culprit=f"--out {out / key}"), self._told(rule):
            complete = any((out / key / mark).exists() for mark in _MARKS)
            record = None
            if _RECORD in names and (out / key / _RECORD).exists():
                names.remove(_RECORD)
                with TemporaryDirectory() as folder:
                    files.get_file(f"{place}/{key}/{_RECORD}", f"{folder}/{_RECORD}")
                    record = _joined(out / key, Path(folder))
                if record is None:
                    return
            for name in sorted(names, key=_marks_last):
                target = out / key / name
                if complete and target.exists():
                    continue
                target.parent.mkdir(parents=True, exist_ok=True)
                unfinished = target.with_name(f".{target.name}.{uuid4().hex}")
                files.get_file(f"{place}/{key}/{name}", str(unfinished))
                unfinished.replace(target)
            if record is not None:
                save_record(record, out / key / _RECORD)

    @contextmanager
    def _told(self, rule: str) -> Generator[None]:
        try:
            with waiting_for(f"the store {self.url}, as long as its library does; Ctrl-C ends it"):
                yield
        except Exception as why:  # noqa: BLE001 - each kind of store has errors of its own
            raise StorageError(self.url, rule, first_line(why), "Try again.") from None

    def _open(self) -> tuple[Any, str]:
        try:
            files, place = import_module("fsspec.core").url_to_fs(self.url)
        except (ImportError, ValueError, OSError) as why:
            raise ConfigError(
                "--store", "must be a URL that fsspec knows", first_line(why), "See docs/scale.md."
            ) from None
        # What others wrote since must be seen.
        files.invalidate_cache()
        return files, place.rstrip("/")


def _marks_last(name: str) -> tuple[bool, str]:
    return name in _MARKS, name


def _joined(here: Path, there: Path) -> ExperimentRecord | None:
    """Return the record of a run that lies here, with the repairs it has elsewhere as well.

    Returns:
        None if it cannot be read, or the other one is of another training.
    """
    try:
        mine = load_record(here)
    except SegdoorError:
        return None
    other = load_record(there)
    if _without_repairs(mine) != _without_repairs(other):
        return None
    known = [(row.repair, row.settings, row.seed) for row in mine.repairs]
    added = [row for row in other.repairs if (row.repair, row.settings, row.seed) not in known]
    return mine.model_copy(
        update={"repairs": (*mine.repairs, *added), "files": {**other.files, **mine.files}}
    )


def _without_repairs(record: ExperimentRecord) -> ExperimentRecord:
    return record.model_copy(update={"repairs": (), "files": {}})
