"""The data behind a page: what it says, what it leaves out, and that every figure has an origin.

Set SEGDOOR_UPDATE_GOLD=1 to write the gold files anew.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from recorded import BASELINE, RESULTS, followed, write_run, write_study
from segdoor.errors import ConfigError, DataError
from segdoor.record import AxisValue, Evidence, Spread, StudyRecord, StudyRun, save_record
from segdoor.report.content import GREY, Cell, Page, Section
from segdoor.report.curves import axis_charts
from segdoor.report.html import render, table_of
from segdoor.report.page import build_page
from segdoor.report.source import Source, open_source
from segdoor.report.tables import leading
from segdoor.report.terminal_study import describe_study
from segdoor.report.words import CUT
from segdoor.scores.tables import TableSet, load_tables, save_tables

GOLD = Path(__file__).with_name("gold")
RUNS = sorted(path.name for path in RESULTS.glob("camvid-*"))


def section(page: Page, key: str) -> Section | None:
    return next((entry for entry in page.sections if entry.key == key), None)


def cells(page: Page) -> list[Cell]:
    tables = [table for part in page.sections for table in part.tables]
    tables += [table_of(chart) for part in page.sections for chart in part.charts]
    return [cell for table in tables for row in table.rows for cell in row]


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Source:
    folder = tmp_path_factory.mktemp("study")
    write_study(folder, tables=True, gallery=2)
    return open_source(folder)


@pytest.mark.parametrize("name", RUNS)
def test_the_data_behind_the_page_of_a_real_run_is_gold(name: str) -> None:
    assert_gold(name, build_page(open_source(RESULTS / name)))


def test_the_data_behind_the_page_of_a_study_with_repairs_is_gold(tmp_path: Path) -> None:
    write_study(tmp_path)
    assert_gold("study", build_page(open_source(tmp_path)))


def assert_gold(name: str, page: Page) -> None:
    content = dataclasses.asdict(page)
    made = json.dumps(content, indent=1, ensure_ascii=False, default=Evidence.model_dump) + "\n"
    file = GOLD / f"{name}.json"
    if os.environ.get("SEGDOOR_UPDATE_GOLD"):
        file.parent.mkdir(exist_ok=True)
        file.write_text(made, encoding="utf-8")
    assert same(json.loads(made), json.loads(file.read_text(encoding="utf-8")))


def same(made: object, gold: object) -> bool:
    """Compare, with figures up to rounding: sums differ in the last digit between machines."""
    if isinstance(made, dict) and isinstance(gold, dict):
        return made.keys() == gold.keys() and all(same(made[key], gold[key]) for key in made)
    if isinstance(made, list) and isinstance(gold, list):
        return len(made) == len(gold) and all(map(same, made, gold))
    if isinstance(made, float) and isinstance(gold, float):
        return made == pytest.approx(gold, rel=1e-9)
    return made == gold


@pytest.mark.parametrize("name", RUNS)
def test_every_figure_of_a_run_is_at_its_origin_in_the_file(name: str) -> None:
    page = build_page(open_source(RESULTS / name))
    content = json.loads((RESULTS / name / "record.json").read_text())
    traced = 0
    for cell in cells(page):
        if cell.origin is None or not isinstance(cell.value, float):
            continue
        if cell.origin.field.startswith("/"):
            assert followed(content, cell.origin.field) == cell.value
            traced += 1
    assert traced > 60


def test_figures_of_a_study_are_means_of_their_records(study: Source) -> None:
    records = {
        run.key: json.loads((study.path.parent / "runs" / run.key / "record.json").read_text())
        for run in study.runs
    }
    part = section(build_page(study), "results")
    assert part is not None
    traced = [
        cell for table in part.tables for row in table.rows for cell in row
        if cell.origin is not None and isinstance(cell.value, float)
    ]  # fmt: skip
    assert len(traced) > 40
    assert max(len(cell.origin.runs) for cell in traced if cell.origin) == 3
    for cell in traced:
        assert cell.origin is not None
        figures = [followed(records[key], cell.origin.field) for key in cell.origin.runs]
        assert cell.value == pytest.approx(np.mean(figures))


def test_a_study_has_every_section_and_a_run_only_its_own(study: Source, tmp_path: Path) -> None:
    of_study = [entry.key for entry in build_page(study).sections]
    assert of_study == [
        "results", "by-rate", "distance", "classes", "repairs", "gallery", "claims", "provenance",
        "glossary",
    ]  # fmt: skip
    write_run(tmp_path / "run")
    of_run = [entry.key for entry in build_page(open_source(tmp_path / "run")).sections]
    assert of_run == ["results", "distance", "classes", "gallery", "provenance", "glossary"]


def test_without_tables_and_pictures_the_page_says_so(tmp_path: Path) -> None:
    write_run(tmp_path / "run")
    page = build_page(open_source(tmp_path / "run"))
    for key in ("distance", "gallery"):
        part = section(page, key)
        assert part is not None
        assert part.notes
        assert not part.charts
        assert part.gallery is None


def spread_out(folder: Path, places: list[dict[str, AxisValue]]) -> Source:
    """Write a study with one run at each place."""
    runs: list[StudyRun] = []
    for number, axes in enumerate(places):
        write_run(folder / f"r{number}")
        file = f"r{number}/record.json"
        runs.append(StudyRun(key=f"r{number}", axes=axes, seed=0, state="done", record=file))
    study = StudyRecord(
        name="s", preset="camvid", title="s", reading="paper", axes={}, seeds=(0,),
        runs=tuple(runs), cells=(), verdicts=(),
    )  # fmt: skip
    save_record(study, folder / "s.study.json")
    return open_source(folder)


def test_class_by_class_compares_groups_that_are_equal_on_other_axes(tmp_path: Path) -> None:
    places: list[dict[str, AxisValue]] = [
        {"method": method, "rate": 0.1, "trigger": 15} for method in ("baseline", "nni")
    ]
    places += [{"method": "baseline", "rate": 0.2, "trigger": 15}]
    places += [{"method": "nni", "rate": 0.1, "trigger": size} for size in (30, 55)]
    compared = leading(spread_out(tmp_path, places))
    assert [group.axes for _, group in compared] == places[:2]


@pytest.mark.parametrize(
    ("axis", "values"), [("rate", (0.1, 0.2)), ("trigger", (15, 55)), ("q", (10, 100_000))]
)
def test_every_chart_over_an_axis_has_all_three_metrics_side_by_side(
    axis: str, values: tuple[float, ...], tmp_path: Path
) -> None:
    source = spread_out(tmp_path, [{"method": "prl", axis: value} for value in values])
    charts = axis_charts(source, axis)
    assert [chart.title for chart in charts] == ["ASR, near", "PBA, near", "CBA", "ASR, nearest"]
    assert not [chart.title for chart in charts if chart.folded]
    record = source.runs[0].record
    scores = record.scores.tests["near"]
    expected = (scores.asr.value, scores.pba.value, record.scores.cba)
    for chart, value in zip(charts, expected, strict=False):
        (curve,) = (curve for curve in chart.curves if curve.name == "measured")
        assert [(p.x, p.y) for p in curve.points] == [(x, value) for x in values]


def test_charts_without_a_curve_of_their_own_are_left_out(tmp_path: Path) -> None:
    places: list[dict[str, AxisValue]] = [
        {"method": "baseline", "rate": rate, "q": None} for rate in (0.1, 0.2)
    ]
    places += [{"method": "prl", "rate": 0.1, "q": q} for q in (10, 20, 30)]
    (tmp_path / "one").mkdir()
    source = spread_out(tmp_path / "one", places)
    assert [chart.title for chart in axis_charts(source, "rate") if chart.y == "CBA"] == [
        "CBA, Q 10"
    ]
    places += [{"method": "prl", "rate": 0.2, "q": q} for q in (20, 30)]
    (tmp_path / "two").mkdir()
    charts = axis_charts(spread_out(tmp_path / "two", places), "rate")
    of_cba = {chart.title: chart for chart in charts if chart.y == "CBA"}
    assert [(title, chart.folded) for title, chart in of_cba.items()] == [
        ("CBA, Q 20", False),
        ("CBA, Q 30", True),
    ]
    # One run has the interval over scenes that its record gives.
    points = [point for curve in of_cba["CBA, Q 20"].curves for point in curve.points]
    assert all(point.low is not None and point.low < point.y for point in points)


def test_tables_of_too_few_scenes_give_no_curve_over_distance(tmp_path: Path) -> None:
    write_run(tmp_path / "run", tables=True)
    whole = load_tables(BASELINE / "tables.npz")
    distances = open_source(BASELINE).runs[0].record.scores.tests["anywhere"].distances
    car = 8
    tables = whole["poisoned/anywhere"]
    seen = [n for i, n in enumerate(tables.names) if tables.counts[i, car].sum() and n in distances]
    for count, found in ((36, 1), (35, 0)):
        few = {name: entry.only(seen[:count]) for name, entry in whole.items()}
        save_tables(tmp_path / "run" / "tables.npz", few)
        part = section(build_page(open_source(tmp_path / "run")), "distance")
        assert part is not None
        assert len(part.charts) == found
    assert part.notes == (
        "Left out: the tables hold fewer than 36 scenes with trigger and victims.",
    )


def test_a_number_of_the_paper_that_two_tests_measure_is_one_mark(tmp_path: Path) -> None:
    study = write_study(tmp_path, tables=True)
    again = [
        c.model_copy(update={"test": "nearest"}) for c in study.cells if c.labels["rate"] == 0.1
    ]
    twice = study.model_copy(update={"cells": (*study.cells, *again)})
    save_record(twice, tmp_path / "table1.camvid.study.json")
    part = section(build_page(open_source(tmp_path)), "distance")
    assert part is not None
    papers = [curve for chart in part.charts for curve in chart.curves if curve.kind == "paper"]
    assert papers
    assert {len(curve.points) for curve in papers} == {1}


def test_the_curve_over_distance_follows_from_the_tables() -> None:
    source = open_source(RESULTS / "camvid-baseline")
    part = section(build_page(source), "distance")
    assert part is not None
    curve = part.charts[0].curves[0]
    record = source.runs[0].record
    distances = record.scores.tests["anywhere"].distances
    tables = load_tables(RESULTS / "camvid-baseline" / "tables.npz")["poisoned/anywhere"]
    car, road = 8, 3
    seen = [i for i, name in enumerate(tables.names) if tables.counts[i, car].sum()]
    seen = sorted((i for i in seen if tables.names[i] in distances),
                  key=lambda i: distances[tables.names[i]])  # fmt: skip
    for point, places in zip(curve.points, np.array_split(seen, len(curve.points)), strict=True):
        chosen = tables.counts[places]
        assert point.y == chosen[:, car, road].sum() / chosen[:, car].sum()
        assert point.x == pytest.approx(np.mean([distances[tables.names[i]] for i in places]))
        assert point.low is not None
        assert point.high is not None
        assert point.low <= point.y <= point.high


def test_tables_of_several_seeds_are_added(tmp_path: Path) -> None:
    source = spread_out(tmp_path, [{"method": "nni"}] * 2)
    whole = load_tables(BASELINE / "tables.npz")
    first = whole["poisoned/anywhere"]
    car, road = 8, 3
    second = first.counts.copy()
    second[::2, car, car] += second[::2, car, road]
    second[::2, car, road] = 0
    save_tables(tmp_path / "r0" / "tables.npz", whole)
    other = {**whole, "poisoned/anywhere": TableSet(first.names, second)}
    save_tables(tmp_path / "r1" / "tables.npz", other)
    part = section(build_page(source), "distance")
    assert part is not None
    points = part.charts[0].curves[0].points
    added = first.counts + second
    distances = source.runs[0].record.scores.tests["anywhere"].distances
    seen = [i for i, n in enumerate(first.names) if n in distances and added[i, car].sum()]
    seen.sort(key=lambda i: distances[first.names[i]])
    for point, places in zip(points, np.array_split(seen, len(points)), strict=True):
        assert point.y == added[places, car, road].sum() / added[places, car].sum()
        assert point.origin is not None
        assert point.origin.runs == ("r0", "r1")


def test_the_papers_curve_goes_on_where_nothing_was_measured(study: Source) -> None:
    part = section(build_page(study), "by-rate")
    assert part is not None
    near = next(chart for chart in part.charts if chart.title == "ASR, near")
    curves = {curve.name: curve for curve in near.curves}
    assert [point.x for point in curves["NNI"].points] == [0.05, 0.1]
    paper = curves["NNI (paper)"]
    assert paper.kind == "paper"
    assert paper.colour == curves["NNI"].colour
    # The cell of 1 % is doubted: it is listed, but never drawn.
    assert [point.x for point in paper.points] == [0.05, 0.1]
    assert [point.y for point in paper.points] == pytest.approx([0.61, 0.76])
    assert {chart.title for chart in part.charts} >= {"CBA", "PBA, near"}


def test_the_papers_curve_goes_on_where_a_run_fell_short_of_its_rate(tmp_path: Path) -> None:
    study = write_study(tmp_path)
    short = [
        c.model_copy(update={"doubted": None, "labels": {**c.labels, "rate reached": 0.087}})
        if c.labels["rate"] == 0.1 else c.model_copy(update={"doubted": None})
        for c in study.cells
    ]  # fmt: skip
    runs = tuple(run for run in study.runs if run.axes["rate"] == 0.1)
    other = {"key": "nni-0.2", "axes": {**runs[0].axes, "rate": 0.2}}
    again = runs[0].model_copy(update=other)
    save_record(
        study.model_copy(update={"cells": tuple(short), "runs": (*runs, again)}),
        tmp_path / "table1.camvid.study.json",
    )
    part = section(build_page(open_source(tmp_path)), "by-rate")
    assert part is not None
    near = next(chart for chart in part.charts if chart.title == "ASR, near")
    paper = next(curve for curve in near.curves if curve.name == "baseline (paper)")
    assert [point.x for point in paper.points] == [0.01, 0.05, 0.1]


def test_every_chart_against_the_rate_shows_the_clean_victim(study: Source) -> None:
    part = section(build_page(study), "by-rate")
    assert part is not None
    record = study.runs[0].record
    near = record.scores.tests["near"]
    clean = record.controls.clean_model
    assert clean is not None
    figures = {"ASR": near.asr_clean_model, "PBA": near.pba_clean_model, "CBA": clean.cba.value}
    shown = {chart.title: chart for chart in part.charts}
    for metric, title in (("ASR", "ASR, near"), ("PBA", "PBA, near"), ("CBA", "CBA")):
        (curve,) = [c for c in shown[title].curves if c.colour == GREY]
        assert curve.name == "clean model"
        assert [(p.x, p.y) for p in curve.points] == [
            (rate, pytest.approx(figures[metric])) for rate in (0.05, 0.1)
        ]
        # Of the methods at a rate, that with most seeds.
        assert all(p.origin is not None and len(p.origin.runs) == 3 for p in curve.points)
        assert f"clean model: from {figures[metric]:.3f}" in shown[title].summary
    distance = section(build_page(study), "distance")
    assert distance is not None
    assert ["clean model" in {c.name for c in chart.curves} for chart in distance.charts] == [
        True for _ in distance.charts
    ]


def test_names_of_the_paper_are_told_with_what_was_run_for_them(tmp_path: Path) -> None:
    study = write_study(tmp_path)
    labels = {"trigger": 55, "q": 100, "q_as": "area", "distance": "60-90", "network": "pspnet"}
    cell = study.cells[1].model_copy(update={"labels": labels, "test": "far_21.1_31.6"})
    plain = cell.model_copy(
        update={"labels": {"trigger": 30, "network": "pspnet"}, "test": "nearest"}
    )
    scaled = {"trigger 55": "19 px", "Q 100 by area": "8", "distance 60-90": "21.1-31.6 px"}
    axes = {**study.axes, "trigger": (55,)}
    save_record(
        study.model_copy(update={"scaled": scaled, "cells": (cell, plain), "axes": axes}),
        tmp_path / "table1.camvid.study.json",
    )
    page = build_page(open_source(tmp_path))
    assert dict(page.facts)["trigger size"] == "55 (here 19 px)"
    assert dict(page.facts)["the paper’s measures here"] == (
        "Q 100 by area is 8; distance 60-90 is 21.1-31.6 px"
    )
    tables = {table.key: table for part in page.sections for table in part.tables}
    row = dict(zip(tables["cells"].columns, tables["cells"].rows[0], strict=True))
    assert row["trigger size"] == Cell("55 (here 19 px)", 55)
    assert row["Q"] == Cell("100 (here 8)", 100)
    assert row["distance"] == Cell("60-90 (here 21.1-31.6 px)", "60-90")
    assert tables["cells"].rows[1][1].text == "30"
    # What all cells share is told once.
    assert "network" not in row
    assert "All are of: pspnet." in tables["cells"].note
    assert row["test"] == Cell("far", "far_21.1_31.6")
    assert "far, 60–90 (here 21.1–31.6 px)" in tables["every-test"].columns
    # Not scaled, not told twice.
    assert "far, 31.6–42.2 px" in tables["every-test"].columns


def test_charts_against_a_scaled_axis_say_what_was_run(tmp_path: Path) -> None:
    places: list[dict[str, AxisValue]] = [
        {"method": "prl", "q": q, "q_as": "area", "trigger": side}
        for side in (15, 55) for q in (10, 100)
    ]  # fmt: skip
    study = spread_out(tmp_path, places).study
    assert study is not None
    scaled = {"trigger 15": "5 px", "trigger 55": "19 px", "Q 10 by area": "1"}
    save_record(study.model_copy(update={"scaled": scaled}), tmp_path / "s.study.json")
    source = open_source(tmp_path)
    parts = {part.key: part for part in build_page(source).sections}
    assert parts["by-trigger"].lead.endswith("Here trigger 15 is 5 px, trigger 55 is 19 px.")
    assert parts["by-q"].lead.endswith("Here Q 10 by area is 1.")
    titles = {chart.title for chart in axis_charts(source, "q")}
    assert any("trigger size 55 (here 19 px)" in c.name for chart in axis_charts(source, "q")
               for c in chart.curves), titles  # fmt: skip


def test_a_claim_is_one_entry_with_all_ways_of_judging_it(tmp_path: Path) -> None:
    study = write_study(tmp_path)
    again = study.verdicts[0].model_copy(update={"judged_on": "nearest", "verdict": "supported"})
    mixed = (study.verdicts[0], again, *study.verdicts[1:])
    save_record(study.model_copy(update={"verdicts": mixed}), tmp_path / "table1.camvid.study.json")
    page = build_page(open_source(tmp_path))
    assert (
        "Of the paper’s fifteen claims 1 is supported in every way judged, 1 is supported in some, "
        "13 are not measured." in page.verdict
    )
    part = section(page, "claims")
    assert part is not None
    assert [(entry.name, entry.outcome) for entry in part.judgements] == [
        ("Claim 1, reading ‘paper’", "supported in some"),
        ("Claim 2, reading ‘paper’", "supported"),
        ("Claim 3, reading ‘paper’", "not measured"),
    ]
    ways = part.judgements[0].ways
    assert [(way.judged_on, way.verdict) for way in ways] == [
        ("near", "contradicted"),
        ("nearest", "supported"),
    ]
    assert ways[0].evidence == study.verdicts[0].evidence


def test_the_verdicts_of_the_other_reading_stand_beside(tmp_path: Path) -> None:
    study = write_study(tmp_path)
    verdicts = [v.model_copy(update={"reading": "official"}) for v in study.verdicts[:1]]
    official = study.model_copy(update={"reading": "official", "verdicts": tuple(verdicts)})
    save_record(official, tmp_path / "table1.camvid.official.study.json")
    # Records of other studies, and damaged ones, say nothing here.
    other = official.model_copy(update={"preset": "street"})
    save_record(other, tmp_path / "table1.street.official.study.json")
    (tmp_path / "table2.camvid.study.json").write_text("{")
    page = build_page(open_source(tmp_path / "table1.camvid.study.json"))
    part = section(page, "claims")
    assert part is not None
    first, second, _ = part.judgements
    assert first.name == "Claim 1, readings ‘paper’ and ‘official’"
    assert [way.reading for way in first.ways] == ["paper", "official"]
    assert [way.reading for way in second.ways] == ["paper"]
    html = render(page)
    assert "near, reading ‘official’" in html
    assert "near, reading ‘paper’" not in html


def test_a_comparison_tells_its_difference_interval_and_seeds(tmp_path: Path) -> None:
    write_study(tmp_path)
    html = render(build_page(open_source(tmp_path)))
    assert "✓ supported: nni 0.62" in html
    assert "difference +0.0700 [+0.0200, +0.1200], 3 seeds; 3 seeds decide" in html
    assert "3 seeds by Student’s t alone, without scenes" in html
    assert "2 comparisons: 1 supported, 1 contradicted" in html


def test_failed_and_waiting_runs_are_listed_with_their_reason(study: Source) -> None:
    part = section(build_page(study), "provenance")
    assert part is not None
    absent = next(table for table in part.tables if table.key == "absent")
    told = {row[0].text: (row[2].text, row[3].text) for row in absent.rows}
    assert told == {"prl-0.1-s1": ("failed", "no room"), "prl-0.1-s2": ("waiting", "")}


def test_a_damaged_record_does_not_hide_the_others(tmp_path: Path) -> None:
    write_study(tmp_path)
    (tmp_path / "runs" / "nni-0.05-s1" / "record.json").write_text("{")
    source = open_source(tmp_path)
    assert len(source.runs) == 15
    assert "readable record" in {run.key: why for run, why in source.absent}["nni-0.05-s1"]
    assert "The records of 1 of them cannot be read" in build_page(source).verdict


def test_a_scene_whose_pictures_were_left_behind_is_told_and_the_others_are_shown(
    tmp_path: Path,
) -> None:
    write_run(tmp_path / "run", gallery=2)
    (tmp_path / "run" / "gallery" / "1-truth.png").unlink()
    part = section(build_page(open_source(tmp_path / "run")), "gallery")
    assert part is not None
    assert part.gallery is not None
    assert len(part.gallery.scenes) == 1
    assert [note for note in part.notes if "1-truth.png is no longer beside the record" in note]


def test_where_all_pictures_were_left_behind_one_note_says_so(tmp_path: Path) -> None:
    write_run(tmp_path / "run", gallery=4)
    for picture in (tmp_path / "run" / "gallery").iterdir():
        picture.unlink()
    part = section(build_page(open_source(tmp_path / "run")), "gallery")
    assert part is not None
    assert part.notes == ("The pictures of all 4 scenes are no longer beside the records.",)


@pytest.mark.parametrize("name", ["../secret.png", "/etc/hostname", "gallery/../../secret.png"])
def test_a_picture_outside_the_folder_is_refused(name: str, tmp_path: Path) -> None:
    def point_outside(content: dict[str, object]) -> None:
        content["gallery"][0]["truth"] = name

    write_run(tmp_path / "run", gallery=1, change=point_outside)
    (tmp_path / "secret.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(DataError, match="within it"):
        build_page(open_source(tmp_path / "run"))


def test_a_link_that_leads_outside_is_refused(tmp_path: Path) -> None:
    write_run(tmp_path / "run", gallery=1)
    picture = tmp_path / "run" / "gallery" / "1-truth.png"
    picture.rename(tmp_path / "elsewhere.png")
    picture.symlink_to(tmp_path / "elsewhere.png")
    with pytest.raises(DataError, match="within it"):
        build_page(open_source(tmp_path / "run"))


def test_a_file_that_is_no_picture_is_refused(tmp_path: Path) -> None:
    write_run(tmp_path / "run", gallery=1)
    (tmp_path / "run" / "gallery" / "1-image.png").write_text("<script>alert(1)</script>")
    with pytest.raises(DataError, match="PNG"):
        build_page(open_source(tmp_path / "run"))


def test_a_record_outside_the_study_is_refused(tmp_path: Path) -> None:
    write_study(tmp_path / "study")
    file = tmp_path / "study" / "table1.camvid.study.json"
    content = json.loads(file.read_text())
    content["runs"][0]["record"] = "../elsewhere/record.json"
    file.write_text(json.dumps(content))
    with pytest.raises(DataError, match="within it"):
        open_source(tmp_path / "study")


def test_pictures_beyond_the_limit_are_left_out_with_a_note(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_run(tmp_path / "run", gallery=2)
    sizes = [path.stat().st_size for path in (tmp_path / "run" / "gallery").glob("1-*")]
    monkeypatch.setattr("segdoor.report.gallery.MOST_BYTES", sum(sizes))
    part = section(build_page(open_source(tmp_path / "run")), "gallery")
    assert part is not None
    assert part.gallery is not None
    assert [scene.name for scene in part.gallery.scenes] == ["scene 1"]
    assert "scene 2" in part.notes[0]


def test_several_studies_in_a_folder_must_be_told_apart(tmp_path: Path) -> None:
    write_study(tmp_path)
    file = tmp_path / "table1.camvid.study.json"
    (tmp_path / "table2.camvid.study.json").write_bytes(file.read_bytes())
    with pytest.raises(DataError, match="table2"):
        open_source(tmp_path)
    assert open_source(file).study is not None


def rename_victim(content: dict[str, object]) -> None:
    content["victims"] = ["lorry"]


def rename_target(content: dict[str, object]) -> None:
    content["target"] = "motorway"


def lose_an_exam(content: dict[str, object]) -> None:
    del content["repairs"][1]["poisoned_before"]["tests"]["near"]


def lose_an_iou(content: dict[str, object]) -> None:
    content["scores"]["benign"]["class_iou"].pop()


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (rename_victim, "victims must name classes of data.classes, unlike 'lorry'"),
        (rename_target, "target must name classes of data.classes, unlike 'motorway'"),
        (lose_an_exam, "repairs.1.poisoned_before.tests must be those of scores.tests"),
        (lose_an_iou, "class_iou must have one entry for each of"),
    ],
)
def test_a_record_at_odds_with_itself_is_refused_in_a_line(
    damage: Callable[[dict[str, object]], None], told: str, tmp_path: Path
) -> None:
    write_run(tmp_path / "run", repairs=2)
    file = tmp_path / "run" / "record.json"
    content = json.loads(file.read_text())
    damage(content)
    file.write_text(json.dumps(content))
    with pytest.raises(ConfigError) as refused:
        open_source(tmp_path / "run")
    assert told in str(refused.value)
    assert len(str(refused.value)) < 160 + len(str(file))


def test_intervals_over_few_seeds_end_at_0_and_1(tmp_path: Path) -> None:
    study = write_study(tmp_path)
    wild = Spread(mean=0.4071, low=-4.531, high=5.346, num_seeds=2)
    cell = study.cells[1].model_copy(update={"measured": wild})
    file = tmp_path / "table1.camvid.study.json"
    save_record(study.model_copy(update={"cells": (cell,)}), file)
    for seed, asr in enumerate((0.05, 0.5, 0.95)):
        record = tmp_path / "runs" / f"nni-0.1-s{seed}" / "record.json"
        content = json.loads(record.read_text())
        content["scores"]["tests"]["near"]["asr"]["value"] = asr
        record.write_text(json.dumps(content))
    source = open_source(tmp_path)
    page = build_page(source)
    points = [p for s in page.sections for c in s.charts for v in c.curves for p in v.points]
    ends = [end for point in points for end in (point.low, point.high) if end is not None]
    assert min(ends) == 0
    assert max(ends) == 1
    texts = {cell.text for cell in cells(page)}
    assert "0.000–1.000" in texts
    assert not [text for text in texts if "4.531" in text]
    notes = [table.note for part in page.sections for table in part.tables]
    assert sum(CUT in note for note in notes) == 2
    assert CUT in " ".join(map(str, describe_study(source)))
    assert json.loads(file.read_text())["cells"][0]["measured"]["low"] == -4.531
