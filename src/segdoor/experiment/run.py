"""One complete run: poison, train, examine, record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from segdoor.attack.plan import PoisonPlan
from segdoor.attack.planning import plan_poison
from segdoor.attack.poisoned import poisoned
from segdoor.attack.poisoned_test import PoisonedTest
from segdoor.data.pictures import write_image
from segdoor.data.scene import SceneDataset
from segdoor.evaluation.examiner import Examiner
from segdoor.experiment.abreast import pays_abreast, train_abreast
from segdoor.experiment.config import ExperimentConfig
from segdoor.experiment.environment import describe_environment, peak_memory_mib
from segdoor.experiment.examination import (
    ExaminedScenes,
    examine_models,
    near_and_farthest,
    scenes_of_tests,
    telling_scenes,
)
from segdoor.experiment.handed import Objects, check_folder
from segdoor.experiment.logbook import Logbook
from segdoor.experiment.models import check_network, clean_of, train_and_save
from segdoor.experiment.pictures import save_poisoned_scenes
from segdoor.experiment.poisoning import save_plans
from segdoor.experiment.predictions import (
    Placed,
    look_at_scenes,
    look_elsewhere,
    placement_sheet,
    prediction_sheet,
    save_gallery,
)
from segdoor.experiment.recording import (
    RunScores,
    as_recorded,
    describe_data,
    make_scorer,
    score,
    summarise,
)
from segdoor.experiment.resolving import Asked
from segdoor.experiment.scenes import results_folder
from segdoor.experiment.scoring import Scorer
from segdoor.progress import Observer, Silent
from segdoor.record import (
    UNBOUNDED,
    ExperimentRecord,
    GalleryScene,
    HandedIn,
    PoisonedScene,
    save_record,
)
from segdoor.scores.chance import remarks_on_chance
from segdoor.scores.tables import TableSet, save_tables
from segdoor.victim.checkpoint import loaded_into
from segdoor.victim.members import parameters_of
from segdoor.victim.networks.building import build_network


@dataclass(frozen=True)
class Run:
    """A run under way."""

    asked: Asked
    out: Path
    log: Logbook
    abreast: bool = False


@dataclass(frozen=True)
class Poisoning:
    """What the run trained on."""

    train: SceneDataset
    plan: PoisonPlan
    handed: HandedIn | None


def run_experiment(
    asked: Asked,
    *,
    out: Path,
    objects: Objects | None = None,
    observer: Observer | None = None,
    kept: Path | None = None,
    abreast: bool = False,
) -> ExperimentRecord:
    """Poison, train, examine and record, as the function of this name in `segdoor` says.

    Args:
        asked: Requested settings, and those derived from them.
        out: Folder for the record and the files beside it.
        objects: What is passed besides the settings; nothing if None.
        observer: Receives progress.
        kept: Folder of tables of the clean model, for runs that share it; none are kept if None.
        abreast: Whether processes may be started to train both models at the same time. A process
            imports the main program again, which only ours is known to be ready for.

    Raises:
        SegdoorError: If settings, data or machine do not allow the run; no record is then written.
    """
    given = objects or Objects()
    given.check(asked, kept)
    with results_folder(out, "record.json"):
        return _run(Run(asked, out, Logbook(observer or Silent()), abreast), given, kept)


def _run(run: Run, objects: Objects, kept: Path | None) -> ExperimentRecord:
    log = run.log
    if objects.network is None:
        check_network(run.asked)
    with log.stage("data"):
        train, test = objects.scenes(run.asked, log)
        fresh = objects.fresh(len(train.classes), seed=run.asked.wishes.seed)
        handed = objects.described(train, test, fresh, log)
        config = objects.named(run.asked.facts_for(train))
    check_folder(run.out, handed)
    with log.stage("planning"):
        plan = plan_poison(train, config.attack, seed=config.seed)
        scenes = scenes_of_tests(test, config, kept)
    # Mistakes in the network's settings show before anything is written or trained.
    if fresh is None:
        build_network(config.network, len(train.classes), classes=train.classes.names)
    models = clean_of(config, train.classes, fresh)
    save_plans(run.out, train, plan, scenes.tests)
    wanted = {"poisoned": poisoned(train, plan)}
    if config.controls.clean_model and "clean" not in models:
        wanted["clean"] = train
    if handed is None:
        _train_abreast(run, config, wanted)
    for name, changed in wanted.items():
        models[name] = train_and_save(name, config, changed, run.out, log, fresh)
    return examine_and_record(run, config, scenes, models, Poisoning(train, plan, handed))


def _train_abreast(run: Run, config: ExperimentConfig, wanted: Mapping[str, SceneDataset]) -> None:
    """Train what is not finished side by side, where that pays."""
    threads = config.training.threads
    if threads is None:
        return
    left = [name for name in wanted if not (run.out / f"{name}.safetensors").exists()]
    if run.abreast and pays_abreast(config, len(wanted["poisoned"]), left):
        train_abreast(run.asked, left, threads=threads, out=run.out, observer=run.log)
    # Whoever trained, and whenever: the tests are run with the threads of the training.
    torch.set_num_threads(threads)


def examine_and_record(
    run: Run,
    config: ExperimentConfig,
    scenes: ExaminedScenes,
    models: Mapping[str, nn.Module],
    poisoning: Poisoning | None = None,
) -> ExperimentRecord:
    """Run all tests, see `examine_models`, and write tables, pictures and record."""
    log, out = run.log, run.out
    with log.stage("examining"):
        tables = examine_models(config, models, scenes, log)
    save_tables(out / "tables.npz", tables)
    scorer = make_scorer(config, scenes.benign.classes)
    with log.stage("scoring"):
        results = score(scorer, scenes.tests, tables, scenes.triggers.other.title)
    gallery = _save_pictures(out, config, scenes, models["poisoned"], scorer, tables)
    plan = poisoning.plan if poisoning else None
    record = ExperimentRecord(
        title=config.title,
        seed=config.seed,
        reading=config.reading,
        method=config.method if plan else None,
        exceptions=run.asked.layer.exceptions(config.reading),
        config_given=as_recorded(run.asked.wishes, out).model_dump(
            mode="json", exclude_defaults=True
        ),
        config=as_recorded(config, out).model_dump(mode="json"),
        handed_in=poisoning.handed if poisoning else None,
        data=describe_data(config, poisoning.train if poisoning else None, scenes.benign),
        victims=config.attack.victims,
        target=config.attack.target,
        targets=_targets(config),
        plan=summarise(plan, "plan.jsonl") if plan else None,
        scores=results.scores,
        controls=results.controls,
        num_parameters=sum(weight.numel() for weight in parameters_of(models["poisoned"])),
        loaded_weights=loaded_into(models["poisoned"]),
        remarks=_remarks(poisoning, tables, results),
        gallery=gallery,
        poisoned_scenes=_poisoned_scenes(poisoning, out),
        seconds=log.seconds,
        peak_memory_mib=round(peak_memory_mib(), 1),
        environment=describe_environment(config, trained=plan is not None),
        files=_files(out, scenes.tests),
    )
    save_record(record, out / "record.json")
    return record


def _remarks(
    poisoning: Poisoning | None, tables: Mapping[str, TableSet], results: RunScores
) -> tuple[str, ...]:
    # A model trained here has seen scenes of the same size.
    if poisoning is not None:
        return ()
    return remarks_on_chance(tables["poisoned/benign"].total(), results.scores.cba)


def _poisoned_scenes(poisoning: Poisoning | None, out: Path) -> tuple[PoisonedScene, ...]:
    if poisoning is None:
        return ()
    return save_poisoned_scenes(poisoning.train, poisoning.plan, out)


def _targets(config: ExperimentConfig) -> tuple[str, ...]:
    targets = tuple(target for _, target in config.attack.pairs)
    return targets if len(set(targets)) > 1 else ()


def _save_pictures(
    out: Path,
    config: ExperimentConfig,
    scenes: ExaminedScenes,
    model: nn.Module,
    scorer: Scorer,
    tables: Mapping[str, TableSet],
) -> tuple[GalleryScene, ...]:
    anywhere = next(test for test in scenes.tests if test.role in UNBOUNDED)
    classes = scenes.benign.classes
    others = near_and_farthest(scenes.tests)
    chosen = telling_scenes(
        tables[f"poisoned/{anywhere.name}"], scorer.task,
        preferred=set(scenes.benign.names).intersection(*(test.triggered for test in others)),
    )  # fmt: skip
    if not chosen:
        return ()
    tests = [
        Placed(test, scenes.stamped(test), tables[f"poisoned/{test.name}"], scorer.asr)
        for test in others
    ]
    examiner = Examiner(model, classes, config.examination, config.network)
    views = look_at_scenes(examiner, scenes.benign, scenes.stamped(anywhere), chosen)
    views = look_elsewhere(examiner, views, tests)
    write_image(out / "scenes.png", prediction_sheet(views, classes))
    placements = placement_sheet(views, classes)
    if placements is not None:
        write_image(out / "near-and-far.png", placements)
    return save_gallery(views, classes, out, test=anywhere.name)


def _files(out: Path, tests: Sequence[PoisonedTest]) -> dict[str, str]:
    named = {
        "what was handed in": "handed.json",
        "plan": "plan.jsonl",
        "poison preview": "poison.png",
        "tables": "tables.npz",
        "metrics of training": "metrics.jsonl",
        "pictures of scenes": "scenes.png",
        "pictures with the trigger near and far": "near-and-far.png",
        "weights of the backdoored model": "poisoned.safetensors",
        "weights of the clean model": "clean.safetensors",
        **{f"poisoned test {test.name}": f"tests/{test.name}.jsonl" for test in tests},
    }
    return {what: file for what, file in named.items() if (out / file).exists()}
