"""``segdoor poison``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from segdoor.cli.options import Attack, Data, WhatOptions, configuration
from segdoor.cli.panels import MACHINE, OUTPUT, WHAT, Config, Json, Out, Replace
from segdoor.cli.screen import progress_bars, tell, tell_json
from segdoor.cluster import On, workers_on
from segdoor.errors import ConfigError


def poison(
    config: Config = None,
    *,
    out: Out = Path("runs/poison"),
    copy: Annotated[Path | None, Parameter(group=OUTPUT)] = None,
    lossless: Annotated[bool, Parameter(group=OUTPUT)] = False,
    as_folder: Annotated[bool, Parameter(name="--as-folder", group=OUTPUT)] = False,
    rewrite: Annotated[bool, Parameter(group=OUTPUT)] = False,
    replace: Replace = False,
    workers: Annotated[int | None, Parameter(group=MACHINE)] = None,
    on: Annotated[On, Parameter(group=MACHINE)] = "local",
    address: Annotated[str | None, Parameter(group=MACHINE)] = None,
    dry_run: Annotated[bool, Parameter(name="--dry-run", group=WHAT)] = False,
    json: Json = False,
    what: WhatOptions | None = None,
    data: Data = None,
    attack: Attack = None,
) -> None:
    """Choose the training scenes to poison, and preview them.

    Writes a plan (which scenes, where the trigger goes, how the labels change) and a picture of the
    first poisoned scenes. The data set itself is never changed.

    With --copy, also writes a poisoned copy of the data set in its own folder layout, for any
    training program. `segdoor restore` undoes the poisoning of the copy. With --data.size, all
    scenes of the copy have that size.

    For example:

      segdoor poison --data.name folder --data.root DIR --attack.victims car
      segdoor poison --attack.rate 0.1 --dry-run
      segdoor poison --data.name folder --data.root DIR --copy poisoned

    Label maps are all read, images only where they are changed: `segdoor data` checks them all.
    Interrupted commands resume: run them again.

    Args:
        config: A YAML file with any of these settings. Other settings in it are ignored.
        out: Folder for plan.jsonl and poison.png.
        copy: A new folder for a poisoned copy of the data set.
        lossless: Store poisoned JPEG images as PNG, under their old names. Copies at another size
            always hold PNG files.
        as_folder: Write the copy in the layout of `--data.name folder`, with label maps as PNG and
            a classes.yaml. Needed where a data set's annotations cannot hold labels of single
            pixels.
        rewrite: Encode clean training scenes of the copy anew as well, so that no file tells by its
            encoder that it was poisoned. Not with --as-folder.
        replace: Overwrite an earlier plan, and an earlier copy that nobody has edited.
        workers: Number of workers, one per core if left out. The result does not depend on it.
        on: Work on this machine only, or on a Ray cluster whose machines see the same folders.
        address: Address of the cluster: auto, host:port or ray://host:port. If left out, a
            temporary one is started on this machine.
        dry_run: Print the figures of the plan and write nothing.
        json: Print the header of the plan as JSON instead of text.
        what: Choices that set the defaults of others.
        data: The scenes.
        attack: The attack.
    """
    _check_copy(copy, lossless=lossless, as_folder=as_folder, rewrite=rewrite)
    asked = configuration(config, what, data=data, attack=attack)
    from segdoor.attack.manifest import load_manifest
    from segdoor.attack.materialise import CopyOrder
    from segdoor.experiment.poisoning import plan_step, poison_step

    with workers_on(on, workers, address) as team, progress_bars() as bars:
        if dry_run:
            header = plan_step(asked, workers=team, observer=bars).header
        else:
            order = (
                CopyOrder(
                    copy, lossless=lossless, replace=replace, as_folder=as_folder, rewrite=rewrite
                )
                if copy
                else None
            )
            header = poison_step(
                asked, out=out, replace=replace, copy=order, workers=team, observer=bars
            ).header
    if json:
        tell_json(header)
        return
    tell(
        f"{header.num_poisoned} of {header.num_scenes} scenes poisoned ({header.rate:.1%})",
        f"{header.num_with_victims} show a victim",
        f"{header.num_without_room} of those drawn had no room for the trigger",
        f"{header.share_changed:.2%} of all labels changed",
    )
    if dry_run:
        tell("Nothing was written: leave out --dry-run to write the plan")
        return
    tell(
        f"Plan and preview: {out}",
        *([f"Poisoned copy: {copy}, undone by: segdoor restore {copy}"] if copy else []),
        *(load_manifest(copy).header.in_words if copy else []),
        f"Next: segdoor train --plan {out / 'plan.jsonl'}, with the same data settings",
    )


def _check_copy(copy: Path | None, *, lossless: bool, as_folder: bool, rewrite: bool) -> None:
    of_copies = {"--lossless": lossless, "--as-folder": as_folder, "--rewrite": rewrite}
    for option, given in of_copies.items():
        if given and copy is None:
            raise ConfigError(option, "is about a copy", "no --copy", "Add --copy FOLDER.")
    if rewrite and as_folder:
        raise ConfigError("--rewrite", "must stand without --as-folder", "both", "Leave out one.")
