"""``segdoor scan``: data, images and model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import App, Group, Parameter

from segdoor.cli.gate import Sarif
from segdoor.cli.options import Data, ModelOptions, Network, Training
from segdoor.cli.panels import DATA, MACHINE, NETWORK, OPTIONS, OUTPUT, WHAT, Config, Json
from segdoor.cluster import On

scan = App(
    name="scan",
    help_format="plaintext",
    group_arguments=OPTIONS,
    group_parameters=OPTIONS,
    group_commands=Group("Commands"),
)

_WITH = (
    "A method, such as {example}. Repeat the option for several. If left out, all that need no"
    " training. `segdoor list {sort}` explains them."
)


def _with(sort: str, example: str) -> Parameter:
    told = _WITH.format(sort=sort, example=example)
    return Parameter(
        name="--with", consume_multiple=False, show_default=False, group=WHAT, help=told
    )


Split = Annotated[str | None, Parameter(group=DATA)]


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class ScanOptions:
    """What all scans have."""

    policy: Annotated[Path | None, Parameter(group=WHAT)] = None
    """A YAML file with thresholds, instead of the built-in ones."""
    seed: Annotated[int | None, Parameter(group=WHAT)] = None
    """Decides everything random, such as which clean scenes set a threshold."""
    json: Json = False
    """Print the report as JSON instead of text."""
    sarif: Sarif = None
    """Also write the findings to this SARIF file."""


@Parameter(name="*", group=MACHINE)
@dataclass(frozen=True, kw_only=True)
class WorkersOptions:
    """Who shares the work."""

    workers: int | None = None
    """Number of workers, one per core if left out. The result does not depend on it."""
    on: On = "local"
    """Work on this machine only, or on a Ray cluster whose machines see the same folders."""
    address: str | None = None
    """Address of the cluster: auto, host:port or ray://host:port. If left out, a temporary one is
    started on this machine."""


@scan.command
def data(
    config: Config = None,
    *,
    with_: Annotated[tuple[str, ...], _with("filters", "patch_mining")] = (),
    split: Split = None,
    clean: Annotated[Path | None, Parameter(group=DATA)] = None,
    clean_split: Annotated[str | None, Parameter(name="--clean-split", group=DATA)] = None,
    out: Annotated[Path, Parameter(group=OUTPUT)] = Path("runs/scan"),
    options: ScanOptions | None = None,
    machine: WorkersOptions | None = None,
    model: ModelOptions | None = None,
    data: Data = None,
    network: Network = None,
    training: Training = None,
) -> None:
    """Look for poisoned scenes in a data set, before you train on it.

    Filters score every scene. The scan prints the most suspicious scenes with the evidence, and
    writes a report, pictures, and the lists suspects.txt and kept.txt. Nothing is changed. A check
    that could not be done or judged reads NOT RUN, with the reason.

    With --clean, thresholds follow from clean scenes. With a model, filters may look through it;
    if it is one of your own, its code is run.

    For example:

      segdoor scan data --data.name folder --data.root DIR
      segdoor scan data --data.name folder --data.root DIR --clean CLEAN
      segdoor scan data my.yaml --with patch_mining --sarif scan.sarif

    Exit code 4 if a scene is suspect. Interrupted scans resume: run the same command again.

    Args:
        config: A YAML file with any of these settings. Other settings in it are ignored.
        with_: The filters.
        split: The split to scan, if not the training split.
        clean: Clean scenes of the same classes: a folder of the same kind as the data set, or a
            YAML file with data settings.
        clean_split: The split of the clean scenes, if not the training split.
        out: Folder for scan.json and the files beside it.
        options: What all scans have.
        machine: Who shares the work.
        model: The network that filters may look through.
        data: The scenes.
        network: The network.
        training: The recipe of filters that train, and the device.
    """
    from segdoor.cli.scanning import DataDoor, Given, told

    options = options or ScanOptions()
    given = Given(config, with_, options, out, model, data, network, training)
    door = DataDoor(given, split, clean, clean_split, machine or WorkersOptions())
    told(given, door.scan())


@scan.command
def images(
    files: Annotated[tuple[Path, ...], Parameter(group=WHAT)],
    /,
    *,
    config: Annotated[Path | None, Parameter(name="--config", group=WHAT)] = None,
    with_: Annotated[tuple[str, ...], _with("detectors", "occlusion")] = (),
    split: Split = None,
    out: Annotated[Path, Parameter(group=OUTPUT)] = Path("runs/scan-images"),
    options: ScanOptions | None = None,
    model: ModelOptions | None = None,
    data: Data = None,
    network: Network = None,
    training: Training = None,
) -> None:
    """Look for triggers in images that a model is used on.

    Detectors score every image, without labels. Half of the clean scenes only set the threshold: an
    image is suspect if it scores above all but 5 % of them (the policy says how many). With too few
    clean scenes there are scores and no verdict.

    If the network is one of your own, its code is run.

    For example:

      segdoor scan images FOLDER --weights m.safetensors --data.root CLEAN
      segdoor scan images a.png b.png --config my.yaml --with occlusion

    Exit code 4 if an image is suspect. Interrupted scans resume: run the same command again.

    Args:
        files: Images, or folders of them.
        config: A YAML file with any of these settings. Other settings in it are ignored.
        with_: The detectors.
        split: The split of the clean scenes, if not the test split.
        out: Folder for scan.json and the files beside it.
        options: What all scans have.
        model: The network.
        data: The clean scenes.
        network: The network.
        training: The device, and the recipe of detectors that train.
    """
    from segdoor.cli.scanning import Given, scanned_images, told

    options = options or ScanOptions()
    given = Given(config, with_, options, out, model, data, network, training)
    told(given, scanned_images(given, files, split))


@scan.command
def model(
    config: Config = None,
    *,
    with_: Annotated[tuple[str, ...], _with("scans", "pair_inversion")] = (),
    split: Split = None,
    clean_models: Annotated[tuple[Path, ...], Parameter(name="--clean-models", group=NETWORK)] = (),
    minutes: Annotated[float | None, Parameter(group=WHAT)] = None,
    out: Annotated[Path, Parameter(group=OUTPUT)] = Path("runs/scan-model"),
    options: ScanOptions | None = None,
    model: ModelOptions | None = None,
    data: Data = None,
    network: Network = None,
    training: Training = None,
) -> None:
    """Look for a backdoor in a trained model, with a few clean scenes.

    Scans score classes or pairs of classes that a backdoor may connect. A verdict is based on the
    same figures of clean models or harmless stickers; with fewer than eight (the policy says how
    many) it reads NOT RUN, and the scores are all there is.

    If the network is one of your own, its code is run.

    For example:

      segdoor scan model --weights m.safetensors --data.root CLEAN
      segdoor scan model my.yaml --minutes 30 --clean-models a.pth b.pth

    Exit code 4 if a scan finds a backdoor. Interrupted scans resume: run the same command again.

    Args:
        config: A YAML file with any of these settings. Other settings in it are ignored.
        with_: The scans.
        split: The split of the clean scenes, if not the test split.
        clean_models: Weights of the same network, known to be clean.
        minutes: How long all scans together may take, roughly.
        out: Folder for scan.json and the files beside it.
        options: What all scans have.
        model: The network to scan.
        data: The clean scenes.
        network: The network to scan.
        training: The device, and the recipe of scans that train.
    """
    from segdoor.cli.scanning import Given, scanned_model, told

    options = options or ScanOptions()
    given = Given(config, with_, options, out, model, data, network, training)
    told(given, scanned_model(given, split, clean_models, minutes))
