"""``segdoor optimise``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal, TypeVar

from cyclopts import Parameter
from rich import box
from rich.table import Table as Grid
from rich.text import Text

from segdoor.cli.panels import Json, Out
from segdoor.cli.screen import progress_bars, tell, tell_json
from segdoor.errors import ConfigError
from segdoor.plugins import Plugin, Registry
from segdoor.record.figures import Figure
from segdoor.record.optimised import OptimisedRecord

PluginT = TypeVar("PluginT", bound=Plugin)
Triggers = Annotated[
    tuple[str, ...],
    Parameter(name="--trigger", consume_multiple=False, show_default=False),
]
Placements = Annotated[
    tuple[str, ...],
    Parameter(name="--placement", consume_multiple=False, show_default=False),
]


def optimise(
    run: Path,
    *,
    trigger: Triggers = (),
    placement: Placements = (),
    budget: int = 500,
    surrogate: Literal["clean", "backdoored"] = "clean",
    seed: int | None = None,
    out: Out = Path("runs/optimise"),
    model: str | None = None,
    root: Path | None = None,
    device: str | None = None,
    json: Json = False,
) -> None:
    """Find which trigger at which place changes most in a model.

    An attacker who has a model of their own asks it before poisoning: each trigger is put at each
    place into training scenes that show a victim, and the victim pixels that the model then
    predicts as another class are counted. The worse half of the candidates is left out round after
    round, until the budget of queries is spent. Nothing is trained. An interrupted call resumes:
    run the same command again.

    For example:

      segdoor optimise runs/run
      segdoor optimise runs/run --trigger smiley --trigger line
      segdoor optimise runs/run --surrogate backdoored --budget 2000 --out runs/best

    Args:
        run: The folder of a run, or its record.json.
        trigger: A trigger; repeat the option for several. The run's trigger and its siblings if
            left out.
        placement: A placement; repeat the option for several. Those of the run's poisoned tests if
            left out.
        budget: Scenes that the surrogate may be shown, with a trigger or without.
        surrogate: The model of the run that is asked.
        seed: Decides the scenes, their order and the places; the run's own if left out.
        out: Folder for optimised.json; an earlier one is replaced.
        model: The run's network, package.module:factory, if it is one of your own.
        root: Folder of the data set, if it has moved since the run.
        device: Device to work on, if not the run's: cpu, cuda, ...
        json: Print the result as JSON instead of a table.
    """
    # Imported late: they bring torch, which takes a second.
    from segdoor.attack.placements.registry import PLACEMENTS
    from segdoor.attack.placements.registry import spelled as spelled_placement
    from segdoor.attack.triggers.registry import TRIGGERS
    from segdoor.attack.triggers.registry import spelled as spelled_trigger
    from segdoor.experiment.config import check_seed
    from segdoor.experiment.optimising import FILE, Order, optimise_run
    from segdoor.experiment.reopened import Places
    from segdoor.experiment.scenes import results_folder
    from segdoor.victim.networks.own import import_named

    if seed is not None:
        check_seed(seed, option="--seed")
    order = Order(
        tuple(_read("--trigger", TRIGGERS, spelled_trigger, text) for text in trigger),
        tuple(_read("--placement", PLACEMENTS, spelled_placement, text) for text in placement),
        budget, surrogate, seed,
    )  # fmt: skip
    import_named(model)
    with results_folder(out), progress_bars() as bars:
        found = optimise_run(
            run, order, model=model, places=Places(root, device), observer=bars, out=out
        )
    if json:
        tell_json(found)
        return
    asked = f"{found.num_queries} queries of the {found.surrogate} model, budget {found.budget}"
    tell(
        asked, _grid(found), "changed: victim pixels that are predicted otherwise with the trigger",
        f"Record: {out / FILE}",
    )  # fmt: skip


def _read(
    option: str, registry: Registry[PluginT], spelled: Callable[[object], object], text: str
) -> PluginT:
    """Return what an option names; errors name the option and not the setting of a run."""
    try:
        return registry.read(spelled(text))
    except ConfigError as why:
        setting = why.culprit.removeprefix(registry.option).lstrip(".: ")
        culprit = f"{option} {text}" + (f": {setting}" if setting else "")
        raise ConfigError(culprit, why.rule, why.value, why.remedy) from None


def _grid(found: OptimisedRecord) -> Grid:
    grid = Grid(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for heading in ("trigger", "placement"):
        grid.add_column(heading)
    for heading in ("rounds", "scenes", "changed", "to target"):
        grid.add_column(heading, justify="right", no_wrap=True)
    for one in found.candidates:
        shares = _share(one.changed), _share(one.to_target)
        words = Text(one.trigger), Text(one.placement)
        grid.add_row(*words, str(one.num_rounds), str(one.num_queries), *shares)
    return grid


def _share(value: Figure) -> str:
    return "-" if value is None else f"{value:.2%}"
