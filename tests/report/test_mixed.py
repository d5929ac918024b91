"""A study in which not all runs have the same poisoned tests."""

from __future__ import annotations

from pathlib import Path

from recorded import write_run
from segdoor.record import StudyRecord, StudyRun, save_record
from segdoor.report.page import build_page
from segdoor.report.source import open_source
from segdoor.report.summary import study_verdict
from segdoor.report.tables import headline_table

RATES = (0.1, 0.2)
Content = dict[str, object]


def on_the_whole_image(content: Content) -> None:
    """Leave one poisoned test, as triggers have that cover the image."""
    scores = content["scores"]
    assert isinstance(scores, dict)
    near = {**scores["tests"]["near"], "role": "everywhere", "asr_clean_model": 0.01}
    near["asr"] = {"value": 0.625, "low": 0.5, "high": 0.75}
    scores["tests"] = {"everywhere": near}


def mixed_study(folder: Path) -> Path:
    runs: list[StudyRun] = []
    for trigger in ("sticker", "blend"):
        for rate in RATES:
            key = f"{trigger}-{rate}"
            if trigger == "blend":
                write_run(folder / key, change=on_the_whole_image)
            else:
                write_run(folder / key)
            axes = {"attack.trigger": trigger, "attack.rate": rate}
            file = f"{key}/record.json"
            runs.append(StudyRun(key=key, axes=axes, seed=0, state="done", record=file))
    study = StudyRecord(
        name="s", preset="street", title="s", reading="paper", axes={}, seeds=(0,),
        runs=tuple(runs), cells=(), verdicts=(),
    )  # fmt: skip
    save_record(study, folder / "s.study.json")
    return folder / "s.study.json"


def test_each_run_is_told_by_a_test_that_it_has(tmp_path: Path) -> None:
    source = open_source(mixed_study(tmp_path))
    assert source.study is not None
    table = headline_table(source)
    assert "near" in table.title
    assert "everywhere" in table.title
    place = table.columns.index("ASR")
    found = {(row[0].text, row[1].text): row[place].value for row in table.rows}
    assert found["blend", "20%"] == 0.625
    assert found["sticker", "20%"] not in {None, 0.625}
    assert "62% to" in study_verdict(source, source.study) or "to 62%" in study_verdict(
        source, source.study
    )


def test_charts_show_both(tmp_path: Path) -> None:
    page = build_page(open_source(mixed_study(tmp_path)))
    charts = [chart for section in page.sections for chart in section.charts]
    (chart,) = (c for c in charts if c.key.startswith("attack.rate-asr-near-"))
    blend = next(curve for curve in chart.curves if "blend" in curve.name)
    assert [point.y for point in blend.points] == [0.625, 0.625]
