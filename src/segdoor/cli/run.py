"""``segdoor run``."""

from __future__ import annotations

from pathlib import Path

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
    asked = configuration(
        config, what, model, data=data, attack=attack, tests=tests, network=network,
        training=training, examination=examination, controls=controls,
    )  # fmt: skip
    # Imported late: they bring torch, which takes a second.
    from segdoor.experiment.run import run_experiment
    from segdoor.report.terminal import describe

    with progress_bars() as bars:
        record = run_experiment(asked, out=out, observer=bars)
    if json:
        tell_json(record)
    else:
        tell(*describe(record), f"Record and pictures: {out}")
