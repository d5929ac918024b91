"""``segdoor run``."""

from __future__ import annotations

from pathlib import Path

from segdoor.cli.gate import FailOn, Gate, Sarif
from segdoor.cli.options import (
    Attack,
    Controls,
    Data,
    Examination,
    ModelOptions,
    Network,
    Tests,
    Training,
    WhatOptions,
    configuration,
)
from segdoor.cli.panels import Config, Json, Out
from segdoor.cli.screen import progress_bars


def run(
    config: Config = None,
    *,
    out: Out = Path("runs/run"),
    json: Json = False,
    fail_on: FailOn = (),
    sarif: Sarif = None,
    what: WhatOptions | None = None,
    model: ModelOptions | None = None,
    data: Data = None,
    attack: Attack = None,
    tests: Tests = None,
    network: Network = None,
    training: Training = None,
    examination: Examination = None,
    controls: Controls = None,
) -> None:
    """Poison, train and examine in one command.

    Trains two networks by the same recipe, one on poisoned and one on clean scenes, tests both with
    and without the trigger, and writes the results, weights and pictures to a folder.

    A network of your own is any torch.nn.Module from images to logits, named by --model: its code
    is run.

    For example:

      segdoor run --data.name folder --data.root DIR --attack.victims car
      segdoor run --data.name camvid --data.root camvid --method nni
      segdoor run my.yaml --training.epochs 20 --fail-on "asr>0.3"

    Exit code 4 if a --fail-on threshold is crossed. Interrupted runs resume: run the same command
    again.

    Args:
        config: A YAML file with any of these settings.
        out: Folder for the record and the files beside it.
        json: Print the record as JSON instead of tables.
        fail_on: A threshold such as "asr>0.3", "asr:near>0.3" or "iou:car<0.5"; repeatable.
        sarif: Also write the findings to this SARIF file.
        what: Choices that set the defaults of others.
        model: A network of your own.
        data: The scenes.
        attack: The attack.
        tests: The poisoned tests.
        network: The network.
        training: The training recipe.
        examination: How the networks are tested.
        controls: What the run is compared with.
    """
    gate = Gate.of("run", fail_on, sarif)
    asked = configuration(
        config, what, model, data=data, attack=attack, tests=tests, network=network,
        training=training, examination=examination, controls=controls,
    )  # fmt: skip
    # Imported late: they bring torch, which takes a second.
    from segdoor.experiment.run import run_experiment

    gate.check(asked, asked.data().train_split)
    with progress_bars() as bars:
        record = run_experiment(asked, out=out, observer=bars, abreast=True)
    gate.finish(asked, record, out, as_json=json)
