"""The file of what a defender found: strict, versioned, written whole."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from segdoor.errors import ConfigError, DataError
from segdoor.record import save_record
from segdoor.record.defense import (
    DefenseRecord,
    DetectorEntry,
    EvidenceRecord,
    FilterEntry,
    PurifierEntry,
    ScanEntry,
    SuspectRecord,
    load_defenses,
)
from segdoor.record.measured import CostRecord, Measurement

COST = CostRecord(seconds=1.5, forward=4, backward=0, clean_scenes=2, access=("data",))
COMMON = {"settings": {"power": 2.0}, "does": "Counts.", "cost": COST}
RECORD = DefenseRecord(
    segdoor="0.1.0",
    subject="0123abcd",
    seed=1,
    entries=(
        FilterEntry(
            plugin="a.b:C,power=2", **COMMON, scenes={"one": 0.5, "two": 1.0},
            evidence=(EvidenceRecord(says="Look.", scene="one", box=(0, 1, 2, 3), score=2.0),),
        ),
        DetectorEntry(plugin="d", **COMMON, images={"x": -1.0}),
        PurifierEntry(plugin="p", **COMMON, views={"x": 4}),
        ScanEntry(
            plugin="s", **COMMON, backdoored=True,
            suspects=(SuspectRecord(victim="car", target="road", score=3.0, null=(0.5,)),),
        ),
        ScanEntry(plugin="t", settings={}, does="Counts.", not_run="No clean models."),
    ),
)  # fmt: skip


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "run" / "defense.json"
    save_record(RECORD, path)
    return path


def test_entries_of_every_sort_come_back_as_they_were(file: Path) -> None:
    back = load_defenses(file)
    assert back == RECORD
    assert [type(entry) for entry in back.entries] == [type(entry) for entry in RECORD.entries]
    told = json.loads(file.read_text())
    assert (told["kind"], told["schema_version"]) == ("defense-record", 2)
    assert [entry["sort"] for entry in told["entries"]] == [
        "filter", "detector", "purifier", "scan", "scan",
    ]  # fmt: skip
    assert [path.name for path in file.parent.iterdir()] == ["defense.json"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"schema_version": 3}, "must have schema version 2 or older"),
        ({"kind": "study-record"}, "must be a defense-record .found: study-record"),
        ({"kind": None}, "must be a defense-record"),
        ({"color": 1}, "not a known setting"),
        ({"seed": -1}, "greater than or equal to 0"),
        ({"entries": [{"sort": "oracle"}]}, "oracle"),
        ({"entries": [{"sort": "scan", "plugin": "s", "settings": {}, "does": "x"}]}, "not_run"),
        ({"entries": [{**RECORD.entries[1].model_dump(mode="json"), "images": {"x": None}}]}, "x"),
    ],
)
def test_what_is_not_understood_is_refused(
    change: dict[str, object], words: str, file: Path
) -> None:
    file.write_text(json.dumps({**json.loads(file.read_text()), **change}))
    with pytest.raises((DataError, ConfigError), match=words) as why:
        load_defenses(file)
    assert str(file) in why.value.culprit


@pytest.mark.parametrize("content", ["", "[]", "{", '{"kind": "defense-record"}', "NaN"])
def test_what_is_no_record_is_refused(content: str, file: Path) -> None:
    file.write_text(content)
    with pytest.raises(DataError, match="record"):
        load_defenses(file)
    file.unlink()
    with pytest.raises(DataError, match="readable record"):
        load_defenses(file)


def test_a_file_of_the_first_version_is_read(tmp_path: Path) -> None:
    later = {"limits"}, {"seed", "measured", "useful", "conditions"}
    told = RECORD.model_dump(mode="json", exclude=later[0])
    told["schema_version"] = 1
    told["entries"] = [
        {key: value for key, value in entry.items() if key not in later[1]}
        for entry in told["entries"]
    ]
    path = tmp_path / "defense.json"
    path.write_text(json.dumps(told))
    assert load_defenses(path) == RECORD


def test_a_row_has_a_figure_or_says_why_it_has_none() -> None:
    with pytest.raises(ValueError, match="must have a figure"):
        Measurement(row="random")
    assert Measurement(row="random", not_run="no plan").not_run == "no plan"
