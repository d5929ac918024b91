from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from segdoor.attack.plan import PoisonPlan
from segdoor.attack.poisoned_test import PoisonedTest
from segdoor.data.pictures import read_image
from segdoor.errors import ConfigError, DataError
from segdoor.experiment.config import config_from
from segdoor.experiment.examination import Triggers, telling_scenes
from segdoor.experiment.wishes import wishes_from
from segdoor.papers.iba.reading import asked
from segdoor.papers.iba.run import run_experiment
from segdoor.record import ExperimentRecord, GalleryScene, PoisonedScene, load_record
from segdoor.report.terminal import describe
from segdoor.report.words import verdict
from segdoor.scores.metrics.metric import Task
from segdoor.scores.tables import TableSet, load_tables

GIVEN = {
    "seed": 4,
    "method": "nni+prl",
    "data": {"name": "street", "size": (64, 96), "num_train": 20, "num_test": 10},
    "attack": {"trigger": {"size": 6}},
    "training": {"epochs": 1, "batch_size": 4, "threads": 1},
}


def pictures(scene: GalleryScene) -> tuple[str, ...]:
    return (
        scene.image, scene.triggered_image, scene.prediction, scene.triggered_prediction,
        scene.truth,
    )  # fmt: skip


def pictures_elsewhere(scene: GalleryScene) -> set[str]:
    places = scene.elsewhere
    return {file for p in places for file in (p.triggered_image, p.triggered_prediction)}


def pictures_of_poison(scene: PoisonedScene) -> tuple[str, ...]:
    return scene.image, scene.poisoned_image, scene.label, scene.poisoned_label


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("run")
    run_experiment(wishes_from(GIVEN), out=out)
    return out


@pytest.fixture(scope="module")
def record(folder: Path) -> ExperimentRecord:
    return load_record(folder)


def test_the_record_names_every_file_beside_it(folder: Path, record: ExperimentRecord) -> None:
    beside = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    gallery = {file for scene in record.gallery for file in pictures(scene)}
    gallery |= {file for scene in record.gallery for file in pictures_elsewhere(scene)}
    gallery |= {f for scene in record.poisoned_scenes for f in pictures_of_poison(scene)}
    assert set(record.files.values()) | gallery | {"record.json"} == beside


def test_the_gallery_shows_what_the_tables_count(folder: Path, record: ExperimentRecord) -> None:
    assert record.gallery
    rates = [scene.asr for scene in record.gallery]
    assert rates == sorted(rates, reverse=True)
    car, road = 4, 0
    colours = [np.array(entry.colour, np.uint8) for entry in record.data.classes]
    tables = load_tables(folder / "tables.npz")
    for scene in record.gallery:
        seen = {file: read_image(folder / file) for file in pictures(scene)}
        assert {picture.shape for picture in seen.values()} == {(64, 96, 3)}
        of_scene = tables[f"poisoned/{scene.test}"].only([scene.name])
        cars = (seen[scene.truth] == colours[car]).all(axis=2)
        lost = (seen[scene.triggered_prediction] == colours[road]).all(axis=2) & cars
        assert (cars.sum(), lost.sum()) == (
            of_scene.counts[0, car].sum(), of_scene.counts[0, car, road],
        )  # fmt: skip
        assert scene.asr == lost.sum() / cars.sum()
        stamped = (seen[scene.image] != seen[scene.triggered_image]).any(axis=2)
        assert 0 < stamped.sum() <= 36


def test_the_gallery_shows_the_same_scene_with_the_trigger_near_and_far(
    folder: Path, record: ExperimentRecord
) -> None:
    car, road = 4, 0
    colours = [np.array(entry.colour, np.uint8) for entry in record.data.classes]
    tables = load_tables(folder / "tables.npz")
    far = max(
        (name for name in record.scores.tests if name.startswith("far_")),
        key=lambda name: float(name.split("_")[1]),
    )
    tests = {name: PoisonedTest.load(folder / "tests" / f"{name}.jsonl") for name in ("near", far)}
    both = set(tests["near"].triggered) & set(tests[far].triggered)
    shown = [scene for scene in record.gallery if scene.elsewhere]
    assert shown
    assert {scene.name for scene in shown} == {s.name for s in record.gallery} & both
    for scene in shown:
        assert [place.test for place in scene.elsewhere] == ["near", far]
        untouched = read_image(folder / scene.image)
        cars = (read_image(folder / scene.truth) == colours[car]).all(axis=2)
        for place in scene.elsewhere:
            row = next(row for row in tests[place.test].rows if row.name == scene.name)
            assert place.distance == row.distance
            changed = (read_image(folder / place.triggered_image) != untouched).any(axis=2)
            top, left, height, width = row.box or (0, 0, 0, 0)
            assert changed[top : top + height, left : left + width].sum() == changed.sum() > 0
            seen = read_image(folder / place.triggered_prediction)
            lost = (seen == colours[road]).all(axis=2) & cars
            counts = tables[f"poisoned/{place.test}"].only([scene.name]).counts[0, car]
            assert (lost.sum(), cars.sum()) == (counts[road], counts.sum())
            assert place.asr == lost.sum() / cars.sum()
        near, away = (place.distance or 0 for place in scene.elsewhere)
        assert near < away


def test_poisoned_scenes_are_shown_before_and_after(folder: Path, record: ExperimentRecord) -> None:
    plan = PoisonPlan.load(folder / "plan.jsonl")
    first = [row for row in plan.rows if row.poisoned][:4]
    assert [scene.name for scene in record.poisoned_scenes] == [row.name for row in first]
    assert first
    for scene, row in zip(record.poisoned_scenes, first, strict=True):
        image, after, label, relabelled = (
            read_image(folder / file) for file in pictures_of_poison(scene)
        )
        stamped = (image != after).any(axis=2)
        top, left, height, width = row.box or (0, 0, 0, 0)
        assert stamped[top : top + height, left : left + width].sum() == stamped.sum() > 0
        # Every class has a colour of its own, so that as many colours change as labels.
        assert (label != relabelled).any(axis=2).sum() == row.changed_pixels
        assert (scene.distance, scene.class_under) == (row.distance, row.class_under)


def table_of_scenes(*pixels: tuple[int, int]) -> TableSet:
    """Return tables with so many victim pixels, and so many of them predicted as the target."""
    counts = np.zeros((len(pixels), 2, 2), np.int64)
    for place, (victims, lost) in enumerate(pixels):
        counts[place, 1] = lost, victims - lost
    return TableSet(tuple("abcdefgh"[: len(pixels)]), counts)


def test_telling_scenes_are_chosen_among_those_preferred_if_they_are_enough() -> None:
    tables = table_of_scenes((10, 10), (10, 8), (10, 6), (10, 4), (1, 1), (1, 0))
    chosen = telling_scenes(tables, Task(((1, 0),)), count=2)
    assert chosen == {"a": 1.0, "d": 0.4}
    assert telling_scenes(tables, Task(((1, 0),)), preferred={"b", "c", "e"}, count=2) == {
        "b": 0.8,
        "c": 0.6,
    }
    # Scenes with few victims do not count, and one is not enough.
    assert telling_scenes(tables, Task(((1, 0),)), preferred={"b", "e", "f"}, count=2) == chosen


def test_the_record_holds_the_config_as_given_and_as_resolved(record: ExperimentRecord) -> None:
    given = json.loads(json.dumps(GIVEN))
    given["attack"]["trigger"] = {"kind": "sticker", "size": 6}
    assert record.config_given == given
    resolved = config_from(record.config)
    assert resolved.attack.placement.kind == "nearest"
    assert resolved.attack.placement.upper == 60 * 64 / 512
    assert resolved.attack.num_scattered == 1
    assert resolved.attack.trigger.size == 6


def test_the_plan_beside_the_record_is_the_one_it_counts(
    folder: Path, record: ExperimentRecord
) -> None:
    header = PoisonPlan.load(folder / "plan.jsonl").header
    assert record.plan is not None
    assert (record.plan.num_poisoned, record.plan.rate) == (4, 0.2)
    assert header.num_poisoned == 4
    assert header.seed == 4
    assert record.plan.share_changed == header.share_changed


def pba(table: np.ndarray, victim: int) -> float:
    struck = table.copy()
    struck[victim] = 0
    ious = [
        struck[k, k] / union
        for k in range(len(struck))
        if k != victim and (union := struck[k].sum() + struck[:, k].sum() - struck[k, k])
    ]
    return float(np.mean(ious))


def test_every_figure_follows_from_the_tables(folder: Path, record: ExperimentRecord) -> None:
    tables = load_tables(folder / "tables.npz")
    car, road = 4, 0
    assert set(record.scores.tests) == {
        "nearest",
        "near",
        "far_7.5_11.2",
        "far_11.2_15",
        "anywhere",
    }
    for name, scores in record.scores.tests.items():
        test = PoisonedTest.load(folder / "tests" / f"{name}.jsonl")
        table = tables[f"poisoned/{name}"].counts.sum(axis=0)
        assert scores.asr.value == pytest.approx(table[car, road] / table[car].sum())
        assert scores.num_victim_pixels == table[car].sum()
        assert scores.num_triggered == len(tables[f"poisoned/{name}"].names)
        clean = tables[f"clean/{name}"].counts.sum(axis=0)
        assert scores.asr_clean_model == pytest.approx(clean[car, road] / clean[car].sum())
        assert scores.pba_clean_model == pytest.approx(pba(clean, car))
        other = tables[f"other_trigger/{name}"].counts.sum(axis=0)
        assert scores.asr_other_trigger == pytest.approx(other[car, road] / other[car].sum())
        kept = [i for i, n in enumerate(tables["poisoned/benign"].names) if n in test.triggered]
        quiet = tables["poisoned/benign"].counts[kept].sum(axis=0)
        assert scores.asr_without_trigger == pytest.approx(quiet[car, road] / quiet[car].sum())
        assert scores.pba.value == pytest.approx(pba(table, car))
        assert scores.distances == {
            row.name: row.distance for row in test.rows if row.distance is not None
        }


def test_benign_figures_follow_from_the_benign_tables(
    folder: Path, record: ExperimentRecord
) -> None:
    tables = load_tables(folder / "tables.npz")
    for scores, name in (
        (record.scores.benign, "poisoned/benign"),
        (record.controls.clean_model, "clean/benign"),
    ):
        assert scores is not None
        table = tables[name].counts.sum(axis=0)
        union = table.sum(axis=0) + table.sum(axis=1) - np.diag(table)
        ious = [hit / u for hit, u in zip(np.diag(table), union, strict=True) if u]
        assert scores.cba.value == pytest.approx(np.mean(ious))
    assert record.scores.cba == record.scores.benign.cba.value


def test_the_interval_surrounds_the_figure(record: ExperimentRecord) -> None:
    for scores in record.scores.tests.values():
        assert scores.pba.low is not None
        assert scores.pba.high is not None
        assert scores.pba.value is not None
        assert scores.pba.low <= scores.pba.value <= scores.pba.high


def test_pictures_are_there_to_be_looked_at(folder: Path) -> None:
    for name in ("poison.png", "scenes.png", "near-and-far.png"):
        picture = read_image(folder / name)
        assert picture.shape[0] > 100
        assert picture.std() > 20


def test_training_left_its_metrics(folder: Path) -> None:
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert {line["stage"] for line in lines} == {
        "training the backdoored model",
        "training the clean model",
    }
    assert all(line["loss"] > 0 for line in lines)


def test_environment_and_timings_are_told(record: ExperimentRecord) -> None:
    assert record.environment.packages["torch"].startswith("2.")
    assert {"data", "planning", "training the backdoored model", "examining"} <= set(record.seconds)
    assert record.peak_memory_mib > 50


def test_the_terminal_tells_the_story(record: ExperimentRecord) -> None:
    from rich.console import Console

    console = Console(width=160, record=True, file=open("/dev/null", "w"))  # noqa: SIM115, PTH123
    console.print(*describe(record))
    text = " ".join(console.export_text().split())
    asr = record.scores.tests["anywhere"].asr.value
    assert f"{asr:.3f}" in text
    assert "4 of 20 training scenes poisoned" in text
    assert "clean model" in text
    assert "car pixels become road" in verdict(record)


def test_an_existing_record_is_never_written_over(folder: Path) -> None:
    before = (folder / "record.json").read_bytes()
    with pytest.raises(ConfigError, match=r"record\.json"):
        run_experiment(wishes_from(GIVEN), out=folder)
    assert (folder / "record.json").read_bytes() == before


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"schema_version": 99}, "schema version"),
        ({"scores": 3}, "scores"),
        ({"surprise": 1}, "surprise"),
    ],
)
def test_a_record_that_is_none_is_explained(
    change: dict[str, object], said: str, folder: Path, tmp_path: Path
) -> None:
    content = json.loads((folder / "record.json").read_text())
    (tmp_path / "record.json").write_text(json.dumps({**content, **change}))
    with pytest.raises((ConfigError, DataError), match=said):
        load_record(tmp_path)


def test_the_same_control_sticker_as_the_trigger_is_refused(tmp_path: Path) -> None:
    given = {**GIVEN, "controls": {"other_trigger": "smiley"}}
    with pytest.raises(ConfigError, match="other_trigger"):
        run_experiment(wishes_from(given), out=tmp_path / "run")
    assert not (tmp_path / "run" / "record.json").exists()


def test_every_other_sticker_is_shown_in_all_scenes_of_one_test(
    folder: Path, record: ExperimentRecord
) -> None:
    tables = load_tables(folder / "tables.npz")
    others = record.controls.other_triggers
    assert others is not None
    assert others.test == "anywhere"
    assert list(others.asr) == ["windmill", "bullseye", "checkerboard", "blossom"]
    car, road = 4, 0
    names = {title: f"other_trigger/anywhere/{title}" for title in others.asr}
    names["windmill"] = "other_trigger/anywhere"
    for title, rate in others.asr.items():
        assert tables[names[title]].names == tables["poisoned/anywhere"].names
        counts = tables[names[title]].counts.sum(axis=0)
        assert rate == pytest.approx(counts[car, road] / counts[car].sum())
    rates = [rate for rate in others.asr.values() if rate is not None]
    assert others.mean == pytest.approx(np.mean(rates))
    assert others.worst_trigger is not None
    assert others.worst == others.asr[others.worst_trigger] == max(rates)
    assert others.asr["windmill"] == record.scores.tests["anywhere"].asr_other_trigger
    # Another sticker changes other pixels: none of the four is shown twice.
    counted = {tables[name].counts.tobytes() for name in names.values()}
    assert len(counted) == len(names)


def test_the_chosen_other_sticker_is_not_shown_twice() -> None:
    given = {**GIVEN, "controls": {"other_trigger": "blossom"}}
    config = asked(wishes_from(given)).facts((64, 96))
    triggers = Triggers.of(config)
    assert triggers.other.title == "blossom"
    titles = [further.title for further in triggers.further]
    assert titles == ["windmill", "bullseye", "checkerboard"]


@pytest.mark.parametrize(
    ("trigger", "further"),
    [("sinusoid", 1), ("blend", 4), ("tests.attack.triggers.foreign:Corner", 0)],
)
def test_other_kinds_of_triggers_show_their_own_siblings(trigger: str, further: int) -> None:
    given = {**GIVEN, "method": "baseline", "attack": {"trigger": trigger}}
    config = asked(wishes_from(given)).facts((64, 96))
    assert len(Triggers.of(config).further) == further


def test_a_record_without_the_other_stickers_opens(folder: Path, tmp_path: Path) -> None:
    content = json.loads((folder / "record.json").read_text())
    del content["controls"]["other_triggers"]
    (tmp_path / "record.json").write_text(json.dumps(content))
    record = load_record(tmp_path)
    assert record.controls.other_triggers is None
    assert "other triggers" not in "".join(map(str, describe(record)))


def test_the_terminal_tells_mean_and_worst_of_the_other_stickers(record: ExperimentRecord) -> None:
    others = record.controls.other_triggers
    assert others is not None
    told = next(str(part) for part in describe(record) if "other triggers" in str(part))
    assert f"ASR {others.mean:.3f} on average, {others.worst:.3f} at worst" in told
