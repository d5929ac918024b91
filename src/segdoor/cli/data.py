"""``segdoor data``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich import box
from rich.table import Table as Grid
from rich.text import Text

from segdoor.cli.gate import Sarif, check_sarif, write_sarif
from segdoor.cli.options import Attack, Data, WhatOptions, configuration
from segdoor.cli.panels import DATA, Config, Json, Out
from segdoor.cli.screen import progress_bars, tell, tell_json
from segdoor.data.config import DataConfig
from segdoor.data.pictures import write_image
from segdoor.errors import DataError, SegdoorError
from segdoor.experiment.scenes import results_folder
from segdoor.files import write_atomically
from segdoor.inspection.problems import as_finding
from segdoor.inspection.survey import Overview, survey
from segdoor.record.findings import Finding

_LISTED = 20
_LISTED_SIZES = 5


def data(
    config: Config = None,
    *,
    split: Annotated[str | None, Parameter(group=DATA)] = None,
    out: Out = Path("runs/data"),
    json: Json = False,
    sarif: Sarif = None,
    what: WhatOptions | None = None,
    data: Data = None,
    attack: Attack = None,
) -> None:
    """Check a data set: counts, sizes, classes and problems.

    Reads every scene and lists how many there are, their sizes, the classes they show, how many
    have room for the trigger, and every problem with the file it is in. Nothing is changed. For
    scenes in files, the other split is read too, to find scenes that are in both.

    For example:

      segdoor data --data.name folder --data.root DIR
      segdoor data --data.name camvid --data.root camvid --split test
      segdoor data my.yaml --sarif problems.sarif

    Exit code 2 if there is a problem.

    Args:
        config: A YAML file with any of these settings. Other settings in it are ignored.
        split: The split to check, if not the training split.
        out: Folder for data.json and data.png, a sheet of some scenes.
        json: Print everything as JSON instead of text.
        sarif: Also write the problems to this SARIF file.
        what: Choices that set the defaults of others.
        data: The scenes.
        attack: The attack, for the count of scenes with room for the trigger.
    """
    if sarif is not None:
        check_sarif(sarif)
    asked = configuration(config, what, data=data, attack=attack)
    with results_folder(out), progress_bars() as bars:
        scenes = asked.data()
        try:
            overview, picture = survey(asked, split or scenes.train_split, observer=bars)
        except SegdoorError as problem:
            # What is wrong with a file is a finding; what is wrong with the command is none.
            finding = as_finding(problem)
            if sarif is not None and Path(*finding.files).exists():
                _write(sarif, [finding], scenes, problem.exit_code)
            raise
        write_atomically(out / "data.json", f"{overview.model_dump_json(indent=1)}\n")
        (out / "data.png").unlink(missing_ok=True)
        if picture is not None:
            write_image(out / "data.png", picture)
    if sarif is not None:
        code = DataError.exit_code if overview.problems else 0
        _write(sarif, overview.findings, scenes, code)
    if json:
        tell_json(overview)
    else:
        tell(*_counts(overview), _class_grid(overview), *_room(overview))
        tell(*_left_aside(overview))
        remarks = [each.message for each in overview.findings if each.level != "error"]
        beside = f", beside split {overview.compared_with}" if overview.compared_with else ""
        tell(*_limited(f"Remarks{beside}", remarks, _LISTED))
        tell(*_limited("Problems", overview.problems, _LISTED), f"Report and pictures: {out}")
    if overview.problems:
        found = f"{len(overview.problems)} problems"
        raise DataError(scenes.root or scenes.name, "must have no problems", found, f"See {out}.")


def _write(sarif: Path, findings: Sequence[Finding], scenes: DataConfig, code: int) -> None:
    write_sarif(sarif, findings, "data", exit_code=code, root=scenes.root)


def _counts(overview: Overview) -> Iterator[str]:
    yield f"{overview.name}, split {overview.split}: {overview.num_scenes} usable scenes"
    for name, spread in (("height", overview.height), ("width", overview.width)):
        if spread is not None:
            yield f"{name}: {spread.min} to {spread.max} pixels, median {spread.median:g}"
    sizes = [f"{s.height}x{s.width} ({s.num_scenes})" for s in overview.sizes[:_LISTED_SIZES]]
    yield f"sizes: {len(overview.sizes)}, most often {', '.join(sizes) or 'none'}"
    turned = overview.num_turned_images, overview.num_turned_labels
    if any(turned):
        yield f"turned as their orientation tags say: {turned[0]} images, {turned[1]} label maps"


def _class_grid(overview: Overview) -> Grid:
    grid = Grid(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    grid.add_column("class", no_wrap=True)
    for heading in ("pixels", "scenes"):
        grid.add_column(heading, justify="right")
    for entry in overview.classes:
        grid.add_row(Text(entry.name), f"{entry.share:.2%}", str(entry.num_scenes))
    return grid


def _room(overview: Overview) -> Iterable[str]:
    room = overview.room
    if room is None:
        return ["Room for a trigger: name victims that are classes here, by --attack.victims"]
    size = room.trigger_size
    much = "over the whole image" if size is None else f"of {size[0]}x{size[1]} pixels"
    fitting = f"{room.num_with_room} of them have room for a trigger {much}"
    return [
        f"{room.num_with_victims} scenes show {' or '.join(room.victims)}; {fitting}",
        *_limited("Without room", room.without_room, _LISTED),
    ]


def _left_aside(overview: Overview) -> Iterator[str]:
    total = sum(found.num_files for found in overview.left_aside)
    if total:
        yield f"Left aside: {total} files that belong to no scene"
    for found in overview.left_aside:
        more = ", ..." if found.num_files > len(found.examples) else ""
        yield f"  {found.num_files} {found.why}: {', '.join(found.examples)}{more}"


def _limited(title: str, lines: Sequence[str], most: int) -> Iterator[str]:
    """Yield a title and so many lines, and say how many are left out."""
    if lines:
        yield f"{title}: {len(lines)}"
        yield from (f"  {line}" for line in lines[:most])
    if len(lines) > most:
        yield f"  and {len(lines) - most} more, listed in data.json"
