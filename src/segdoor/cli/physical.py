"""``segdoor physical``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from segdoor.cli.screen import progress_bars, tell, tell_json
from segdoor.errors import ConfigError
from segdoor.record.physical import PhysicalRecord

_HELP = (
    "What is varied: surface, stage, distance, angle, size, gamut, light, focus, motion, noise,"
    " jpeg or occlusion. Repeat the option for several; all if left out."
)
AxisNames = Annotated[
    tuple[str, ...],
    Parameter(name="--axis", consume_multiple=False, show_default=False, help=_HELP),
]


def physical(
    run: Path,
    *,
    axis: AxisNames = (),
    ideal: bool = False,
    scenes: int = 20,
    seed: int = 0,
    focal: float | None = None,
    height: float | None = None,
    pitch: float | None = None,
    film: str | None = None,
    film_split: Annotated[str | None, Parameter(name="--film-split")] = None,
    still: bool = False,
    frames: int = 24,
    page: Path | None = None,
    replace: bool = False,
    model: str | None = None,
    root: Path | None = None,
    device: str | None = None,
    json: bool = False,
) -> None:
    """Print a run's sticker and put it up in the test scenes.

    The sticker is rendered as a camera would see it: on a board, the ground, a wall or a vehicle,
    in the light of its surroundings, with what a printer, a lens, a sensor and JPEG do to it. One
    thing is varied at a time. The flat sticker of the training, another sticker, a clean model and
    scenes without a sticker are measured beside it.

    For example:

      segdoor physical runs/run
      segdoor physical runs/run --axis stage --axis distance
      segdoor physical runs/run --focal 2.2 --height 1.2 --page physical.html

    Writes physical.json and pictures into the run's folder; an earlier physical.json is replaced.

    Args:
        run: The run's folder, or its record.json.
        axis: What is varied.
        ideal: Leave out printer, light, sensor and JPEG, except where they are varied: what
            perspective, size and blur alone do.
        scenes: Test scenes with victims, evenly spread.
        seed: Decides where the sticker is.
        focal: Focal length of the camera in image heights; 1.1 is assumed.
        height: Height of the camera above the ground in metres; 1.6 is assumed.
        pitch: How far the camera looks down in degrees; 4 is assumed.
        film: First frame of a film, by its scene's name: the sticker is also put up in the frames
            that follow it, and its plane is tracked.
        film_split: The split that the film is in; the test scenes' if left out.
        still: Instead of frames that follow, render a camera move over that one scene.
        frames: Frames of the film.
        page: Also write a page with curves and pictures to this file.
        replace: Overwrite an earlier page.
        model: The run's network, package.module:factory, if it is one of your own.
        root: Folder of the data set, if it has moved since the run.
        device: Device to work on, if not the run's: cpu, cuda, ...
        json: Print the record as JSON instead of tables.
    """
    # Imported late: they bring torch, which takes a second.
    from segdoor.experiment.physical.case import PhysicalOptions
    from segdoor.experiment.physical.running import FILE, physical_run
    from segdoor.experiment.reopened import Places
    from segdoor.report.physical import describe_physical
    from segdoor.victim.networks.own import import_named

    if page is not None and page.exists() and not replace:
        raise ConfigError(
            f"--page {page}",
            "must not be there yet",
            "an earlier file",
            "Add --replace, or rename.",
        )
    options = PhysicalOptions(
        axes=axis, ideal=ideal, num_scenes=scenes, seed=seed,
        focal=focal, height=height, pitch=pitch,
        film=film, split=film_split, still=still, num_frames=frames,
    )  # fmt: skip
    import_named(model)
    with progress_bars() as bars:
        found = physical_run(
            run, options=options, model=model, places=Places(root, device), observer=bars
        )
    folder = run if run.is_dir() else run.parent
    if page is not None:
        _write_page(found, folder, page)
    if json:
        tell_json(found)
        return
    tell(*describe_physical(found), f"Record: {folder / FILE}")


def _write_page(found: PhysicalRecord, folder: Path, page: Path) -> None:
    from segdoor.files import write_atomically
    from segdoor.report.html import render
    from segdoor.report.physical import physical_page

    write_atomically(page, render(physical_page(found, folder)))
