"""``segdoor study``: list, show, run, status and report."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter
from rich import box
from rich.table import Table as Grid

from segdoor.cli.report import write_page
from segdoor.cli.screen import progress_bars, tell, tell_json
from segdoor.errors import ConfigError, DataError, MachineError, UnfinishedError
from segdoor.experiment.config import Reading
from segdoor.papers.registry import PAPERS, paper_of
from segdoor.report.source import study_source
from segdoor.settings import Settings
from segdoor.study.checking import check_out, check_scenes
from segdoor.study.collect import collect
from segdoor.study.estimate import cost_of, pace_of
from segdoor.study.expand import PlannedRun, distinct
from segdoor.study.library import load_preset, load_study, own_names, preset_names, study_names
from segdoor.study.plan import StudyPlan, left_out, make_plan, part_of, selected
from segdoor.study.processes import jobs_on
from segdoor.study.remote import executor_for, fetch_finished
from segdoor.study.resources import Resources, check_resources
from segdoor.study.running import Work, check_possible, finish, work_of
from segdoor.study.state import state_of

study = App(
    name="study",
    help="Run whole tables and figures of the paper, and judge what it claims.",
    help_format="plaintext",
)

_OUT = Path("runs/studies")
OnResources = Annotated[Resources | None, Parameter(name="*", group="Machines")]


class Part(Settings):
    """A study on a preset, or a part of it."""

    preset: str = "street"
    """A preset by name, or the path of a file of your own."""
    reading: Reading = "paper"
    """Follow the paper, or the authors' code where it differs."""
    seeds: tuple[int, ...] = ()
    """Seeds asked for; all of the preset's if left out."""
    only: Annotated[tuple[str, ...], Parameter(consume_multiple=False)] = ()
    """Values of axes to keep, as rate=0.05,0.15; repeat it for other axes."""
    set_: Annotated[tuple[str, ...], Parameter(name="--set", consume_multiple=False)] = ()
    """A setting that differs from the preset's file, as training.epochs=2; repeatable."""
    backbone: Path | None = None
    """ImageNet weights that the preset's networks start from; part of the keys of runs."""

    def of(
        self, name: str, out: Path, *, root: Path | None = None
    ) -> tuple[StudyPlan, tuple[PlannedRun, ...]]:
        """Return the whole study, and the runs asked for."""
        plan = make_plan(
            paper_of(name), name, self.preset, out=out, reading=self.reading, seeds=self.seeds,
            root=root, backbone=self.backbone, changes=self.set_,
        )  # fmt: skip
        return plan, selected(plan, only=_axes(self.only), seeds=self.seeds)


Asked = Annotated[Part | None, Parameter(name="*", group="Which runs")]


@study.command(name="list")
def list_() -> None:
    """Name the studies and presets that come along."""
    studies = [(n, load_study(p, n)) for p in PAPERS.values() for n in study_names(p)]
    studies += [(n, load_study(paper_of(n), n)) for n in own_names()]
    presets = [(n, load_preset(p, n)) for p in PAPERS.values() for n in preset_names(p)]
    for heading, rows in (
        ("study", [(name, study.shows, study.title) for name, study in studies]),
        ("preset", [(name, preset.data.name, preset.title) for name, preset in presets]),
    ):
        tell(_grid((heading, "of", "what it is"), rows))
    tell("Next: segdoor study show table1 --preset street")


@study.command
def show(
    name: str,
    *,
    part: Asked = None,
) -> None:
    """Print what a study varies on a preset, and every run with its key.

    Args:
        name: A study by name, or the path of a file of your own.
        part: Which of its runs.
    """
    plan, points = (part or Part()).of(name, _OUT)
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
    name: str,
    *,
    out: Path = _OUT,
    part: Asked = None,
    limit: int | None = None,
    root: Path | None = None,
    dry_run: Annotated[bool, Parameter(name="--dry-run")] = False,
    machines: OnResources = None,
) -> None:
    """Run a study: what is there is kept, what failed is tried again, what is missing is made.

    Runs that other studies in the same folder have made count as well. A call that was killed is
    completed by the same call again. A run that fails does not stop the others; its error lies in
    error.json in its folder. Exit code 0 if every run asked for is done, 1 if some failed or are
    left by --limit. For example:

      segdoor study run table1 --preset street --only rate=0.05,0.15 --only q_as=area --seeds 0

    Args:
        name: A study by name, or the path of a file of your own.
        out: Folder for runs, clean models and the study's record; studies share it.
        part: Which of its runs.
        limit: Make so many runs at most in this call.
        root: Folder of the data set.
        dry_run: Only count the runs, and estimate their time by training a few steps.
        machines: Where runs are made.
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
    name: str,
    *,
    out: Path = _OUT,
    part: Asked = None,
    json: bool = False,
) -> None:
    """Say which runs of a study are done, failed or waiting; only files are read.

    Args:
        name: A study by name, or the path of a file of your own.
        out: The folder of studies.
        part: Which of its runs.
        json: Print the study's record as JSON, as far as it is: all runs, cells and verdicts.
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


@study.command
def report(
    name: str,
    *,
    out: Path = _OUT,
    part: Asked = None,
    page: Annotated[Path, Parameter(name=["--page", "-o"])] = Path("report.html"),
    replace: bool = False,
) -> None:
    """Write one page of a study, or of a part of it, from the runs that are there by now.

    It is the page of `segdoor report`, and needs no record of the study: only files of runs are
    read.

    Args:
        name: A study by name, or the path of a file of your own.
        out: The folder of studies.
        part: Which of its runs.
        page: The page.
        replace: Write over an earlier page.
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
    tell(f"Study: {plan.file}")
    for verdict in record.verdicts:
        found = ", ".join(told for told in (verdict.counted, verdict.lacks) if told)
        tell(f"{verdict.number}. {verdict.statement} ({verdict.judged_on}): "
             f"{verdict.verdict}{f', {found}' if found else ''}")  # fmt: skip
    if record.verdicts:
        tell(record.claims_in_words)
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


_VALUES = re.compile(r"""'[^']*'|"[^"]*"|[^,]+""")


def _axes(only: Sequence[str]) -> Mapping[str, Sequence[str]]:
    """Read ``rate=0.05,0.15`` as values by axis; a value with a comma stands in quotes."""
    axes: dict[str, list[str]] = {}
    for text in only:
        axis, sign, values = text.partition("=")
        if not sign or not values:
            raise ConfigError("--only", "must be written as axis=value", text, "Write rate=0.05.")
        axes.setdefault(axis, []).extend(found.strip("'\"") for found in _VALUES.findall(values))
    return axes


def _grid(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> Grid:
    grid = Grid(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for head in heads:
        grid.add_column(head, overflow="fold")
    for row in rows:
        grid.add_row(*row)
    return grid
