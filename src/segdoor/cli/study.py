"""``segdoor study``: list, show, run, status and report."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from cyclopts import App, Group, Parameter
from rich import box
from rich.table import Table as Grid

from segdoor.cli.panels import DATA, OPTIONS, OUTPUT, WHAT, Json, Out, Replace
from segdoor.cli.report import write_page
from segdoor.cli.screen import progress_bars, tell, tell_json
from segdoor.cli.study_part import OUT, Asked, Name, OnResources, Part
from segdoor.errors import ConfigError, DataError, MachineError, UnfinishedError
from segdoor.papers.registry import PAPERS
from segdoor.report.source import study_source
from segdoor.report.terminal_study import describe_study
from segdoor.study.checking import check_out, check_scenes
from segdoor.study.collect import collect
from segdoor.study.estimate import cost_of, pace_of
from segdoor.study.expand import distinct
from segdoor.study.library import load_preset, load_study, preset_names, study_names
from segdoor.study.plan import StudyPlan, left_out, part_of
from segdoor.study.processes import jobs_on
from segdoor.study.remote import executor_for, fetch_finished
from segdoor.study.resources import Resources, check_resources
from segdoor.study.running import Work, check_possible, finish, work_of
from segdoor.study.state import state_of

study = App(
    name="study",
    help_format="plaintext",
    group_arguments=OPTIONS,
    group_parameters=OPTIONS,
    group_commands=Group("Commands"),
)


@study.command(name="list")
def list_() -> None:
    """List the built-in studies and presets.

    A study is a grid of runs behind a table or figure of the paper. A preset says what it runs on:
    the scenes, networks, recipe and seeds.

    For example:

      segdoor study list
    """
    studies = [(n, load_study(p, n)) for p in PAPERS.values() for n in study_names(p)]
    presets = [(n, load_preset(p, n)) for p in PAPERS.values() for n in preset_names(p)]
    for heading, rows in (
        ("study", [(name, study.shows, study.title) for name, study in studies]),
        ("preset", [(name, preset.data.name, preset.title) for name, preset in presets]),
    ):
        tell(_grid((heading, "of", "what it is"), rows))
    tell("Next: segdoor study show table1 --preset street")


@study.command
def show(
    name: Name,
    *,
    part: Asked = None,
) -> None:
    """Print the runs of a study: what varies, and the key of each.

    Only prints the plan. `segdoor show` prints the results.

    For example:

      segdoor study show table1
      segdoor study show table1 --preset street --only rate=0.05,0.15

    Args:
        name: A study by name, or a study file of your own.
        part: Which of its runs.
    """
    plan, points = (part or Part()).of(name, OUT)
    runs = distinct(points)
    tell(f"{plan.study.shows}: {plan.study.title}, on {plan.preset.title}")
    seeds = sorted({run.seed for run in runs})
    tell(f"{len(runs)} runs on seeds {', '.join(map(str, seeds))}")
    repairs = [(run.key, " ".join(dict.fromkeys(run.repairs.values()))) for run in runs]
    tell(_grid(("run", "repairs"), repairs))
    places = {point.in_words for point in left_out(plan)}
    if places:
        tell(f"Left out, for the preset has no such network or class: {'; '.join(sorted(places))}")


@study.command
def run(
    name: Name,
    *,
    out: Out = OUT,
    part: Asked = None,
    limit: Annotated[int | None, Parameter(group=WHAT)] = None,
    root: Annotated[Path | None, Parameter(group=DATA)] = None,
    dry_run: Annotated[bool, Parameter(name="--dry-run", group=WHAT)] = False,
    machines: OnResources = None,
) -> None:
    """Do the runs of a study.

    Runs that are done are kept, also those that another study made in the same folder. Failed runs
    are tried again. A run that fails does not stop the others; error.json in its folder says why.
    Interrupted studies resume: run the same command again.

    For example:

      segdoor study run table1 --dry-run
      segdoor study run table1 --only rate=0.05,0.15 --seeds 0
      segdoor study run table1 --preset camvid --root camvid --jobs 2

    Exit code 0 if all of these runs are done, 1 if some failed or --limit left some.

    Args:
        name: A study by name, or a study file of your own.
        out: Folder for the runs, the clean models and the study's record. Studies share it.
        part: Which of its runs.
        limit: Stop after this many runs.
        root: Folder of the data set.
        dry_run: Count the runs, and estimate the time by training for a few steps.
        machines: Where the runs are done.
    """
    where = machines or Resources()
    check_resources(where)
    plan, runs = (part or Part()).of(name, out, root=root)
    if limit is not None and limit < 1:
        raise ConfigError("--limit", "must be at least 1", limit, "Leave it out for all.")
    if dry_run:
        _tell_cost(plan, work_of(plan, runs, limit=limit), where)
        return
    check_possible(plan)
    if where.store is None:
        check_scenes(plan.preset, runs)
    check_out(plan.out)
    fetch_finished(where, plan, runs)
    _do(plan, work_of(plan, runs, limit=limit), where, limit)


@study.command
def status(
    name: Name,
    *,
    out: Out = OUT,
    part: Asked = None,
    json: Json = False,
) -> None:
    """Say which runs of a study are done, failed or waiting.

    Only reads files; another process may be working on the study.

    For example:

      segdoor study status table1
      segdoor study status table1 --json

    Args:
        name: A study by name, or a study file of your own.
        out: The folder of the studies.
        part: Which of its runs.
        json: Print the study's record as JSON, as far as it is done.
    """
    plan, points = (part or Part()).of(name, out)
    if json:
        tell_json(collect(plan))
        return
    states = [(run.key, state_of(plan, run)) for run in distinct(points)]
    grid = _grid(("run", "state", "why"), [(k, s.state, s.error or "") for k, s in states])
    grid.columns[-1].max_width = 80
    tell(grid)
    counts = {
        name: sum(s.state == name for _, s in states) for name in ("done", "failed", "waiting")
    }
    tell(", ".join(f"{count} {name}" for name, count in counts.items()))
    if plan.file.exists():
        tell(f"Results: segdoor show {plan.file}")


@study.command
def report(
    name: Name,
    *,
    out: Out = OUT,
    part: Asked = None,
    page: Annotated[Path, Parameter(name=["--page", "-o"], group=OUTPUT)] = Path("report.html"),
    replace: Replace = False,
) -> None:
    """Write the page of a study from the runs that are done.

    The same page as `segdoor report` writes, but you can choose a part of the study, and the study
    need not be complete.

    For example:

      segdoor study report table1
      segdoor study report table1 --seeds 0 -o table1.html --replace

    Args:
        name: A study by name, or a study file of your own.
        out: The folder of the studies.
        part: Which of its runs.
        page: The page to write.
        replace: Overwrite an earlier page.
    """
    plan, points = (part or Part()).of(name, out)
    record = collect(part_of(plan, points))
    if not any(run.state == "done" for run in record.runs):
        raise DataError(
            f"--out {out}", f"must hold a run of study {plan.name}", "none that is done",
            f"Make some: segdoor study run {name} --preset {record.preset}",
        )  # fmt: skip
    write_page(study_source(record, plan.file), page, replace=replace)


def _do(plan: StudyPlan, work: Work, machines: Resources, limit: int | None) -> None:
    """Do the work, tell of every outcome, and write the study's record."""
    tell(f"{work.num_done} of {work.num_asked} runs are there, {len(work.tasks)} tasks to do")
    for key, why in work.refused.items():
        tell(f"runs/{key}: {why}")
    num_failed = len(work.refused)
    with progress_bars() as bars, executor_for(work.tasks, machines, bars) as executor:
        for number, outcome in enumerate(executor.run(work.tasks), start=1):
            num_failed += outcome.error is not None
            what = f"failed: {outcome.error}" if outcome.error else f"done, {outcome.seconds:.0f} s"
            tell(f"[{number}/{len(work.tasks)}] {outcome.key}: {what}")
    record = finish(plan, work.digests)
    tell("", *describe_study(study_source(record, plan.file)))
    num_runs = work.num_done + sum(task.kind == "run" for task in work.tasks)
    if num_failed:
        raise UnfinishedError(
            f"study {plan.name}", "must have no failed runs", f"{num_failed} failed",
            "See error.json in their folders; the same call tries them again.",
        )  # fmt: skip
    if num_runs < work.num_asked:
        stopped = " where --limit stopped this one" if limit is not None else ""
        raise UnfinishedError(
            f"study {plan.name}", "must be complete", f"{num_runs} of {work.num_asked} runs",
            f"The same call goes on{stopped}.",
        )  # fmt: skip


def _tell_cost(plan: StudyPlan, work: Work, machines: Resources) -> None:
    cost = cost_of(work.tasks, plan.runs[0].config.training.epochs)
    tell(
        f"{work.num_done} runs are there; {cost.num_runs} to be made",
        f"{cost.num_trainings} trainings, {cost.num_clean_models} of them shared clean models",
        f"{cost.num_finetunings} fine-tunings",
    )
    if not work.tasks:
        return
    try:
        check_possible(plan)
    except ConfigError as why:
        # Without the scenes' place there is still something to count.
        tell(f"Time unknown: {why}")
        return
    try:
        with progress_bars() as bars:
            paces = [(n, pace_of(plan, name, bars)) for name, n in cost.epochs.items() if n]
    except (DataError, MachineError) as why:
        tell(f"Time unknown: {why}")
        return
    jobs = min(jobs_on(machines, work.tasks), len(work.tasks))
    hours = sum(epochs * pace.seconds for epochs, pace in paces) / 3600 / jobs
    told = [f"{epochs:.0f} epochs of {pace.seconds:.1f} s, by {pace.source}"
            for epochs, pace in paces]  # fmt: skip
    at_once = f", {jobs} runs at once," if jobs > 1 else ""
    pace = "; ".join(told) or "none"
    tell(f"About {hours:.1f} hours on this machine{at_once} without tests: {pace}")


def _grid(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> Grid:
    grid = Grid(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for head in heads:
        grid.add_column(head, overflow="fold")
    for row in rows:
        grid.add_row(*row)
    return grid
