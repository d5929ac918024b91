"""``segdoor repair``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from segdoor.cli.screen import progress_bars, remark, tell, tell_json
from segdoor.errors import ConfigError

_HELP = (
    "A repair, such as prune:30 or finetune:0.1,epochs=5. Repeat the option to compare several;"
    " each starts from the original models. `segdoor list repairs` shows all of them."
)
With = Annotated[
    tuple[str, ...],
    Parameter(name="--with", consume_multiple=False, show_default=False, help=_HELP),
]


def repair(
    run: Path,
    *,
    with_: With = (),
    seed: int | None = None,
    model: str | None = None,
    root: Path | None = None,
    device: str | None = None,
    json: bool = False,
) -> None:
    """Repair the models of a run; defend replaces it.

    A repair gets a network and some clean training scenes; it never sees the attack. Each repair is
    applied to the backdoored model and, as a control, to the clean one. Then all tests of the run
    are run again, and the results are added to its record.

    If the network is one of your own, name it again by --model: its code is run, and segdoor does
    not run code just because a record names it.

    For example:

      segdoor repair runs/run --with finetune:0.1
      segdoor repair runs/run --with prune:30 --with finetune:0.1,epochs=5
      segdoor repair runs/run --with prune:30 --model mypackage.nets:build

    `segdoor defend` takes over from this verb: it does the same repairs and any other method of
    defense, with more controls. This one stays for one version.

    Args:
        run: The folder of the run, or its record.json.
        with_: The repairs.
        seed: Decides which clean scenes are drawn, if not the seed of the run.
        model: The network of the run, package.module:factory, if it is one of your own.
        root: Folder of the data set, if it has moved since the run.
        device: Device to use, if not the one of the run: cpu, cuda, ...
        json: Print the record as JSON instead of tables.
    """
    if not with_:
        raise ConfigError(
            "--with",
            "must name a repair",
            remedy="For example --with prune:30, or --with finetune:0.1.",
        )
    # Imported late: they bring torch, which takes a second.
    from segdoor.defense.repairs.registry import REPAIRS
    from segdoor.experiment.reopened import Places
    from segdoor.experiment.repair import repair_run
    from segdoor.report.before_after import repair_grids
    from segdoor.victim.networks.own import import_named

    repairs = [REPAIRS.read(text) for text in with_]
    import_named(model)
    with progress_bars() as bars:
        record = repair_run(
            run, repairs, seed=seed, model=model, places=Places(root, device), observer=bars
        )
    remark("segdoor defend takes over from segdoor repair, which stays for one version.")
    if json:
        tell_json(record)
        return
    tell(*repair_grids(record), f"Record: {run}; repaired weights are named in its files")
