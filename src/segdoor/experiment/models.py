"""A model is trained once: interrupted trainings resume, finished ones are loaded."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from pathlib import Path
from typing import cast

from torch import nn

from segdoor.data.scene import ClassSet, SceneDataset
from segdoor.errors import ConfigError
from segdoor.experiment.config import ExperimentConfig
from segdoor.experiment.logbook import Logbook
from segdoor.experiment.recording import as_recorded
from segdoor.experiment.resolving import Asked, merged
from segdoor.experiment.wishes import wishes_from
from segdoor.record import LoadedWeights
from segdoor.settings import Tree, validated
from segdoor.victim.backbones.registry import BACKBONES
from segdoor.victim.checkpoint import loaded_into, note_loaded, save_weights
from segdoor.victim.config import START_WEIGHTS, NetworkConfig
from segdoor.victim.device import choose_arithmetic
from segdoor.victim.logits import classes_of
from segdoor.victim.members import evaluating, placed
from segdoor.victim.networks.building import build_network, plugin_of
from segdoor.victim.networks.registry import NETWORKS
from segdoor.victim.semseg import load_weights
from segdoor.victim.training.distributed import ProcessGroup
from segdoor.victim.training.fingerprint import training_fingerprint
from segdoor.victim.training.loop import train_model
from segdoor.victim.weights_file import read_remark

IN_WORDS = {"poisoned": "backdoored model", "clean": "clean model"}
"""Names of a run's models for messages, by the names of their files and tables."""


def load_model(
    config: ExperimentConfig,
    weights: Path | None,
    classes: ClassSet,
    fresh: nn.Module | None = None,
) -> nn.Module:
    """Build a network with trained weights, on the device of the settings.

    Args:
        config: The resolved configuration.
        weights: The weights; the settings' start weights if None.
        classes: The classes that the network predicts.
        fresh: An untrained network to fill a copy of, instead of the one that the settings name.
    """
    network = config.network.model_copy(update={"weights": weights})
    device = choose_arithmetic(config.training.device, "float32").device
    if fresh is None or weights is None:
        model = build_network(network, len(classes), classes=classes.names)
    else:
        model = copy.deepcopy(fresh)
        load_weights(model, weights, classes=classes.names)
    # The memory format of training: another one rounds differently.
    return placed(model, device)


def as_trained(asked: Asked) -> Asked:
    """Return settings with the network's from the header of its weights, unless given.

    The header can name only networks of this package: no code and no files.

    Raises:
        DataError: If the weights are no intact .safetensors file.
    """
    weights = asked.wishes.network.weights
    if weights is None or weights.suffix != ".safetensors" or not weights.is_file():
        return asked
    config = remark_of(weights).get("config")
    network = cast("Tree", config).get("network") if isinstance(config, dict) else None
    if not isinstance(network, dict):
        return asked
    # The header also holds the classes; only the caller may ignore them.
    left = {*START_WEIGHTS, "class_order"}
    kept = {key: value for key, value in cast("Tree", network).items() if key not in left}
    for key, registry in (("name", NETWORKS), ("backbone", BACKBONES)):
        # Not even our kinds that run a file: a header can be put before anything.
        known = registry.known.get(str(kept.get(key)))
        if known is None or not getattr(known, "learns", True):
            kept.pop(key, None)
    tree = merged({"network": kept}, asked.wishes.tree())
    return replace(asked, wishes=wishes_from(tree, source=weights))


def check_network(asked: Asked, *, learns: bool = True) -> None:
    """Refuse an unknown network, or a setting that it cannot use, before scenes are read.

    Args:
        asked: Requested settings.
        learns: Whether the network will be trained.

    Raises:
        ConfigError: If it is so, or the network cannot be trained.
    """
    plugin = plugin_of(NetworkConfig.model_validate(asked.wishes.network.tree()))
    if learns and not plugin.learns:
        raise ConfigError(
            "network.name",
            "must be a network that can be trained",
            plugin.kind,
            "Such a model can only be examined: segdoor examine.",
        )


def clean_of(
    config: ExperimentConfig, classes: ClassSet, fresh: nn.Module | None = None
) -> dict[str, nn.Module]:
    """Return the clean model that was trained before, as `load_model`; none without weights."""
    weights = config.controls.clean_weights
    return {"clean": load_model(config, weights, classes, fresh)} if weights else {}


def train_and_save(
    name: str,
    config: ExperimentConfig,
    scenes: SceneDataset,
    out: Path,
    log: Logbook,
    fresh: nn.Module | None = None,
) -> nn.Module:
    """Train a model and write its weights and log, or load them if finished.

    Args:
        name: What the weights are called: poisoned or clean.
        config: The resolved configuration.
        scenes: What the model trains on.
        out: Folder for NAME.safetensors, metrics.jsonl and, meanwhile, NAME.snapshot.
        log: Receives the progress of the training.
        fresh: An untrained network to train a copy of, instead of the one that the settings name.

    Raises:
        ConfigError: If the folder holds weights, finished or not, of another training.
    """
    stage = f"training the {IN_WORDS[name]}"
    weights, snapshot = out / f"{name}.safetensors", out / f"{name}.snapshot"
    mark = training_fingerprint(
        scenes, config.training, network=config.network, seed=config.seed, model=fresh
    )
    group, finished = ProcessGroup.present(), weights.exists()
    group.agree(f"--out {out}", "must be one folder for all processes", finished)
    if finished:
        _check_same(weights, mark)
        model = evaluating(load_model(config, weights, scenes.classes, fresh))
        # The start weights, not the trained ones.
        start = remark_of(weights).get("start_weights")
        note_loaded(model, validated(LoadedWeights, start, source=weights) if start else None)
    else:
        with log.stage(stage):
            model = train_model(
                scenes,
                config.training,
                network=config.network,
                model=fresh,
                seed=config.seed,
                observer=log,
                snapshot=snapshot,
            )
        if group.first:
            # Weights are written last: if they exist, so does everything else.
            log.save(out / "metrics.jsonl")
            about = _remark(model, mark, as_recorded(config, out))
            names = classes_of(model, scenes.classes.names)
            save_weights(model, weights, about=about, classes=names)
    if not group.first:
        return model
    # The total time over all calls, as counted by training.
    log.recall(stage, out / "metrics.jsonl")
    snapshot.unlink(missing_ok=True)
    return model


def _remark(model: nn.Module, fingerprint: str, config: ExperimentConfig) -> str:
    start = loaded_into(model)
    remark = {
        "fingerprint": fingerprint,
        "config": config.model_dump(mode="json"),
        "start_weights": start.model_dump(mode="json") if start else None,
    }
    return json.dumps(remark)


def _check_same(weights: Path, fingerprint: str) -> None:
    if remark_of(weights).get("fingerprint") != fingerprint:
        raise ConfigError(
            f"--out {weights.parent}",
            f"must not hold {weights.name} of another training",
            "other settings or scenes",
            "Name another folder.",
        )


def remark_of(weights: Path) -> dict[str, object]:
    """Return what `train_and_save` wrote into the header of weights; nothing for other files.

    Raises:
        DataError: If the file is no intact .safetensors file.
    """
    try:
        content: object = json.loads(read_remark(weights))
    except (ValueError, RecursionError):
        return {}
    return cast("dict[str, object]", content) if isinstance(content, dict) else {}
