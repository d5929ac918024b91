"""Records as files: strict, versioned JSON that can be read on its own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

from segdoor.errors import DataError
from segdoor.files import write_atomically
from segdoor.record import earlier
from segdoor.record.figures import SCHEMA_VERSION, STUDY_SCHEMA_VERSION, Json
from segdoor.record.run import ExperimentRecord
from segdoor.record.study import StudyRecord
from segdoor.settings import Settings, validated


def save_record(record: Settings, path: Path) -> None:
    """Write a record of any kind as indented JSON, atomically."""
    content = json.dumps(record.model_dump(mode="json"), indent=1, allow_nan=False)
    write_atomically(path, f"{content}\n")


def load_record(path: Path) -> ExperimentRecord:
    """Read the record of a run, from its folder or from the file itself.

    Raises:
        DataError: If the file is missing, damaged, of a newer schema or of a study.
        ConfigError: If a value in it breaks a rule.
    """
    file, kind = find_record(path)
    if kind == "study":
        raise DataError(
            path,
            "must be one run",
            "a study",
            "Name one of its runs, which lie in the folder runs.",
        )
    return validated(ExperimentRecord, earlier.run_record(read_content(file)), source=file)


def load_study(path: Path) -> StudyRecord:
    """Read the record of a study.

    Raises:
        DataError: If the file is missing, damaged or of a newer schema.
        ConfigError: If a value in it breaks a rule.
    """
    content = read_content(path)
    return validated(StudyRecord, earlier.study_record(content), source=path)


def find_record(path: Path) -> tuple[Path, Literal["run", "study"]]:
    """Return the record file for a path: the file, or the one in a folder.

    Raises:
        DataError: If there is none, or several studies lie in the folder.
    """
    if not path.is_dir():
        content = read_content(path)
        study = content.get("kind") == "study-record"
        return path, "study" if study else "run"
    studies = sorted(path.glob("*study.json"))
    if (path / "record.json").exists() or not studies:
        return path / "record.json", "run"
    if len(studies) > 1:
        names = ", ".join(file.name for file in studies)
        raise DataError(path, "must hold one study", names, "Name the file.")
    return studies[0], "study"


def read_kind(model: type[Settings], file: Path, remedy: str) -> Json:
    """Read a record's file of one kind, which the class names with its schema, as plain data.

    Raises:
        DataError: If the file is missing, damaged, of a newer schema or something else.
    """
    kind, newest = (model.model_fields[name].default for name in ("kind", "schema_version"))
    content = read_content(file, newest=newest)
    if content.get("kind") != kind:
        raise DataError(file, f"must be a {kind}", content.get("kind", "no kind"), remedy)
    return content


def read_content(file: Path, *, newest: int | None = None) -> Json:
    """Read a record's file as plain data.

    Args:
        file: The file.
        newest: The newest supported schema; by default that of runs or studies, depending on the
            file.

    Raises:
        DataError: If it is missing, damaged, no record, or of a newer schema.
    """
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        # Python also reads NaN and lone surrogates, which other JSON readers refuse.
        json.dumps(content, allow_nan=False, ensure_ascii=False).encode()
    except (OSError, ValueError, RecursionError) as why:
        raise DataError(file, "must be a readable record", why, "Name a run's folder.") from None
    version = content.get("schema_version") if isinstance(content, dict) else None
    if not isinstance(version, int):
        raise DataError(
            file, "must be a record of segdoor", type(content).__name__, "Name a run's folder."
        )
    if newest is None:
        of_study = content.get("kind") == "study-record"
        newest = STUDY_SCHEMA_VERSION if of_study else SCHEMA_VERSION
    if version > newest:
        raise DataError(
            file, f"must have schema version {newest} or older", version, "Update segdoor."
        )
    return content
