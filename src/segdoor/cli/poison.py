"""``segdoor poison``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from segdoor.cli.options import Attack, Data, WhatOptions, configuration
from segdoor.cli.screen import progress_bars, tell, tell_json
from segdoor.cluster import On, workers_on
from segdoor.errors import ConfigError


def poison(
    config: Path | None = None,
    *,
    out: Path = Path("runs/poison"),
    copy: Path | None = None,
    lossless: bool = False,
    as_folder: Annotated[bool, Parameter(name="--as-folder")] = False,
    replace: bool = False,
    workers: int | None = None,
    on: On = "local",
    address: str | None = None,
    dry_run: Annotated[bool, Parameter(name="--dry-run")] = False,
    json: bool = False,
    what: WhatOptions | None = None,
    data: Data = None,
    attack: Attack = None,
) -> None:
    """Choose which training scenes to poison, and preview them.

    Writes the plan (JSON lines: which scenes, where the trigger goes, how labels change) and a
    picture of the first poisoned scenes. The data set itself is not touched; with --copy a
    poisoned copy of its folder is written, for any trainer, which `segdoor restore` undoes. With
    --data.size the copy holds all scenes at that size, as a training with it sees them.
    Label maps are all read, but only those images that are changed or shown: `segdoor data` finds
    all that is wrong with the others. A call that was cut off is completed by the same call again.

    Args:
        config: A YAML file with any of the settings below, and others.
        out: Folder for plan.jsonl and poison.png.
        copy: A new folder for a poisoned copy in the data set's own layout.
        lossless: Store poisoned JPEG pictures as PNG, under their name, without any loss. A copy
            at another size holds PNG files alone.
        as_folder: Lay the copy out as data.name folder reads it, with label maps as PNG and a
            classes.yaml, whatever the data set has: annotations cannot express labels of single
            pixels.
        replace: Write over an earlier plan, and over an earlier copy that nobody edited.
        workers: How many workers share the work, one for each core if left out. What comes out
            is the same.
        on: Who works: this machine alone, or a Ray cluster whose machines see the same folders.
        address: Of the cluster: auto, host:port or ray://host:port; one is started on this
            machine for the while if left out.
        dry_run: Only say what the plan would be; nothing is written, save a pack of built-in
            scenes in the cache.
        json: Print the plan's header as JSON instead of text.
        what: Choices that others follow from.
        data: The scenes.
        attack: The attacker.
    """
    for option, given in (("--lossless", lossless), ("--as-folder", as_folder)):
        if given and copy is None:
            raise ConfigError(option, "is about a copy", "no --copy", "Add --copy FOLDER.")
    asked = configuration(config, what, data=data, attack=attack)
    from segdoor.attack.manifest import load_manifest
    from segdoor.attack.materialise import CopyOrder
    from segdoor.experiment.poisoning import plan_step, poison_step

    with workers_on(on, workers, address) as team, progress_bars() as bars:
        if dry_run:
            header = plan_step(asked, workers=team, observer=bars).header
        else:
            order = (
                CopyOrder(copy, lossless=lossless, replace=replace, as_folder=as_folder)
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
