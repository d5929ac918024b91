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
from segdoor.cli.panels import DATA, MACHINE, Config, Out
from segdoor.cli.screen import progress_bars, tell
from segdoor.cli.torchrun import together
from segdoor.progress import Silent


def train(
    config: Config = None,
    *,
    plan: Annotated[Path | None, Parameter(group=DATA)] = None,
    out: Out = Path("runs/train"),
    timeout: Annotated[float, Parameter(group=MACHINE, validator=Number(gt=0, lte=1e6))] = 30.0,
    what: WhatOptions | None = None,
    model: ModelOptions | None = None,
    data: Data = None,
    network: Network = None,
    training: Training = None,
) -> None:
    """Train a network on clean or poisoned scenes.

    Without --plan the scenes are clean, and the weights are saved as clean.safetensors. With the
    plan that `segdoor poison` wrote for the same scenes, they are saved as poisoned.safetensors.

    A network of your own is any torch.nn.Module from images to logits, named by --model: its code
    is run.

    For example:

      segdoor train --data.name folder --data.root DIR
      segdoor train --plan runs/poison/plan.jsonl --training.epochs 20
      segdoor train --model mypackage.nets:build --weights start.pth
      torchrun --nproc-per-node 4 -m segdoor train my.yaml

    The last one shares the work among four GPUs. Interrupted training resumes: run the same command
    again.

    Args:
        config: A YAML file with any of these settings. Other settings in it are ignored.
        plan: The plan that `segdoor poison` wrote, plan.jsonl.
        out: Folder for the weights and metrics.jsonl.
        timeout: Minutes that a process under torchrun waits for the others.
        what: Choices that set the defaults of others.
        model: A network of your own.
        data: The scenes.
        network: The network.
        training: The training recipe.
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
