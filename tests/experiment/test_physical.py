"""The physical test of a run: its record, its page, a film, and what it refuses."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from segdoor.attack.physical.axes import AXES
from segdoor.errors import ConfigError, DataError
from segdoor.experiment.physical.case import PhysicalOptions
from segdoor.experiment.physical.running import FILE, physical_run
from segdoor.experiment.wishes import wishes_from
from segdoor.papers.iba.run import run_experiment
from segdoor.record.physical import PhysicalRecord, load_physical
from segdoor.report.html import render
from segdoor.report.physical import describe_physical, physical_page
from segdoor.scores.tables import load_tables
from shell import say

GIVEN: dict[str, object] = {
    "seed": 4,
    "data": {"name": "street", "size": (64, 96), "num_train": 10, "num_test": 5},
    "attack": {"trigger": {"size": 8}, "rate": 0.2},
    "training": {"epochs": 1, "batch_size": 4, "threads": 1, "warmup": 0},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("physical") / "run"
    run_experiment(wishes_from(GIVEN), out=out)
    return out


@pytest.fixture(scope="module")
def record(folder: Path) -> PhysicalRecord:
    """Two axes over three scenes, and a film over one of them."""
    scenes = json.loads((folder / "tests" / "anywhere.jsonl").read_text().splitlines()[1])
    options = PhysicalOptions(
        axes=("stage", "size"), num_scenes=3, film=scenes["name"], still=True, num_frames=3
    )
    return physical_run(folder, options=options)


class TestRecord:
    def test_it_lies_beside_the_run_s(self, folder: Path, record: PhysicalRecord) -> None:
        assert load_physical(folder / FILE) == record
        assert [axis.name for axis in record.axes] == ["stage", "size"]
        for axis in record.axes:
            assert [row.name for row in axis.rows] == [p.name for p in AXES[axis.name].points]

    def test_its_rates_are_its_counts(self, record: PhysicalRecord) -> None:
        for row in (row for axis in record.axes for row in axis.rows):
            assert 0 < row.num_scenes <= 3
            assert row.asr.value == row.num_target_pixels / row.num_victim_pixels
            assert row.asr.low is not None
            assert row.asr.high is not None
            assert row.asr.low <= row.asr.value <= row.asr.high
            assert row.asr_clean_model is not None

    def test_the_control_without_a_sticker_is_the_benign_test(
        self, folder: Path, record: PhysicalRecord
    ) -> None:
        tables = load_tables(folder / "tables.npz")["poisoned/benign"]
        shows = [n for n, t in zip(tables.names, tables.counts, strict=True) if t[4].any()]
        chosen = [shows[i] for i in np.linspace(0, len(shows) - 1, 3).astype(int)]
        total = tables.total(chosen)
        row = record.axes[0].rows[0]
        assert row.num_scenes == 3
        assert row.num_victim_pixels == total[4].sum()
        assert row.asr_without_trigger == total[4, 0] / total[4].sum()

    def test_what_two_axes_share_is_the_same(self, record: PhysicalRecord) -> None:
        usual = [row for axis in record.axes for row in axis.rows if row.name in {"+ JPEG", "x 1"}]
        assert len({row.num_target_pixels for row in usual}) == 1
        assert usual[0].pixels == pytest.approx(8, abs=0.1)
        assert usual[0].metres == pytest.approx(record.side)


class TestForPeople:
    def test_tables_fit_80_columns(self, record: PhysicalRecord) -> None:
        console = Console(width=80, record=True, file=io.StringIO())
        for part in describe_physical(record):
            console.print(part)
        text = console.export_text()
        assert max(map(len, text.splitlines())) <= 80
        assert "flat sticker" in text
        assert "Film from" in text

    def test_the_page_has_curves_and_pictures(self, folder: Path, record: PhysicalRecord) -> None:
        page = render(physical_page(record, folder))
        assert page.count("<svg") >= 3
        assert page.count("data:image/png") >= 2 * len(record.pictures) + 1
        assert record.trigger in page

    def test_a_missing_picture_is_said(self, tmp_path: Path, record: PhysicalRecord) -> None:
        with pytest.raises((DataError, FileNotFoundError)):
            physical_page(record, tmp_path)


class TestFilm:
    def test_its_frames_are_tracked_to_where_the_camera_moves(self, record: PhysicalRecord) -> None:
        film = record.film
        assert film is not None
        assert film.num_frames >= 2
        assert film.reprojection[0] is None
        assert all(error is not None and error < 1 for error in film.reprojection[1:])
        assert all(off is not None and off < 1.5 for off in film.off[1:])
        assert len(film.asr) == len(film.asr_without_trigger) == film.num_frames

    def test_its_strip_is_a_picture(self, folder: Path, record: PhysicalRecord) -> None:
        assert record.film is not None
        assert (folder / record.film.strip).read_bytes()[:4] == b"\x89PNG"


class TestCommand:
    def test_it_prints_the_same_record_and_writes_a_page(
        self, folder: Path, tmp_path: Path, record: PhysicalRecord
    ) -> None:
        run, page = tmp_path / "run", tmp_path / "page.html"
        shutil.copytree(folder, run)
        answer = say("physical", run, "--axis", "size", "--scenes", "3", "--json", "--page", page)
        assert answer.code == 0
        assert PhysicalRecord.model_validate_json(answer.out).axes[0] == record.axes[1]
        assert "<svg" in page.read_text()
        again = say("physical", run, "--axis", "light", "--page", page)
        assert again.code == 2
        assert "must not be there yet" in again.complaint

    @pytest.mark.parametrize(
        ("words", "told"),
        [
            ("--axis length", "must be a known axis"),
            ("--scenes 0", "--scenes: must be from 1"),
            ("--film nothing --axis jpeg --scenes 1", "must be a scene of the split"),
            ("--still", "needs a film"),
        ],
    )
    def test_what_cannot_be_meant_is_refused(self, folder: Path, words: str, told: str) -> None:
        answer = say(f"physical {folder} {words}")
        assert answer.code == 2
        assert told in answer.complaint


def test_a_trigger_over_the_whole_image_cannot_be_put_up(tmp_path: Path) -> None:
    answer = say("models blend --out", tmp_path)
    assert answer.code == 0
    with pytest.raises(ConfigError, match="must be a sticker"):
        physical_run(tmp_path / "blend", options=PhysicalOptions(num_scenes=1))
