"""A finished run, reopened from its folder: its record, scenes, poisoned tests and models."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from segdoor.attack.plan import PoisonPlan
from segdoor.attack.planned_tests import PlannedTest, planned_tests
from segdoor.attack.poisoned import poisoned
from segdoor.attack.poisoned_test import PoisonedTest, folder_of_tests
from segdoor.data.scene import SceneDataset
from segdoor.errors import ConfigError, DataError
from segdoor.experiment.config import ExperimentConfig, config_from
from segdoor.experiment.examination import ExaminedScenes, Triggers
from segdoor.experiment.models import load_model, remark_of
from segdoor.experiment.recording import from_record
from segdoor.experiment.scenes import open_scenes
from segdoor.progress import Observer
from segdoor.record import ExperimentRecord, load_record
from segdoor.victim.checkpoint import loaded_into
from segdoor.victim.members import evaluating
from segdoor.victim.networks.registry import NETWORKS
from segdoor.victim.training.fingerprint import training_fingerprint


@dataclass(frozen=True)
class Places:
    """What may have moved since a run without changing it.

    Attributes:
        root: Folder of the data set.
        device: Device to work on.
    """

    root: Path | None = None
    device: str | None = None


@dataclass(frozen=True)
class FinishedRun:
    """A finished run of which only the record was read.

    Attributes:
        folder: Its folder.
        record: Its record.
    """

    folder: Path
    record: ExperimentRecord

    @classmethod
    def of(cls, run: Path) -> FinishedRun:
        """Read the record of a run, from its folder or from the file itself.

        Raises:
            ConfigError: If only its owner can provide its scenes or network.
            DataError: If the record is missing or damaged.
        """
        record = load_record(run)
        if record.handed_in is not None:
            raise ConfigError(
                f"run {run}",
                "must name its scenes and network in its settings",
                "objects of a Python program",
                "Repair the network from Python: docs/python.md.",
            )
        return cls(run if run.is_dir() else run.parent, record)

    @property
    def config(self) -> ExperimentConfig:
        """Return its resolved settings as the record states them."""
        return config_from(self.record.config, source=self.folder / "record.json", recorded=True)


@dataclass(frozen=True)
class ReopenedRun:
    """A finished run.

    Attributes:
        folder: Its folder.
        record: Its record.
        config: Its resolved settings, except for what has moved.
        train: The clean training scenes.
        tests: What its models were examined on.
        models: The networks by name: ``poisoned``, and ``clean`` if there was one.
        plan: What the attacker did to the training scenes; None if the run trained nothing.
        doubted: Weights of the clean model if nothing in them identifies them as the run's.
    """

    folder: Path
    record: ExperimentRecord
    config: ExperimentConfig
    train: SceneDataset
    tests: ExaminedScenes
    models: Mapping[str, nn.Module]
    plan: PoisonPlan | None
    doubted: Path | None


def reopen(
    run: FinishedRun, model: str | None, places: Places, observer: Observer, *, learns: bool = False
) -> ReopenedRun:
    """Open the scenes, poisoned tests and models of a run.

    Args:
        run: The run.
        model: The run's network, if it is the user's own: its code is run.
        places: What has moved since the run.
        observer: Receives progress.
        learns: Whether the network's weights are to be changed.

    Raises:
        SegdoorError: If something is missing, damaged, or does not match the record, or the network
            is not named or cannot be changed.
    """
    folder, record, as_run = run.folder, run.record, run.config
    _check_named(as_run.network.name, model, learns=learns)
    config = _moved(from_record(as_run, folder), places)
    train = open_scenes(config.data, config.data.train_split, observer)
    test = open_scenes(config.data, config.data.test_split, observer)
    _check_scenes("training", train, record.data.train_digest)
    _check_scenes("test", test, record.data.test_digest)
    triggers = Triggers.of(config)
    tests = tuple(_test(folder, name, test, config, triggers) for name in record.scores.tests)
    plan = None
    if record.plan is None:
        models = {"poisoned": _examined(config, record, train)}
    else:
        plan = PoisonPlan.load(folder / "plan.jsonl")
        models = {"poisoned": _trained("poisoned", folder, config, as_run, poisoned(train, plan))}
    doubted = None
    given = config.controls.clean_weights
    if record.controls.clean_model is not None and given is None:
        models["clean"] = _trained("clean", folder, config, as_run, train)
    elif record.controls.clean_model is not None and given is not None:
        models["clean"] = evaluating(load_model(config, given, train.classes))
        doubted = None if _is_trained(given, as_run, train) else given
    scenes = ExaminedScenes(test, tests, triggers, config.attack.labels)
    return ReopenedRun(folder, record, config, train, scenes, models, plan, doubted)


def _check_named(network: str, model: str | None, *, learns: bool) -> None:
    """Refuse to run code that only a record names, and networks that cannot be changed."""
    known = NETWORKS.known.get(network)
    if learns and known is not None and not known.learns:
        raise ConfigError(
            "repair",
            "needs a network whose weights can be changed",
            f"{network} in the record",
            "Repair the model that it was exported from.",
        )
    foreign = ":" in network
    if model == network or (model is None and not foreign):
        return
    raise ConfigError(
        "--model",
        "must name the run's network, because its code is run" if foreign else "must be the run's",
        model or f"nothing, and {network} in the record",
        f"If you trust that code, add --model {network}." if foreign else "Leave it out.",
    )


def _moved(config: ExperimentConfig, places: Places) -> ExperimentConfig:
    root = places.root or config.data.root
    device = places.device or config.training.device
    if root is not None and not root.expanduser().is_dir():
        raise ConfigError(
            "--root",
            "must name the folder of the run's data set",
            root,
            "Give its present folder.",
        )
    return config.model_copy(
        update={
            "data": config.data.model_copy(update={"root": root}),
            "training": config.training.model_copy(update={"device": device}),
        }
    )


def _check_scenes(which: str, scenes: SceneDataset, digest: str | None) -> None:
    if digest not in (None, scenes.digest):
        raise DataError(
            f"the {which} scenes",
            f"must be those of the run, whose digest begins {str(digest)[:12]}",
            scenes.digest[:12],
            "Restore the data set, or name the right folder by --root.",
        )


def _test(
    folder: Path, name: str, benign: SceneDataset, config: ExperimentConfig, triggers: Triggers
) -> PoisonedTest:
    path = folder_of_tests(folder) / f"{name}.jsonl"
    test = PoisonedTest.load(path)
    header, classes = test.header, benign.classes
    found = (
        PlannedTest(header.name, header.role, header.placement), header.data_digest, header.victims,
        header.trigger_size, header.tests,
    )  # fmt: skip
    models = tuple(classes.names[index] for index in classes.indices(config.attack.victims))
    in_scene = triggers.trigger.in_scene
    expected = planned_tests(config.tests, triggers.size, in_scene=in_scene)
    tests = {planned.name: planned for planned in expected}
    if found != (tests.get(name), benign.digest, models, triggers.size, config.tests):
        raise DataError(
            path,
            "must be the run's poisoned test of that name",
            "other scenes, victims, trigger or placement",
            "Restore the run's folder.",
        )
    return test


def _examined(config: ExperimentConfig, record: ExperimentRecord, train: SceneDataset) -> nn.Module:
    """Load the network of a run that trained nothing."""
    model = load_model(config, config.network.weights, train.classes)
    loaded = loaded_into(model)
    digests = {what.sha256 if what else None for what in (loaded, record.loaded_weights)}
    if len(digests) > 1:
        raise DataError(
            config.network.weights or config.network.folder or config.network.name,
            "must be the weights that the run examined",
            loaded.sha256[:12] if loaded else "none",
            "Restore the file, or examine again.",
        )
    return evaluating(model)


def _trained(
    name: str,
    folder: Path,
    config: ExperimentConfig,
    as_run: ExperimentConfig,
    scenes: SceneDataset,
) -> nn.Module:
    """Load a model that the run trained on these scenes."""
    weights = folder / f"{name}.safetensors"
    model = load_model(config, weights, scenes.classes)
    if not _is_trained(weights, as_run, scenes):
        raise DataError(
            weights,
            "must be the weights that the run trained",
            "other settings, scenes or start weights",
            "Restore the file, and those that network.weights, backbone_weights and folder name.",
        )
    return evaluating(model)


def _is_trained(weights: Path, as_run: ExperimentConfig, scenes: SceneDataset) -> bool:
    """Tell whether weights say that they were trained on these scenes with the run's settings."""
    mark = training_fingerprint(scenes, as_run.training, network=as_run.network, seed=as_run.seed)
    return remark_of(weights).get("fingerprint") == mark
