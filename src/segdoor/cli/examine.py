"""``segdoor examine``."""

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
    WhatOptions,
    configuration,
)
from segdoor.cli.panels import Config, Json, Out
from segdoor.cli.screen import progress_bars
from segdoor.errors import ConfigError


def examine(
    config: Config = None,
    *,
    out: Out = Path("runs/examine"),
    json: Json = False,
    fail_on: FailOn = (),
    sarif: Sarif = None,
    what: WhatOptions | None = None,
    model: ModelOptions | None = None,
    data: Data = None,
    attack: Attack = None,
    tests: Tests = None,
    network: Network = None,
    examination: Examination = None,
    controls: Controls = None,
) -> None:
    """Test a trained network with and without the trigger.

    Runs the benign test and every poisoned test with its controls, and writes a record with tables
    and pictures. Nothing is trained.

    The network is a built-in one or any torch.nn.Module from images to logits, named by --model:
    its code is run. A TorchScript file also holds code that is run, so use only files that you
    trust.

    For example:

      segdoor examine --weights runs/train/poisoned.safetensors
      segdoor examine --model mypackage.nets:build --weights mine.pth
      segdoor examine --model onnx:mine.onnx --data.root DIR my.yaml
      segdoor examine my.yaml --weights mine.pth --fail-on "asr>0.3"

    Exit code 4 if a --fail-on threshold is crossed.

    Args:
        config: A YAML file with any of these settings. Other settings in it are ignored.
        out: Folder for the record and the files beside it.
        json: Print the record as JSON instead of tables.
        fail_on: A threshold such as "asr>0.3", "asr:near>0.3" or "iou:car<0.5"; repeatable.
        sarif: Also write the findings to this SARIF file.
        what: Choices that set the defaults of others.
        model: A network of your own.
        data: The scenes.
        attack: Victim classes, target class and trigger.
        tests: The poisoned tests.
        network: The network.
        examination: How the network is tested.
        controls: What the network is compared with.
    """
    gate = Gate.of("examine", fail_on, sarif)
    asked = configuration(
        config, what, model, data=data, attack=attack, tests=tests, network=network,
        examination=examination, controls=controls,
    )  # fmt: skip
    brings_weights = asked.network == "transformers" or ":" in asked.network
    if asked.wishes.network.weights is None and not brings_weights:
        raise ConfigError(
            "--weights", "must name the trained weights", remedy="A network without is untrained."
        )
    from segdoor.experiment.steps import examine_step

    gate.check(asked, asked.data().test_split)
    with progress_bars() as bars:
        record = examine_step(asked, out=out, observer=bars)
    gate.finish(asked, record, out, as_json=json)
