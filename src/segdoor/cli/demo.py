"""``segdoor demo``."""

from __future__ import annotations

from pathlib import Path

from segdoor.cli.screen import progress_bars, tell, tell_json


def demo(*, seed: int = 0, out: Path = Path("demo"), json: bool = False) -> None:
    """Tell the whole story on built-in street scenes, in minutes.

    Trains a clean model, and one whose data supplier put a sticker into every fifth scene and
    relabelled its cars as road; examines both with and without the sticker; prints the table, and
    writes record and pictures.

    Args:
        seed: Another seed gives other scenes, other stickers' places and other start weights.
        out: Folder for the record and the files beside it.
        json: Print the record as JSON instead of tables.
    """
    from segdoor.experiment.demo import demo_config
    from segdoor.papers.iba.run import run_experiment
    from segdoor.report.terminal import describe

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
