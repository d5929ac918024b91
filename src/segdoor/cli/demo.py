"""``segdoor demo``."""

from __future__ import annotations

from pathlib import Path

from segdoor.cli.screen import progress_bars, tell, tell_json
from segdoor.errors import ConfigError


def demo(
    *, seed: int = 0, model: str | None = None, out: Path = Path("demo"), json: bool = False
) -> None:
    """Train and attack a small network on built-in street scenes.

    Trains a clean model, and a second one on poisoned scenes: every fifth scene shows a sticker,
    and its cars are labelled as road. Both are tested with and without the sticker. Prints the
    table, and writes a record and pictures. This takes some minutes.

    With --model nothing is trained: a built-in trained model is tested in the same way, in under a
    minute.

    For example:

      segdoor demo
      segdoor demo --model baseline

    Args:
        seed: Another seed gives other scenes, trigger positions and initial weights.
        model: A built-in trained model: clean, baseline, nni, prl or blend.
        out: Folder for the record and the files beside it.
        json: Print the record as JSON instead of tables.
    """
    from segdoor.experiment.demo import demo_config
    from segdoor.papers.iba.run import run_experiment
    from segdoor.report.terminal import describe

    if model is not None:
        if seed:
            raise ConfigError(
                "--seed", "must be left out beside --model", seed, "Its scenes are its run's."
            )
        _demo_of(model, out / f"model-{model}", json=json)
        return
    folder = out / f"seed-{seed}"
    with progress_bars() as bars:
        record = run_experiment(demo_config(seed), out=folder, observer=bars)
    if json:
        tell_json(record)
        return
    tell(
        *describe(record),
        f"Look at {folder / 'scenes.png'} (predictions) and {folder / 'poison.png'} (the poison).",
        "Next: the same on real photographs of yours, whose folder docs/data.md describes:",
        "  segdoor run --data.name folder --data.root DIR --attack.victims car",
    )


def _demo_of(name: str, folder: Path, *, json: bool) -> None:
    """Examine a model that comes along."""
    from segdoor.experiment.steps import examine_step
    from segdoor.models.catalogue import shipped
    from segdoor.papers.iba.reading import asked
    from segdoor.report.terminal import describe

    model = shipped(name)
    with progress_bars() as bars:
        record = examine_step(asked(model.examination()), out=folder, observer=bars)
    if json:
        tell_json(record)
        return
    tell(
        *describe(record),
        f"Look at {folder / 'scenes.png'} (predictions).",
        "Next: try a defense on it, which adds to this record:",
        f"  segdoor repair {folder} --with finetune:0.1",
    )
