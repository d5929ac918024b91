"""``segdoor defend``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from segdoor.cli.screen import progress_bars, tell, tell_json
from segdoor.errors import ConfigError

_HELP = (
    "Any method, such as clp, prune:30 or package.module:Class. Repeat the option for several, each"
    " measured separately. `segdoor list repairs`, filters, detectors, purifiers and scans show all"
    " of them."
)
With = Annotated[
    tuple[str, ...],
    Parameter(name="--with", consume_multiple=False, show_default=False, help=_HELP),
]
Null = Annotated[
    tuple[Path, ...],
    Parameter(
        name="--null",
        consume_multiple=False,
        show_default=False,
        help="Weights of a clean model that scans compare with; repeat the option, eight or more.",
    ),
]


def defend(
    run: Path,
    *,
    with_: With = (),
    clean: float = 0.1,
    test: str | None = None,
    scenes: int | None = None,
    retrain: bool = False,
    drop: int | None = None,
    oracle: bool = True,
    adaptive: bool = False,
    null: Null = (),
    seed: int | None = None,
    model: str | None = None,
    root: Path | None = None,
    device: str | None = None,
    json: bool = False,
) -> None:
    """Measure defenses on a run, each beside its controls.

    Each method gets what its defender would have (scenes to train on, a model, a few clean scenes),
    never the trigger, the plan or the victim class. Its result is compared with the truth, and with
    controls: a clean model, harmless stickers, chance, and an oracle that knows the attack.

    For example:

      segdoor defend runs/run --with bnp --with i_bau
      segdoor defend runs/run --with jpeg --with occlusion --scenes 20
      segdoor defend runs/run --with mypackage.filters:Mine --retrain

    The limits that make a method useful were set before any was measured: docs/defenders.md.
    Interrupted commands resume: run the same command again.

    Args:
        run: The run's folder, or its record.json.
        with_: The methods.
        clean: Clean scenes for filters, detectors, purifiers and scans, as a share of the training
            scenes. Repairs have a setting of their own.
        test: The poisoned test whose triggers detectors look at; anywhere if left out.
        scenes: Test scenes for detectors and purifiers, evenly spread; all if left out. Repairs are
            always tested on all scenes.
        retrain: Train again without the scenes that a filter suspects most, and measure what is
            left of the backdoor; the same for a random filter and for an oracle.
        drop: How many scenes are left out then; as many as are poisoned if left out.
        oracle: Try several thresholds of repairs by the true ASR, as no defender could.
        adaptive: Measure filters against an attacker who knows them, too: his settings change.
        null: Clean models.
        seed: Decides which clean scenes are drawn; the run's own seed if left out.
        model: The run's network, package.module:factory, if it is one of your own.
        root: Folder of the data set, if it has moved since the run.
        device: Device to work on, if not the run's: cpu, cuda, ...
        json: Print the record of defenses as JSON instead of tables.
    """
    if not with_:
        raise ConfigError(
            "--with",
            "must name a method of defense",
            remedy="For example --with clp; 'segdoor list repairs' names more.",
        )
    # Imported late: they bring torch, which takes a second.
    from segdoor.experiment.bench.case import BenchOptions
    from segdoor.experiment.bench.defend import FILE, defend_run
    from segdoor.experiment.bench.methods import read_method
    from segdoor.experiment.reopened import Places
    from segdoor.report.defense_grids import describe_defenses
    from segdoor.report.source import open_source
    from segdoor.victim.networks.own import import_named

    methods = [read_method(text) for text in with_]
    options = BenchOptions(
        clean=clean, test=test, num_scenes=scenes, retrain=retrain, drop=drop, oracle=oracle,
        adaptive=adaptive, null_models=null,
    )  # fmt: skip
    import_named(model)
    with progress_bars() as bars:
        found = defend_run(
            run, methods, options=options, seed=seed, model=model, places=Places(root, device),
            observer=bars,
        )  # fmt: skip
    if json:
        tell_json(found)
        return
    folder = run if run.is_dir() else run.parent
    tell(*describe_defenses(open_source(run)), f"Record of all defenses: {folder / FILE}")
