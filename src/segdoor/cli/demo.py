"""``segdoor demo``."""

from __future__ import annotations

from pathlib import Path

from segdoor.cli.screen import progress_bars, tell, tell_json
from segdoor.errors import ConfigError


def demo(
    *, seed: int = 0, model: str | None = None, out: Path = Path("demo"), json: bool = False
) -> None:
    """Tell the whole story on built-in street scenes, in minutes.

    Trains a clean model, and one whose data supplier put a sticker into every fifth scene and
    relabelled its cars as road; examines both with and without the sticker; prints the table, and
    writes record and pictures.

    With --model nothing is trained: a model that comes along ('segdoor models' names them) is
    examined in the same way, within a minute.

    Args:
        seed: Another seed gives other scenes, other stickers' places and other start weights.
        model: A trained model that comes along: clean, baseline, nni, prl or blend.
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
