"""``segdoor poison``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from segdoor.attack.plan import PlanHeader
from segdoor.cli.options import Attack, Data, WhatOptions, configuration
from segdoor.cli.panels import MACHINE, OUTPUT, WHAT, Config, Json, Out, Replace
from segdoor.cli.screen import progress_bars, tell, tell_json
from segdoor.cluster import On, workers_on
from segdoor.errors import ConfigError
from segdoor.record import Figure
from segdoor.record.stealth import StealthRecord


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
    stealth: Annotated[bool, Parameter(group=WHAT)] = False,
    filters: Annotated[tuple[str, ...], Parameter(name="--with", group=WHAT)] = (),
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
      segdoor poison --attack.trigger warp --stealth
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
        stealth: Also measure how easily the poison is seen: what changes in images and labels, and
            whether filters of data sets find it. Written to stealth.json.
        filters: With --stealth, a filter that looks for the poisoned scenes; repeat for several.
            patch_mining if left out. See `segdoor list filters`.
        json: Print the header of the plan as JSON instead of text, or stealth.json with --stealth.
        what: Choices that set the defaults of others.
        data: The scenes.
        attack: The attack.
    """
    of_copy = {"lossless": lossless, "as_folder": as_folder, "rewrite": rewrite}
    _check_together(of_copy, copy, filters, stealth=stealth)
    asked = configuration(config, what, data=data, attack=attack)
    from segdoor.attack.manifest import load_manifest
    from segdoor.attack.materialise import CopyOrder
    from segdoor.experiment.poisoning import plan_step, poison_step

    seen, looking = None, ()
    if stealth:
        # Filters need torch, which an attacker does not.
        from segdoor.experiment.stealth import filters_named

        looking = filters_named(filters)
    with workers_on(on, workers, address) as team, progress_bars() as bars:
        if dry_run:
            plan = plan_step(asked, workers=team, observer=bars)
        else:
            order = CopyOrder(copy, replace=replace, **of_copy) if copy else None
            plan = poison_step(
                asked, out=out, replace=replace, copy=order, workers=team, observer=bars
            )
        if stealth:
            from segdoor.experiment.stealth import stealth_step

            place = None if dry_run else out
            seen = stealth_step(asked, plan, filters=looking, out=place, observer=bars)
    if json:
        tell_json(seen or plan.header)
        return
    tell(*_in_words(plan.header), *(_stealth_in_words(seen) if seen else ()))
    if dry_run:
        tell("Nothing was written: leave out --dry-run to write the plan")
        return
    tell(
        f"Plan and preview: {out}",
        *([f"Poisoned copy: {copy}, undone by: segdoor restore {copy}"] if copy else []),
        *(load_manifest(copy).header.in_words if copy else []),
        f"Next: segdoor train --plan {out / 'plan.jsonl'}, with the same data settings",
    )


def _check_together(
    of_copy: Mapping[str, bool], copy: Path | None, filters: Sequence[str], *, stealth: bool
) -> None:
    for name, given in of_copy.items():
        if given and copy is None:
            option = f"--{name.replace('_', '-')}"
            raise ConfigError(option, "is about a copy", "no --copy", "Add --copy FOLDER.")
    if of_copy["rewrite"] and of_copy["as_folder"]:
        raise ConfigError("--rewrite", "must stand without --as-folder", "both", "Leave out one.")
    if filters and not stealth:
        raise ConfigError("--with", "is about stealth", "no --stealth", "Add --stealth.")


def _in_words(header: PlanHeader) -> tuple[str, ...]:
    return (
        f"{header.num_poisoned} of {header.num_scenes} scenes poisoned ({header.rate:.1%})",
        f"{header.num_with_victims} show a victim",
        f"{header.num_without_room} of those drawn had no room for the trigger",
        f"{header.share_changed:.2%} of all labels changed",
    )


def _stealth_in_words(seen: StealthRecord) -> Iterator[str]:
    yield "How easily it is seen, in poisoned scenes:"
    yield f"  pixels changed: {_share(seen.pixels_changed)}, by {_number(seen.mean_change)} of 255"
    yield f"  structural similarity: {_number(seen.ssim)}, at worst {_number(seen.ssim_worst)}"
    yield f"  labels changed: {_share(seen.labels_changed)}"
    yield f"  victim pixels that vanish: {_share(seen.victims_vanished)}"
    for by in seen.seen_by:
        found, before = (r.auroc.value if r else None for r in (by.ranking, by.untouched))
        told = f"AUROC {_number(found)}, {_number(before)} on the clean data set"
        yield f"  found by {by.method}: {told}"


def _share(value: Figure) -> str:
    return "-" if value is None else f"{value:.1%}"


def _number(value: Figure) -> str:
    return "-" if value is None else f"{value:.3f}"
