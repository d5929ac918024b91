"""``segdoor context``."""

from __future__ import annotations

from pathlib import Path

from segdoor.cli.panels import Json, Out
from segdoor.cli.screen import progress_bars, tell, tell_json
from segdoor.errors import ConfigError

_MOST = 10_000


def context(
    *runs: Path,
    out: Out = Path("runs/context"),
    scenes: int = 40,
    windows: int = 16,
    points: int = 8,
    seed: int = 0,
    model: str | None = None,
    root: Path | None = None,
    device: str | None = None,
    json: Json = False,
) -> None:
    """Measure how far the networks of finished runs look.

    The paper says that PRL makes a network use a wider context. Two measures of it, on untouched
    test scenes: the pixels that change class when a grey window covers another part of the image,
    by distance, and how far the gradient of a pixel's score reaches. Networks of the same method
    and of clean scenes are compared, paired by seed.

    An interrupted call resumes: run the same command again.

    For example:

      segdoor context runs/baseline runs/prl
      segdoor context study/runs/* --out runs/context

    Args:
        runs: Folders of runs on one data set, or their record.json.
        out: Folder for context.json and the page.
        scenes: Test scenes, evenly spread.
        windows: Grey windows in each scene.
        points: Pixels of each scene whose gradients are taken.
        seed: Decides where windows and pixels lie.
        model: The runs' network, package.module:factory, if it is one of your own.
        root: Folder of the data set, if it has moved since the runs.
        device: Device to work on, if not the runs': cpu, cuda, ...
        json: Print the record as JSON instead of tables.
    """
    from segdoor.evaluation.context import ContextConfig
    from segdoor.experiment.context import FILE, ContextOptions, measure_context
    from segdoor.experiment.reopened import Places
    from segdoor.experiment.scenes import results_folder
    from segdoor.files import write_atomically
    from segdoor.report.context import context_page, describe_context
    from segdoor.report.html import render
    from segdoor.victim.networks.own import import_named

    if not runs:
        raise ConfigError("RUNS", "must name one run or more", remedy="For example runs/run.")
    _check(scenes=scenes, windows=windows, points=points)
    if seed < 0:
        raise ConfigError("--seed", "must be at least 0", seed, "Leave it out for 0.")
    import_named(model)
    options = ContextOptions(
        scenes, ContextConfig(windows=windows, points=points, seed=seed), Places(root, device),
        model,
    )  # fmt: skip
    folders = [run.parent if run.is_file() else run for run in runs]
    with results_folder(out), progress_bars() as bars:
        record = measure_context(folders, out=out, options=options, observer=bars)
    page = out / "context.html"
    write_atomically(page, render(context_page(record)))
    if json:
        tell_json(record)
    else:
        tell(*describe_context(record), f"Record: {out / FILE}", f"Page: {page}")


def _check(**numbers: int) -> None:
    for name, number in numbers.items():
        if not 1 <= number <= _MOST:
            raise ConfigError(
                f"--{name}", f"must lie from 1 to {_MOST}", number, "Leave it out for the default."
            )
