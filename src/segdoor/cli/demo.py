"""``segdoor demo``."""

from __future__ import annotations

from pathlib import Path

from segdoor.cli.screen import progress_bars, tell, tell_json
from segdoor.errors import ConfigError


def demo(
    *,
    seed: int = 0,
    fast: bool = False,
    model: str | None = None,
    out: Path = Path("demo"),
    json: bool = False,
) -> None:
    """Train and attack a small network on built-in street scenes.

    Trains a clean model, and a second one on poisoned scenes: every fifth scene shows a sticker,
    and its cars are labelled as road. Both are tested with and without the sticker, and the
    backdoored one with other stickers too. Prints the results as tables, and writes a record and
    pictures. This takes about five minutes on two cores. If you interrupt it, run it again: it
    continues where it stopped.

    With --fast it takes less than a minute, for a first look: one model, on smaller scenes and
    without the comparison with a clean model.

    With --model nothing is trained: a built-in trained model is tested in the same way, in about a
    minute.

    For example:

      segdoor demo
      segdoor demo --fast
      segdoor demo --model baseline

    Args:
        seed: Another seed gives other scenes, trigger positions and initial weights.
        fast: Take a first look within a minute. What it leaves out is said at the end.
        model: A built-in trained model: clean, baseline, nni, prl or blend.
        out: Folder for the record and the files beside it.
        json: Print the record as JSON instead of tables.
    """
    if model is not None:
        _check_alone(seed, fast=fast)
        _demo_of(model, out / f"model-{model}", json=json)
        return
    # Imported late: they bring torch, which takes a second.
    from segdoor.experiment.demo import NOT_IN_THE_FIRST_LOOK, demo_config, first_look_config
    from segdoor.experiment.run import run_experiment
    from segdoor.papers.iba.reading import asked
    from segdoor.report.terminal import describe

    folder = out / f"fast-{seed}" if fast else out / f"seed-{seed}"
    config = first_look_config(seed) if fast else demo_config(seed)
    with progress_bars() as bars:
        record = run_experiment(asked(config), out=folder, observer=bars, abreast=True)
    if json:
        tell_json(record)
        return
    tell(
        *describe(record),
        *((NOT_IN_THE_FIRST_LOOK, "All of it: segdoor demo") if fast else ()),
        f"Look at {folder / 'scenes.png'} (predictions) and {folder / 'poison.png'} (the poison).",
        "Next: the same on your own photographs, in a folder as docs/data.md describes:",
        "  segdoor run --data.name folder --data.root DIR --attack.victims car",
    )


def _check_alone(seed: int, *, fast: bool) -> None:
    """Refuse options that have no meaning beside a model that is trained already.

    Raises:
        ConfigError: If one is given.
    """
    if seed:
        raise ConfigError(
            "--seed", "must be left out beside --model", seed, "Its scenes are its run's."
        )
    if fast:
        raise ConfigError(
            "--fast", "must be left out beside --model", "both", "A model is tested in a minute."
        )


def _demo_of(name: str, folder: Path, *, json: bool) -> None:
    """Test a model that comes with segdoor."""
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
        "Next: measure a defense on it:",
        f"  segdoor defend {folder} --with finetune:0.1",
    )
