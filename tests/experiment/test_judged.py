"""A finished run against thresholds, beside figures and scenes computed apart."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from recorded import BASELINE
from segdoor.data.load import load_dataset
from segdoor.errors import ConfigError
from segdoor.experiment.judged import image_files, judge, names_of
from segdoor.experiment.wishes import wishes_from
from segdoor.papers.iba.reading import asked
from segdoor.record import load_record
from segdoor.record.findings import RULES
from segdoor.record.thresholds import read_thresholds
from segdoor.scores.tables import load_tables
from trees import write_mmseg

RECORD = load_record(BASELINE)
TABLES = load_tables(BASELINE / "tables.npz")
CAR = [entry.name for entry in RECORD.data.classes].index("car")


def judged(*texts: str) -> list[tuple[str | None, float | None]]:
    findings = judge(RECORD, BASELINE, read_thresholds(texts))
    assert {finding.rule for finding in findings} <= set(RULES)
    return [(finding.test, finding.value) for finding in findings]


def test_figures_are_those_of_the_record() -> None:
    tests = RECORD.scores.tests
    for name in ("asr", "pba", "victim_recovery"):
        there = {test: getattr(scores, name) for test, scores in tests.items()}
        values = {test: getattr(found, "value", found) for test, found in there.items()}
        assert dict(judged(f"{name}>=0")) == pytest.approx(values)
    benign = RECORD.scores.benign
    assert judged("cba>=0") == [("benign", pytest.approx(benign.cba.value))]
    assert judged("asr:benign>=0") == [("benign", pytest.approx(benign.asr_without_trigger))]
    known = [found for found in benign.class_iou if found is not None]
    assert [value for _, value in judged("iou>=0")] == pytest.approx(known)
    assert judged("iou:car>=0") == [("benign", pytest.approx(benign.class_iou[CAR]))]


def test_one_victim_class_alone_is_the_whole_where_there_is_no_other() -> None:
    assert judged("asr:near:car>=0") == judged("asr:near>=0")
    assert judged("asr:car>=0") == judged("asr>=0")


def test_only_what_is_crossed_is_found() -> None:
    asr = RECORD.scores.tests["near"].asr.value
    assert asr is not None
    assert judged(f"asr:near>{asr + 0.01}") == []
    assert len(judged(f"asr:near>{asr - 0.01}")) == 1
    assert judged() == []


def test_the_worst_scenes_come_first() -> None:
    tables = TABLES["poisoned/near"]
    target = [entry.name for entry in RECORD.data.classes].index(RECORD.target)
    pixels = tables.counts[:, CAR].sum(axis=1)
    least = np.median(pixels[pixels > 0])
    rates = {
        name: table[CAR, target] / count
        for name, table, count in zip(tables.names, tables.counts, pixels, strict=True)
        if count >= least
    }
    (finding,) = judge(RECORD, BASELINE, read_thresholds(["asr:near>=0"]))
    assert len(finding.scenes) == 5
    assert [rates[name] for name in finding.scenes] == sorted(rates.values(), reverse=True)[:5]
    (finding,) = judge(RECORD, BASELINE, read_thresholds(["asr:near<=1"]))
    assert [rates[name] for name in finding.scenes] == sorted(rates.values())[:5]


def test_what_could_not_be_measured_is_a_finding(tmp_path: Path) -> None:
    record = RECORD.model_copy(update={"victims": ("car",)})
    tables = dict(np.load(BASELINE / "tables.npz"))
    tables["poisoned/benign.counts"][:, CAR] = 0
    tables["poisoned/benign.counts"][:, :, CAR] = 0
    np.savez(tmp_path / "tables.npz", **tables)
    (finding,) = judge(record, tmp_path, read_thresholds(["iou:car<0.5"]))
    assert finding.rule == "model-not-measured"
    assert "iou:car<0.5" in finding.message
    # Where other classes could be, it is judged by them.
    found = judge(record, tmp_path, read_thresholds(["iou>=0"]))
    assert {finding.rule for finding in found} == {"model-threshold"}
    assert len(found) == sum(iou is not None for iou in RECORD.scores.benign.class_iou) - 1


def test_names_are_known_before_work_begins() -> None:
    given = asked(wishes_from({"data": {"num_train": 4, "size": [64, 96]}}))
    names = names_of(given, "train")
    assert {"nearest", "near", "far", "anywhere"} == set(names.tests.values())
    assert names.victims == ("car",)
    assert "road" in names.classes
    assert "vanished_objects" in names.figures
    assert "kept_victims" not in names.figures
    spared = asked(wishes_from({"attack": {"labels": ["component"]}}))
    assert "kept_victims" in names_of(spared, "train").figures
    wrong = asked(wishes_from({"attack": {"victims": ["cow"]}}))
    with pytest.raises(ConfigError, match=r"attack\.victims"):
        names_of(wrong, "train")


def test_images_of_scenes(tmp_path: Path) -> None:
    write_mmseg(tmp_path)
    splits = {"train_split": "other", "test_split": "train"}
    data = {"name": "folder", "root": str(tmp_path), **splits}
    given = asked(wishes_from({"data": data}))
    names = load_dataset(given.data(), "train").names
    found = image_files(given, names[:2])
    assert list(found) == list(names[:2])
    assert all(path.is_file() and path.stem == name for name, path in found.items())
    assert image_files(asked(wishes_from({})), ["test_00000"]) == {}
