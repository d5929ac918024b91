"""The attacker's files: JSON lines, a header and then one row a scene."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from pydantic_core import PydanticSerializationError

from segdoor.errors import DataError
from segdoor.files import write_atomically
from segdoor.record import Json
from segdoor.settings import Settings, validated

HeaderT = TypeVar("HeaderT", bound=Settings)
RowT = TypeVar("RowT", bound=Settings)


def write_json_lines(path: Path, header: Settings, rows: Sequence[Settings]) -> None:
    """Write a header and its rows, atomically.

    Raises:
        DataError: If something in them is no text, such as a scene's name.
    """
    try:
        lines = [f"{line.model_dump_json()}\n" for line in (header, *rows)]
    except PydanticSerializationError as why:
        raise DataError(
            path,
            "must be given names of valid UTF-8 text",
            why,
            "Rename scenes, files and folders whose names are none.",
        ) from None
    write_atomically(path, "".join(lines))


def read_json_lines(
    path: Path,
    header_type: type[HeaderT],
    row_type: type[RowT],
    *,
    version: int,
    earlier: Callable[[Json], Json] = dict,
) -> tuple[HeaderT, tuple[RowT, ...]]:
    """Read a header and its rows, trusting nothing.

    Args:
        path: The file.
        header_type: What the first line must be.
        row_type: What every other line must be.
        version: The newest schema version that is understood.
        earlier: Tells a header of an older version as it is told today.

    Raises:
        DataError: If the file is missing, damaged, of another kind or a newer schema, or has two
            rows for one scene.
        ConfigError: If a value in it breaks a rule.
    """
    lines = _objects(path)
    found = lines[0].get("schema_version")
    if found is not None and (type(found) is not int or found > version):
        raise DataError(
            path,
            f"must have schema version {version} or older",
            found,
            "Update segdoor.",
        )
    header = validated(header_type, earlier(lines[0]), source=f"{path}: line 1", recorded=True)
    rows = tuple(
        validated(row_type, line, source=f"{path}: line {number}")
        for number, line in enumerate(lines[1:], start=2)
    )
    _refuse_repetition(path, [line.get("name") for line in lines[1:]])
    return header, rows


def check_counts(path: Path, stated: Mapping[str, int], counted: Mapping[str, int]) -> None:
    """Refuse a file whose rows are not those its header counts.

    Raises:
        DataError: If a count differs: rows were lost or added.
    """
    for name, count in counted.items():
        if stated[name] != count:
            raise DataError(
                path,
                f"must hold the rows its header counts: {name} is {stated[name]} there",
                count,
                "Restore the file, or plan again.",
            )


def _objects(path: Path) -> list[dict[str, object]]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as why:
        raise DataError(path, "must be a readable text file", why, "Check the path.") from None
    if not text:
        raise DataError(path, "must begin with a header line", "an empty file", "Plan again.")
    objects: list[dict[str, object]] = []
    for number, line in enumerate(text.removesuffix("\n").split("\n"), start=1):
        try:
            content = json.loads(line)
            # Python also reads NaN and halves of characters, which are no JSON for others.
            json.dumps(content, allow_nan=False, ensure_ascii=False).encode()
        except (ValueError, RecursionError):
            content = None
        if not isinstance(content, dict):
            raise DataError(
                path, f"line {number} must be a JSON object", line[:60], "Restore the file."
            )
        objects.append(content)
    return objects


def _refuse_repetition(path: Path, names: Sequence[object]) -> None:
    seen: set[object] = set()
    for number, name in enumerate(names, start=2):
        if name in seen:
            raise DataError(
                path, f"line {number} must not repeat a name", name, "Restore the file."
            )
        seen.add(name)
