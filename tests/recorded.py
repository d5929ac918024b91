"""Runs and studies written for a test, from the real records of the project."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image as PillowImage

from segdoor.record import (
    ClaimCell,
    Evidence,
    ExperimentRecord,
    GalleryScene,
    RepairRecord,
    Spread,
    StudyRecord,
    StudyRun,
    Verdict,
    load_record,
    save_record,
)

RESULTS = Path(__file__).parents[1] / "results"
BASELINE = RESULTS / "camvid-baseline"
VIEWS = ("image", "triggered_image", "prediction", "triggered_prediction", "truth")
RATES, METHODS, SEEDS = (0.05, 0.1), ("baseline", "nni", "prl"), (0, 1, 2)


def write_run(
    folder: Path,
    *,
    tables: bool = False,
    gallery: int = 0,
    repairs: int = 0,
    change: Callable[[dict[str, object]], None] | None = None,
) -> ExperimentRecord:
    """Write a run's folder: the real record, with what a test asks for."""
    folder.mkdir(parents=True)
    if tables:
        shutil.copy(BASELINE / "tables.npz", folder)
    record = load_record(BASELINE)
    content = record.model_dump(mode="json")
    content["gallery"] = [e.model_dump() for e in write_gallery(folder, record, gallery)]
    content["repairs"] = [e.model_dump(mode="json") for e in made_repairs(record, repairs)]
    if change is not None:
        change(content)
    changed = ExperimentRecord.model_validate(content)
    save_record(changed, folder / "record.json")
    return changed


def write_gallery(folder: Path, record: ExperimentRecord, count: int) -> list[GalleryScene]:
    sheet = np.array(PillowImage.open(BASELINE / "scenes.png"))
    entries = []
    for number in range(count):
        files = {view: f"gallery/{number + 1}-{view}.png" for view in VIEWS}
        (folder / "gallery").mkdir(exist_ok=True)
        for column, view in enumerate(VIEWS):
            top = 20 + number * 200 + 20
            picture = sheet[top : top + 180, column * 244 : column * 244 + 240]
            PillowImage.fromarray(picture).save(folder / files[view])
        name = f"scene {number + 1}"
        entries.append(GalleryScene(name=name, test="anywhere", asr=0.9 - 0.2 * number, **files))
    return entries


def made_repairs(record: ExperimentRecord, count: int) -> list[RepairRecord]:
    """Make repairs of which the backdoored model loses more than the clean one."""
    clean = record.controls.clean_model

    def effect(victim: str, loss: float) -> dict[str, object]:
        benign = clean if victim == "clean" and clean is not None else record.scores.benign
        asr = {
            name: test.asr.model_dump()
            if victim == "poisoned"
            else dict.fromkeys(("value", "low", "high"), test.asr_clean_model)
            for name, test in record.scores.tests.items()
        }
        return {
            "cba": shifted(benign.cba.model_dump(), -loss / 4),
            "victim_recovery": benign.victim_recovery,
            "asr_without_trigger": benign.asr_without_trigger,
            "tests": {
                name: {
                    "asr": shifted(asr[name], -loss),
                    "pba": shifted(test.pba.model_dump(), -loss / 4),
                    "victim_recovery": loss,
                }
                for name, test in record.scores.tests.items()
            },
        }

    return [
        RepairRecord.model_validate({
            "repair": f"prune:{5 * (number + 1)}",
            "settings": {},
            "seed": 0,
            "num_clean_scenes": 36,
            "layer": "classifier",
            "poisoned_before": effect("poisoned", 0),
            "poisoned_after": effect("poisoned", 0.15 * (number + 1)),
            "clean_before": effect("clean", 0),
            "clean_after": effect("clean", 0.02 * (number + 1)),
            "seconds": 4.0 + number,
        })
        for number in range(count)
    ]  # fmt: skip


def shifted(estimate: dict[str, float], by: float) -> dict[str, float]:
    return {key: max(0.0, value + by) for key, value in estimate.items()}


def write_study(folder: Path, *, tables: bool = False, gallery: int = 0) -> StudyRecord:
    """Write a study of 3 methods at 2 rates and 3 seeds, one run failed and one waiting."""
    runs: list[StudyRun] = []
    asr: dict[tuple[str, float], list[float]] = {}
    for method in METHODS:
        for rate in RATES:
            for seed in SEEDS:
                key = f"{method}-{rate:g}-s{seed}"
                axes = {"method": method, "rate": rate, "network": "deeplabv3"}
                if (method, rate, seed) in {("prl", 0.1, 1), ("prl", 0.1, 2)}:
                    state, error = ("failed", "no room") if seed == 1 else ("waiting", None)
                    runs.append(StudyRun(key=key, axes=axes, seed=seed, state=state, error=error))
                    continue
                drop = 0.3 - 2 * rate + 0.1 * METHODS.index(method) + 0.02 * seed
                record = write_run(
                    folder / "runs" / key,
                    tables=tables,
                    gallery=gallery,
                    repairs=2 if rate == RATES[-1] else 0,
                    change=lambda content, drop=drop, seed=seed: worsen(content, drop, seed),
                )
                asr.setdefault((method, rate), []).append(
                    record.scores.tests["near"].asr.value or 0
                )
                file = f"runs/{key}/record.json"
                runs.append(StudyRun(key=key, axes=axes, seed=seed, state="done", record=file))
    study = StudyRecord(
        name="table1",
        preset="camvid",
        title="Table 1: methods and rates",
        reading="paper",
        axes={"method": METHODS, "rate": RATES, "network": ("deeplabv3",)},
        seeds=SEEDS,
        runs=tuple(runs),
        cells=tuple(claim_cells(asr)),
        verdicts=verdicts(),
    )
    save_record(study, folder / "table1.camvid.study.json")
    return study


def worsen(content: dict[str, object], drop: float, seed: int) -> None:
    """Make a run's attack worse, in its scores and in what its repairs began and ended with."""
    scores, benign = content["scores"], content["scores"]["benign"]
    content["seed"] = seed
    victims = [benign]
    tests = [scores["tests"]]
    for row in content["repairs"]:
        row["seed"] = seed
        victims += [row["poisoned_before"], row["poisoned_after"]]
        tests += [row["poisoned_before"]["tests"], row["poisoned_after"]["tests"]]
    for victim in victims:
        victim["cba"] = shifted(victim["cba"], -drop / 20)
    for of_model in tests:
        for place, test in enumerate(of_model.values()):
            test["asr"] = shifted(test["asr"], -drop - 0.05 * place)
    for test in scores["tests"].values():
        test["pba_clean_model"] = test["pba"]["value"] + 0.01
    scores["cba"] = benign["cba"]["value"]


def followed(content: object, pointer: str) -> object:
    """Follow a JSON pointer, written apart from the code under test."""
    for step in pointer.split("/")[1:]:
        content = content[int(step)] if isinstance(content, list) else content[step]
    return content


def claim_cells(asr: dict[tuple[str, float], list[float]]) -> list[ClaimCell]:
    cells = []
    for method in METHODS:
        for rate in (0.01, *RATES):
            figures = asr.get((method, rate), [])
            mean = sum(figures) / len(figures) if figures else None
            spread = Spread(mean=mean, low=None, high=None, num_seeds=len(figures))
            count = len(figures)
            cells.append(
                ClaimCell(
                    table="1",
                    labels={"network": "deeplabv3", "method": method, "rate": rate},
                    metric="ASR",
                    paper=0.5 + 3 * rate - 0.04 * METHODS.index(method),
                    doubted="the paper differs from itself" if rate == 0.01 else None,
                    test="near",
                    measured=spread if figures else None,
                    runs=tuple(f"{method}-{rate:g}-s{seed}" for seed in range(count)),
                )
            )
    return cells


def verdicts() -> tuple[Verdict, ...]:
    evidence = (
        Evidence(
            statement="nni 0.62 > prl 0.55 at 5 %",
            outcome="supported",
            difference=Spread(mean=0.07, low=0.02, high=0.12, num_seeds=3),
            over_scenes=True,
            seeds_needed=3,
            runs=("nni-0.05-s0",),
        ),
        Evidence(
            statement="prl 0.55 >= baseline 0.61 at 5 %",
            outcome="contradicted",
            difference=Spread(mean=-0.06, low=-0.09, high=-0.03, num_seeds=3),
        ),
    )
    claims = ("near: NNI > PRL >= baseline", "ASR rises with the rate", "PRL is flat in distance")
    outcomes = ("contradicted", "supported", "not measured")
    return tuple(
        Verdict(
            number=number,
            statement=claim,
            reading="paper",
            judged_on="near",
            verdict=outcome,
            evidence=() if outcome == "not measured" else evidence[: 1 + (number == 1)],
        )
        for number, (claim, outcome) in enumerate(zip(claims, outcomes, strict=True), start=1)
    )
