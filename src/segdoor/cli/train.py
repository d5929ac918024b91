"""``segdoor train``."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from segdoor.cli.options import (
    Data,
    ModelOptions,
    Network,
    Training,
    WhatOptions,
    configuration,
)
from segdoor.cli.screen import progress_bars, tell
from segdoor.cli.torchrun import together
from segdoor.progress import Silent


def train(
    config: Path | None = None,
    *,
    plan: Path | None = None,
    out: Path = Path("runs/train"),
    timeout: Annotated[float, Parameter(validator=Number(gt=0, lte=1e6))] = 30.0,
    what: WhatOptions | None = None,
    model: ModelOptions | None = None,
    data: Data = None,
    network: Network = None,
    training: Training = None,
) -> None:
    """Train a model, on clean or poisoned scenes.

    Without --plan the scenes are clean and the weights are called clean.safetensors; with a plan
    that `segdoor poison` wrote for the same scenes they are called poisoned.safetensors.

    Several GPUs share the work of one model under torchrun:

      torchrun --nproc-per-node 4 -m segdoor train ...

    Args:
        config: A YAML file with any of the settings below, and others.
        plan: The poison plan, plan.jsonl.
        out: Folder for the weights and metrics.jsonl.
        timeout: Minutes that one process under torchrun waits for another.
        what: Choices that others follow from.
        model: A network of your own.
        data: The scenes.
        network: The network.
        training: The recipe of training.
    """
    asked = configuration(config, what, model, data=data, network=network, training=training)
    from segdoor.experiment.steps import train_step
    from segdoor.victim.checkpoint import loaded_into

    with (
        together(timeout) as first,
        progress_bars() if first else nullcontext(Silent()) as bars,
    ):
        start = loaded_into(train_step(asked, plan=plan, out=out, observer=bars))
    if not first:
        return
    weights = out / f"{'poisoned' if plan else 'clean'}.safetensors"
    tell(
        *([f"Started from: {start.in_words}"] if start else []),
        f"Weights: {weights}",
        f"Next: segdoor examine --weights {weights}, with the same data settings",
    )
