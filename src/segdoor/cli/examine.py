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
from segdoor.cli.screen import progress_bars, tell, tell_json
from segdoor.errors import ConfigError


def examine(
    config: Path | None = None,
    *,
    out: Path = Path("runs/examine"),
    json: bool = False,
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
    """Examine a trained network with and without the trigger.

    Runs the benign test and every poisoned test, each with its controls, and leaves a record. The
    network is one of ours or any torch.nn.Module of yours from images to logits:

      segdoor examine --model mypackage.nets:build --weights mine.pth --data.name camvid ...
      segdoor examine --model onnx:mine.onnx --data.name camvid ...

    A TorchScript file holds code, which is run: --model torchscript:mine.pt is for files that you
    trust.

    Args:
        config: A YAML file with any of the settings below, and others.
        out: Folder for the record and the files beside it.
        json: Print the record as JSON instead of tables.
        fail_on: A threshold such as "asr>0.3", "asr:near>0.3" or "iou:car<0.5", once for each.
            Exit code 4 if one is crossed; which ones is in findings.json beside the record.
        sarif: A file to write the findings to, as SARIF 2.1.0.
        what: Choices that others follow from.
        model: A network of your own.
        data: The scenes.
        attack: Victim classes, target class and trigger.
        tests: The poisoned tests.
        network: The network.
        examination: How models are examined.
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
    from segdoor.report.terminal import describe

    gate.check(asked, asked.data().test_split)
    with progress_bars() as bars:
        record = examine_step(asked, out=out, observer=bars)
    findings = gate.judged(asked, record, out)
    if json:
        tell_json(record, gate.beside(findings))
    else:
        tell(*describe(record), f"Record and pictures: {out}")
        gate.tell(findings)
    gate.close(findings, out)
