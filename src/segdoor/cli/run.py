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
from segdoor.cli.screen import progress_bars, tell, tell_json


def run(
    config: Path | None = None,
    *,
    out: Path = Path("runs/run"),
    json: bool = False,
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
    """Poison, train, examine and record, all at once.

    Trains a backdoored and a clean model, runs the benign test and every poisoned test with its
    controls, and leaves a record with plan, poisoned tests, tables, weights and pictures beside it.
    For example, on CamVid at half size with the paper's nearest neighbour injection:

      segdoor run --data.name camvid --data.root camvid --data.size 180 240 --method nni

    Args:
        config: A YAML file with any of the settings below.
        out: Folder for the record and the files beside it.
        json: Print the record as JSON instead of tables.
        fail_on: A threshold such as "asr>0.3", "asr:near>0.3" or "iou:car<0.5", once for each.
            Exit code 4 if one is crossed; which ones is in findings.json beside the record.
        sarif: A file to write the findings to, as SARIF 2.1.0.
        what: Choices that others follow from.
        model: A network of your own.
        data: The scenes.
        attack: The attacker.
        tests: The poisoned tests.
        network: The network.
        training: The recipe of training.
        examination: How models are examined.
        controls: What the run is compared with.
    """
    gate = Gate.of("run", fail_on, sarif)
    asked = configuration(
        config, what, model, data=data, attack=attack, tests=tests, network=network,
        training=training, examination=examination, controls=controls,
    )  # fmt: skip
    # Imported late: they bring torch, which takes a second.
    from segdoor.experiment.run import run_experiment
    from segdoor.report.terminal import describe

    gate.check(asked, asked.data().train_split)
    with progress_bars() as bars:
        record = run_experiment(asked, out=out, observer=bars, abreast=True)
    findings = gate.judged(asked, record, out)
    if json:
        tell_json(record, gate.beside(findings))
    else:
        tell(*describe(record), f"Record and pictures: {out}")
        gate.tell(findings)
    gate.close(findings, out)
